"""Where things lie: the cards that come with dgbench, the store of finished work, the cache of built data."""

from __future__ import annotations

import os
from pathlib import Path


def shipped(folder: str) -> Path:
    """The folder of cards (``algorithms``, ``datasets``, ``leaderboards``), in a checkout or in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    for root in (package.parent, package / "_shipped"):
        if (root / folder).is_dir() and (root / "leaderboards").is_dir():
            return root / folder
    raise FileNotFoundError(f"dgbench is installed without its '{folder}' cards; reinstall it")


def store_root() -> Path:
    """Where finished work is kept: ``$DGBENCH_STORE``, else ``store/`` in the working directory."""
    return Path(os.environ.get("DGBENCH_STORE", "store"))


def cache_root() -> Path:
    """Where built data is kept: ``$DGBENCH_CACHE``, else ``dgbench`` in the user's cache directory."""
    if "DGBENCH_CACHE" in os.environ:
        return Path(os.environ["DGBENCH_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dgbench"
