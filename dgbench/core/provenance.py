"""Which dgbench this is: noted beside every result."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

from dgbench.core.version import __version__


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
