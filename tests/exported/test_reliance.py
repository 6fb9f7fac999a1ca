"""What a model relies on, by models that look at one place of a picture and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dgbench.core.errors import DataError, DGBenchError
from dgbench.exported import reliance as module
from dgbench.exported.card import Preprocessing
from dgbench.exported.predict import Prediction
from dgbench.exported.reliance import composed, divided, lenders, reliance

SIDE = 16
Pixels = NDArray[np.uint8]
PLAIN = Preprocessing(
    size=SIDE, resize="stretch", mean=(0, 0, 0), std=(1, 1, 1), alpha="black", exif=True, bits=8
)  # fmt: skip
MODEL: Any = SimpleNamespace(card=SimpleNamespace(preprocessing=PLAIN), classes=("dark", "light"))
INSIDE = np.pad(np.ones((SIDE // 2, SIDE // 2), bool), SIDE // 4)
"""Where the foreground is: a square in the middle."""


def looks_at(row: int, column: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that says whether one pixel is light."""

    def answer(_: object, pictures: Sequence[Pixels]) -> Iterator[Prediction]:
        for picture in pictures:
            yield Prediction("", MODEL.classes[int(picture[row, column, 0] >= 128)], 1.0)

    monkeypatch.setattr(module, "predictions", answer)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Foregrounds and grounds in all four combinations of dark and light; the class is the foreground's."""
    pictures, masks = tmp_path / "pictures", tmp_path / "masks"
    for root in (pictures, masks):
        for name in MODEL.classes:
            (root / name).mkdir(parents=True)
    for number, (front, back) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1)) * 3):
        pixels = np.full((SIDE, SIDE, 3), 200 if back else 20, np.uint8)
        pixels[INSIDE] = 220 if front else 40
        Image.fromarray(pixels).save(pictures / MODEL.classes[front] / f"{number:02d}.bmp")
        Image.fromarray(INSIDE).save(masks / MODEL.classes[front] / f"{number:02d}.png")
    return pictures, masks


def test_a_model_that_reads_the_foreground_keeps_its_answers_without_the_background(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks_at(SIDE // 2, SIDE // 2, monkeypatch)
    found = reliance(MODEL, *folders)
    assert (found.pictures, found.left_out) == (12, 0)
    assert (found.whole.same, found.foreground.same, found.exchanged.same) == (1, 1, 1)
    assert (found.whole.right, found.foreground.right, found.exchanged.right) == (1, 1, 1)
    # alone, the background fills the place of the foreground: it is right where both are alike, in half of the pictures
    assert (found.background.same, found.background.right) == (0.5, 0.5)
    assert found.mixed > 0
    assert (found.with_foreground, found.with_background) == (1, 0)


def test_a_model_that_reads_the_background_is_told(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    looks_at(0, 0, monkeypatch)
    found = reliance(MODEL, *folders)
    assert (found.whole.right, found.background.same, found.foreground.same) == (0.5, 1, 1)
    assert found.background.right == 0.5
    assert (found.with_foreground, found.with_background) == (0, 1)
    lent = [index % 2 for index in range(12)]  # the ground of each picture, in the order of paths
    order = [number for front in (0, 1) for number in range(12) if (number // 2) % 2 == front]
    expected = np.mean([lent[order[i]] == lent[order[j]] for i, j in enumerate(lenders(12))])
    assert found.exchanged.same == expected


def test_parts_and_their_grounds() -> None:
    random = np.random.default_rng(0)
    picture, place = random.integers(0, 256, (8, 8, 3)).astype(np.uint8), random.random((8, 8)) < 0.4
    front, back = divided(picture, place)
    assert (front[place] == picture[place]).all()
    assert (back[~place] == picture[~place]).all()
    colour = np.rint(picture[~place].mean(0))
    assert (front[~place] == colour).all()
    assert (back[place] == colour).all()
    assert (composed(front, place, back) == picture).all(), "the parts make the whole again"
    assert (composed(picture, np.ones((8, 8), bool), back) == picture).all()


@pytest.mark.parametrize("count", [2, 3, 50])
def test_each_picture_lends_its_background_to_one_other(count: int) -> None:
    found = lenders(count)
    assert sorted(found) == list(range(count))
    assert all(one != number for number, one in enumerate(found))
    assert found == lenders(count)


def test_one_picture_has_nothing_to_exchange(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert lenders(1) == lenders(0) == []
    looks_at(0, 0, monkeypatch)
    pictures, masks = folders
    for path in sorted(pictures.rglob("*.bmp"))[1:]:
        path.unlink()
    (pictures / "dark").rename(pictures / "unknown")
    (masks / "dark").rename(masks / "unknown")
    found = reliance(MODEL, pictures, masks)
    assert (found.pictures, found.exchanged.same, found.mixed, found.with_foreground) == (1, None, 0, None)
    assert (found.whole.same, found.whole.right) == (1, None), "its folder is called like no class"


def test_masks_go_the_way_of_their_pictures(tmp_path: Path) -> None:
    """Turned upright, cropped and shrunk: white where the picture is white."""
    tall = np.zeros((64, 40), np.uint8)
    tall[:30, :20] = 255
    (tmp_path / "masks").mkdir()
    (tmp_path / "pictures").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(np.rot90(tall).copy())
    turned.convert("RGB").save(tmp_path / "pictures" / "a.jpg", exif=exif, quality=100, subsampling=0)
    Image.fromarray(tall).save(tmp_path / "masks" / "a.png")
    cropped = PLAIN.model_copy(update={"resize": "crop"})
    picture, mask = module._masked(tmp_path / "pictures" / "a.jpg", tmp_path / "masks" / "a.png", cropped)
    assert 0 < mask.mean() < 1
    assert ((picture[..., 0] >= 128) == mask).mean() > 0.98


def _missing(pictures: Path, masks: Path) -> None:
    next(masks.rglob("*.png")).unlink()


def _smaller(pictures: Path, masks: Path) -> None:
    Image.new("L", (SIDE, SIDE // 2)).save(next(masks.rglob("*.png")))


def _broken(pictures: Path, masks: Path) -> None:
    next(masks.rglob("*.png")).write_bytes(b"no picture")


def _black(pictures: Path, masks: Path) -> None:
    for path in masks.rglob("*.png"):
        Image.new("L", (SIDE, SIDE)).save(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_missing, r"\.bmp: there is no mask .*\.png; each picture has a PNG of its size, white where"),
        (_smaller, r"\.png has 16x8 pixels, and its picture .*\.bmp 16x16; a mask has the size of its picture"),
        (_broken, r"\.png cannot be decoded"),
        (_black, "every mask is all black or all white; white pixels say where the foreground is"),
    ],
)
def test_what_is_wrong_with_masks_is_said(
    spoil: Callable[[Path, Path], None], message: str, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks_at(0, 0, monkeypatch)
    spoil(*folders)
    with pytest.raises(DataError, match=message):
        reliance(MODEL, *folders)


def test_where_pictures_and_masks_lie(folders: tuple[Path, Path], tmp_path: Path) -> None:
    pictures, masks = folders
    with pytest.raises(DataError, match=r"is no folder; pictures lie in one, and masks in another"):
        reliance(MODEL, pictures / "dark" / "00.bmp", masks)
    with pytest.raises(DataError, match="masks lie among the pictures"):
        reliance(MODEL, tmp_path, masks)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DGBenchError, match="no picture lies in this folder"):
        reliance(MODEL, tmp_path / "empty", masks)


def test_masks_that_are_empty_or_full_are_left_out(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    looks_at(0, 0, monkeypatch)
    first, second, *_ = sorted(folders[1].rglob("*.png"))
    Image.new("L", (SIDE, SIDE)).save(first)
    Image.new("L", (SIDE, SIDE), 255).save(second)
    found = reliance(MODEL, *folders)
    assert (found.pictures, found.left_out) == (10, 2)
