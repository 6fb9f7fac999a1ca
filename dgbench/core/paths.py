"""Where things lie: the cards that come with dgbench, the store of finished work, the cache of built data."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path


def shipped(folder: str) -> Path:
    """The folder of cards (``algorithms``, ``datasets``, ``leaderboards``), in a checkout or in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    for root in (package.parent, package / "_shipped"):
        if (root / folder).is_dir() and (root / "leaderboards").is_dir():
            return root / folder
    raise FileNotFoundError(f"dgbench is installed without its '{folder}' cards; reinstall it")


def store_place() -> str:
    """Where finished work is kept: ``$DGBENCH_STORE``, else ``store/`` in the working directory."""
    return os.environ.get("DGBENCH_STORE", "store")


def is_address(place: Path | str) -> bool:
    """Whether a place is on a server or a disk that machines share, by its address, and not a folder by its path."""
    return "://" in str(place)


def store_root(place: Path | str | None = None) -> Path:
    """The folder that a store is read from: itself, or this machine's copy of one that machines share."""
    place = place or store_place()
    if not is_address(place):
        return Path(place)
    address = str(place)
    name = re.sub(r"[^A-Za-z0-9-]+", "-", address).strip("-")[:80]
    return cache_root().absolute() / "stores" / f"{name}-{hashlib.sha256(address.encode()).hexdigest()[:12]}"


def cache_root() -> Path:
    """Where built data is kept: ``$DGBENCH_CACHE``, else ``dgbench`` in the user's cache directory."""
    if "DGBENCH_CACHE" in os.environ:
        return Path(os.environ["DGBENCH_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dgbench"
