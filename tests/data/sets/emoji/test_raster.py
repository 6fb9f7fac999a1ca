import sys
from pathlib import Path

import numpy as np
import pytest

from dgbench.core.errors import DataError
from dgbench.data.sets.emoji.icons import icons
from dgbench.data.sets.emoji.raster import renderer

from .conftest import WritePack

WHITE, BLACK, ORANGE = (255, 255, 255), (0, 0, 0), (255, 128, 0)


def picture(folder: Path, write_pack: WritePack, name: str = "shape", **content: object) -> np.ndarray:
    pack = write_pack("pack", icons=content, chars={})
    return renderer()(icons(folder / pack.file).svg(name))


def test_a_filled_rectangle(folder: Path, write_pack: WritePack) -> None:
    body = '<rect x="8" y="4" width="16" height="8" fill="#ff8000"/>'
    drawn = picture(folder, write_pack, width=32, height=32, icons={"shape": {"body": body}})
    expected = np.full((64, 64, 3), WHITE, np.uint8)
    expected[8:24, 16:48] = ORANGE
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, expected)


def test_the_current_colour_is_black_and_half_a_pixel_is_grey(folder: Path, write_pack: WritePack) -> None:
    body = '<path fill="currentColor" d="M0 0h16v8.125H0z"/>'
    drawn = picture(folder, write_pack, icons={"shape": {"body": body}})
    assert (drawn[:32] == BLACK).all()
    assert (abs(drawn[32].astype(int) - 128) <= 1).all()
    assert (drawn[33:] == WHITE).all()


def test_what_is_not_square_is_centred(folder: Path, write_pack: WritePack) -> None:
    body = '<rect width="32" height="16"/>'
    drawn = picture(folder, write_pack, icons={"shape": {"body": body, "width": 32, "height": 16}})
    expected = np.full((64, 64, 3), WHITE, np.uint8)
    expected[16:48] = BLACK
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("left", [0, -4])
def test_a_mirrored_alias_shows_its_parent_mirrored(folder: Path, write_pack: WritePack, left: int) -> None:
    content = {
        "icons": {"left": {"body": f'<rect x="{left}" width="4" height="16"/>', "left": left}},
        "aliases": {"right": {"parent": "left", "hFlip": True}, "same": {"parent": "left"}},
    }
    drawn = {name: picture(folder, write_pack, name, **content) for name in ("left", "right", "same")}
    assert (drawn["left"][:, :16] == BLACK).all()
    np.testing.assert_array_equal(drawn["right"], drawn["left"][:, ::-1])
    np.testing.assert_array_equal(drawn["same"], drawn["left"])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(DataError, match=r"resvg-py: pip install 'dgbench\[emoji\]'"):
        renderer()
