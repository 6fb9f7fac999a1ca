"""Where weights of one's own lie: named by a path once, and by the SHA-256 of the file from then on.

A path says where something is on one machine today; what it is, its content says. So a name is settled before work is
planned: the file is hashed, and noted in the cache as seen. Whoever builds the network finds it by its hash.
"""

from __future__ import annotations

import re
from pathlib import Path

from dgbench.core.backbone_name import BY_CONTENT
from dgbench.core.errors import DGBenchError, shown
from dgbench.core.files import read_json, write_json
from dgbench.core.paths import cache_root
from dgbench.models.backbones.hub import sha256

_HASH = re.compile(r"sha256:[0-9a-f]{64}")


def path_of(weights: str) -> Path:
    """The file or folder that a path on a board or a command line means, below the working directory.

    Raises:
        DGBenchError: there is none.
    """
    try:
        path = Path(weights).expanduser()
        there = path.is_file() or path.is_dir()
    except (RuntimeError, OSError, ValueError) as error:
        raise DGBenchError(f"weights={weights} is no path ({error})") from error
    if not there:
        below = "" if path.is_absolute() else f" in the working directory {Path.cwd()}"
        raise DGBenchError(f"weights={weights}: there is no such file or folder{below}")
    return path


def seen(file: Path) -> str:
    """``sha256:...`` of a file, by which :func:`found` finds it again on this machine."""
    weights = sha256(file)
    note = _note(weights)
    place = {"path": str(file.absolute())}
    if not note.is_file() or read_json(note) != place:
        write_json(note, place)
    return weights


def found(weights: str) -> Path:
    """The file with that SHA-256, where this machine saw it last. Errors go to pages, and do not say where that was.

    Raises:
        DGBenchError: it was never seen, or is not there any more.
    """
    if not _HASH.fullmatch(weights):
        raise DGBenchError(f"weights={shown(weights)}: expected a path, or sha256: and 64 hexadecimal digits")
    note = _note(weights)
    if not note.is_file():
        raise DGBenchError(f"this machine has seen no file of weights with {weights}; name it by its path once")
    path = Path(read_json(note)["path"])
    if not path.is_file() or sha256(path) != weights:
        state = "has changed" if path.is_file() else "is gone"
        raise DGBenchError(
            f"{path.name}, which held the weights {weights[:19]}..., {state}; name them by their path again"
        )
    return path


def _note(weights: str) -> Path:
    return cache_root() / "weights" / "seen" / f"{weights.removeprefix(BY_CONTENT)}.json"
