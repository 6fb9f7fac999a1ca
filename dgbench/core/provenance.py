"""Which dgbench this is: noted beside every result."""

from __future__ import annotations

import functools
import hashlib
import subprocess
from pathlib import Path

from dgbench.core.version import __version__

_CODE = (".py", ".html", ".css", ".js")


@functools.cache
def revision() -> str:
    """The version, and in a checkout the git revision, marked when files were changed since."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return __version__
    try:
        printed = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return f"{__version__} (revision unknown)"
    return f"{__version__} ({printed.stdout.strip()})"


@functools.cache
def code(*packages: str) -> str:
    """A digest of the files of some of dgbench's packages: what they say may change whenever it does.

    Args:
        packages: By name; all of dgbench where none is named.
    """
    root, digest = Path(__file__).resolve().parents[1], hashlib.sha256()
    files = (path for package in packages or ("",) for path in (root / package).rglob("*.*") if path.suffix in _CODE)
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]
