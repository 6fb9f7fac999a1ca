import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from dgbench.core.dataset_card import DatasetCard
from dgbench.data.disk.readers import read
from dgbench.data.pixels import suffixes
from dgbench.data.pixels.suffixes import divide, is_picture, left_out, read_suffixes, say_left_out


@pytest.mark.parametrize("suffix", sorted(read_suffixes()))
def test_what_is_taken_for_an_image_is_read(tmp_path: Path, suffix: str) -> None:
    card = DatasetCard.model_validate(
        {
            "name": "own", "title": "", "summary": "", "path": tmp_path, "licence": "", "redistribution": "",
            "reader": {"kind": "tree", "layouts": ["{domain}/{class}"]}, "classes": ["cat", "dog"],
            "domains": [{"name": "a"}],
        }
    )  # fmt: skip
    image = Image.new("1" if suffix == "pbm" else "L", (16, 16), 255)
    for label in ("cat", "dog"):
        (tmp_path / "a" / label).mkdir(parents=True)
        path = tmp_path / "a" / label / f"x.{suffix.upper()}"
        if suffix == "npy":
            with path.open("wb") as file:
                np.save(file, np.asarray(image))
        else:
            kind = {"jpe": "JPEG", "jfif": "JPEG", "pgm": "PPM", "pbm": "PPM", "pnm": "PPM"}.get(suffix)
            image.save(path, format=kind)
    listing = read(card, tmp_path)
    assert [len(listing.domains[0]), dict(listing.left_out)] == [2, {}]
    assert (listing.domains[0].pictures.read(0) == 255).all()


def test_what_is_an_image_but_not_read_is_counted_and_nothing_else_is() -> None:
    names = ["a.svg", "b.SVG", "c.heic", "scan.nii.gz", "x.jpg", "notes.txt", ".hidden.svg", "svg", "old.tar.gz"]
    assert left_out(names) == {".svg": 2, ".heic": 1, ".nii.gz": 1}
    said = say_left_out(left_out(names))
    assert said == "2 .svg, 1 .heic, 1 .nii.gz are not read and are left out: save as PNG or JPEG what you want to use"


def test_avif_depends_on_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_picture("x.avif") == features.check("avif")
    monkeypatch.setattr(suffixes, "read_suffixes", lambda: frozenset({"png"}))
    assert left_out(["x.avif"]) == {".avif": 1}
    assert "this Pillow cannot read AVIF (pip install --upgrade pillow)" in say_left_out({".avif": 1})
    assert "PNG" not in say_left_out({".avif": 1})


def test_arrays_are_images_or_something_else(tmp_path: Path) -> None:
    arrays = {
        "grey.npy": np.zeros((4, 4), np.uint8),
        "deep.npy": np.zeros((4, 4), np.uint16),
        "rgb.npy": np.zeros((4, 4, 3), np.uint8),
        "rgba.npy": np.zeros((4, 4, 4), np.uint8),
        "features.npy": np.zeros(512, np.float32),
        "masks.npy": np.zeros((4, 4, 3), np.bool_),
        "objects.npy": np.array([[None]]),
    }
    for name, array in arrays.items():
        np.save(tmp_path / name, array, allow_pickle=True)
    (tmp_path / "damaged.npy").write_bytes(b"\x93NUMPY")
    images, others = divide(tmp_path, [*arrays, "damaged.npy", "x.png", "x.svg", "x.txt"])
    assert images == ["grey.npy", "deep.npy", "rgb.npy", "rgba.npy", "damaged.npy", "x.png"], "damaged ones are named"
    assert others == Counter({".npy": 3, ".svg": 1})
    assert "3 .npy, 1 .svg are not read" in say_left_out(others)
    assert "an image in .npy is uint8 [h, w]" in say_left_out(others)


def test_the_page_lists_what_is_read() -> None:
    page = (Path(__file__).parents[3] / "docs" / "your-own-dataset.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^Read are (.*?)\. Of an animation", page, re.MULTILINE | re.DOTALL)
    listed = set(re.findall(r"`\.(\w+)`", line))
    assert listed == read_suffixes() | {"avif"}
    (others,) = re.findall(r"^Other kinds of images \((.*?), \.\.\.\)", page, re.MULTILINE)
    kinds = re.findall(r"`(\.\w+)`", others)
    assert left_out(f"x{kind}" for kind in kinds) == dict.fromkeys(kinds, 1)
