"""Reading the tensors of a file of weights, whatever wrote it. Tensors alone are read, and nothing runs.

What a file is, its first bytes say, not its name: ``.pth``, ``.pt``, ``.bin``, ``.ckpt``, ``.pth.tar`` and ``.pkl`` are
all what ``torch.save`` writes, a pickle in a zip. It is read with ``weights_only``, which admits tensors and plain
containers; the settings that many programs keep beside them (``argparse.Namespace``, numbers of NumPy, paths) become
empty objects. A pickle that names anything else is refused, for it could run.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dgbench.core.errors import DGBenchError, shown
from dgbench.core.files import open_plain

_ZIP, _PICKLE, _LFS = b"PK\x03\x04", b"\x80", b"version https://git-lfs"
_DEEPEST = 10
"""Levels of tables in each other."""


class _Nothing:
    """Stands where a file has an object that is no tensor."""

    def __init__(self, *ignored: object, **also: object) -> None:
        pass

    def __setstate__(self, ignored: object) -> None:
        pass


_SETTINGS = (
    "argparse.Namespace",
    "types.SimpleNamespace",
    *(f"pathlib.{name}" for name in ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")),
    *(f"pathlib._local.{name}" for name in ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")),
    *(f"numpy{core}.multiarray.{name}" for core in (".core", "._core") for name in ("scalar", "_reconstruct")),
    "numpy.dtype",
    "numpy.ndarray",
    *(f"numpy.dtypes.{kind}DType" for kind in ("Float64", "Float32", "Float16", "Int64", "Int32", "Bool")),
    "_codecs.encode",
)
"""What programs keep beside tensors: each is read as :class:`_Nothing`, so none of it is looked at."""

_REMEDY = (
    "save the tensors alone, where the file was made: from safetensors.torch import save_file; "
    "save_file(model.state_dict(), 'weights.safetensors')"
)
_UNREADABLE = (
    RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, EOFError, OSError,
    MemoryError, RecursionError, pickle.UnpicklingError,
)  # fmt: skip
"""What torch raises over a pickle that is none, or not of tensors."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU; those in tables of tables by all names on the way, with dots between.

    Files of today's torch are mapped into memory, so what nobody looks at is not read.

    Raises:
        DGBenchError: it is no file of weights, damaged, or one that would run something.
    """
    try:
        with open_plain(path) as file:
            start = file.read(256)
    except OSError as error:
        raise DGBenchError(f"{path} cannot be read ({error.strerror}); expected a file of weights") from error
    if start[8:9] == b"{":
        tensors = _safetensors(path)
    elif start.startswith(_ZIP):
        _refuse_strange_zip(path)
        tensors = _named(_unpickled(path, zipped=True))
    elif start.startswith(_PICKLE):
        tensors = _named(_unpickled(path, zipped=False))
    elif start.startswith(_LFS):
        raise DGBenchError(f"{path} is only a pointer of Git LFS to the weights; fetch them with 'git lfs pull'")
    else:
        raise DGBenchError(
            f"{path} is no file of weights: expected safetensors, or what torch.save writes (.pth, .pt, .bin, .ckpt)"
        )
    if not tensors:
        raise DGBenchError(f"{path} holds no tensors that have names; {_REMEDY}")
    return tensors


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        said = shown(str(error), 200)
        raise DGBenchError(
            f"{path} is a damaged file of safetensors ({said}); it may have been cut off: copy it again"
        ) from error


def _refuse_strange_zip(path: Path) -> None:
    """What torch writes is neither compressed nor larger inside than outside: a small file stays small in memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DGBenchError(f"{path} is damaged ({error}); it may have been cut off: copy it again") from error
    names = {record.filename.rpartition("/")[2] for record in records}
    if "constants.pkl" in names:
        raise DGBenchError(f"{path} is a program (TorchScript), which is not run here; {_REMEDY}")
    if "data.pkl" not in names:
        raise DGBenchError(f"{path} is a zip file, but not one that torch.save wrote; {_REMEDY}")
    unfolded = sum(record.file_size for record in records)
    if any(record.compress_type != zipfile.ZIP_STORED for record in records) or unfolded > path.stat().st_size:
        raise DGBenchError(
            f"{path} is a zip file that would unfold to {unfolded:,} bytes; torch.save compresses nothing. {_REMEDY}"
        )


def _unpickled(path: Path, *, zipped: bool) -> Any:
    mapped = zipped and path.suffix != ".safetensors"  # by such a path torch takes any file for one of those
    try:
        with torch.serialization.safe_globals([(_Nothing, name) for name in _SETTINGS]), path.open("rb") as file:
            return torch.load(str(path) if mapped else file, map_location="cpu", weights_only=True, mmap=mapped)
    except _UNREADABLE as error:
        said = str(error)
        if named := re.search(r"GLOBAL ([\w.]+)", said):
            raise DGBenchError(
                f"{path} is a pickle that names {shown(named[1])}, which could run a program, so it is not read; "
                f"{_REMEDY}"
            ) from error
        reason = said.splitlines()[0] if said else type(error).__name__
        raise DGBenchError(
            f"{path} cannot be read as tensors ({shown(reason, 200)}); it may be damaged or cut off: copy it again, "
            f"or {_REMEDY}"
        ) from error


def _named(content: Any) -> dict[str, Tensor]:
    """The tensors in tables of tables; lists, numbers and whatever else there is are passed over."""
    tensors: dict[str, Tensor] = {}

    def walk(table: dict[Any, Any], path: str, depth: int) -> None:
        for key, value in table.items():
            if isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized:
                tensors.setdefault(f"{path}{key}", value.detach())
            elif isinstance(value, dict) and depth < _DEEPEST:
                walk(value, f"{path}{key}.", depth + 1)

    if isinstance(content, dict):
        walk(content, "", 1)
    return tensors
