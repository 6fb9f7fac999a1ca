"""When nothing can be written: a disk that is full, a folder that is not ours. One error, whichever library met it."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dgbench.core.amounts import in_words
from dgbench.core.errors import DGBenchError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED: tuple[int | None, ...] = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
)
# polars and safetensors raise errors of their own, and numpy an OSError without a number.
_SAID_FULL = re.compile(rf"\(os error ({errno.ENOSPC}|{errno.EDQUOT})\)|^\d+ requested and \d+ written$")
WORKSHOP = re.compile(r"\.(.+)\.[0-9a-f]{16}")
"""The name of a folder in which a file, or a folder, is made before it comes to lie beside it under its own name."""
_REMEDY = "--store or DGBENCH_STORE says where results are kept, DGBENCH_CACHE where images are"


class DiskError(DGBenchError):
    """Nothing can be written where something must be. Whatever else is tried would fail as well."""


@contextmanager
def writing(*places: Path) -> Iterator[None]:
    """Inside, files are written: one, or those below some folders.

    Raises:
        DiskError: they cannot be.
    """
    try:
        yield
    except DiskError:
        raise
    except Exception as error:
        trouble = disk_trouble(error, places)
        if trouble is None:
            raise
        raise trouble from error


def disk_trouble(error: Exception, places: Sequence[Path]) -> DiskError | None:
    """What an error says of the disk, if anything. That a file elsewhere may not be *read* is another matter."""
    number = error.errno if isinstance(error, OSError) else None
    named = _meant(Path(os.fsdecode(error.filename))) if isinstance(error, OSError) and error.filename else None
    if number in _FULL or _SAID_FULL.search(str(error)):
        where = places[0] if named is None or len(places) == 1 else named
        folder = next(folder for folder in (where, *where.absolute().parents) if folder.is_dir())
        return DiskError(
            f"the disk is full: {where} takes more than the {in_words(shutil.disk_usage(folder).free)} that are left "
            f"for it; make room, or take a larger disk ({_REMEDY}). What is finished is kept"
        )
    if number in _CLOSED and named is not None and any(_same_branch(named, place) for place in places):
        return DiskError(f"{named} cannot be written ({os.strerror(number or 0)}); {_REMEDY}")
    return None


def _meant(path: Path) -> Path:
    """What comes of what lies at a path, or below it, in the folder that it is made in; else the path."""
    made = ((folder, WORKSHOP.fullmatch(folder.name)) for folder in (path, *path.parents))
    return next((folder.with_name(found[1]) for folder, found in made if found), path)


def unwritable(error: OSError) -> bool:
    """Whether an error says that nothing can be written in a place: it is full, or not ours."""
    return error.errno in (*_FULL, *_CLOSED)


def _same_branch(one: Path, other: Path) -> bool:
    one, other = one.absolute(), other.absolute()
    return one.is_relative_to(other) or other.is_relative_to(one)
