import errno
import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from polars.exceptions import ComputeError

from dgbench.core.disk import DiskError, writing
from dgbench.core.files import whole, whole_folder

FULL = f"underlying IO error: No space left on device (os error {errno.ENOSPC})"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        ComputeError(FULL),
        OSError("100000 requested and 8176 written"),
    ],
)
def test_a_full_disk_is_one_error_whichever_library_met_it(error: Exception, tmp_path: Path) -> None:
    path = tmp_path / "not yet" / "weights.safetensors"
    with pytest.raises(DiskError) as caught, writing(path):
        raise error
    said = str(caught.value)
    assert said.startswith(f"the disk is full: {path} takes more than the ")
    assert "DGBENCH_STORE" in said
    assert "\n" not in said


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_what_may_not_be_written_is_named(number: int, tmp_path: Path) -> None:
    inside = tmp_path / "store" / "locks"
    with pytest.raises(DiskError, match="locks cannot be written"), writing(tmp_path / "store"):
        raise OSError(number, os.strerror(number), str(inside))


def test_what_is_no_trouble_of_the_disk_passes(tmp_path: Path) -> None:
    """A picture that may not be read lies elsewhere; other errors are their own."""
    for error in (PermissionError(errno.EACCES, "Permission denied", "/data/x.png"), ValueError("odd"), OSError("odd")):
        with pytest.raises(type(error)) as caught, writing(tmp_path / "store"):
            raise error
        assert caught.value is error


@pytest.mark.parametrize("makes", [whole, whole_folder])
def test_what_is_made_beside_its_place_is_named_by_it(
    makes: Callable[[Path], AbstractContextManager[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Path.mkdir

    def takes_nothing(path: Path, *how: Any, **more: Any) -> None:
        if not path.is_dir():
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        made(path, *how, **more)

    monkeypatch.setattr(Path, "mkdir", takes_nothing)
    with (
        pytest.raises(DiskError, match=f"^{re.escape(str(tmp_path / 'page'))} cannot be written"),
        makes(tmp_path / "page"),
    ):
        raise AssertionError("nothing can be made")


def test_a_folder_below_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="cannot be written"), whole(tmp_path / "file" / "x.npy") as temporary:
        np.save(temporary, np.zeros(1))
