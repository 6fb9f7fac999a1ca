import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from on_disk import read_listing, times, write_pictures
from PIL import Image

from dgbench.core.decoding import AS_LOADERS, Decoding
from dgbench.core.errors import DataError
from dgbench.data.cache.prepare import prepare
from dgbench.data.cache.streamed import stream

MANIFEST = "f" * 64


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pets")
    return tmp_path / "pets"


@pytest.fixture(autouse=True, params=[0.0, math.inf], ids=["in threads", "in place"])
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are as slow, or as quick, as makes the difference."""
    monkeypatch.setattr("dgbench.data.cache.streamed._QUICK", request.param)


@pytest.mark.parametrize("decoding", [AS_LOADERS, Decoding("white", True, 10)])
@pytest.mark.parametrize("resize", ["stretch", "crop"])
def test_streamed_images_are_the_prepared_ones(root: Path, resize: str, decoding: Decoding) -> None:
    for number, mode in enumerate(("RGBA", "I;16")):
        Image.new(mode, (40, 30), 700).save(root / "art" / f"more{number}.png")
        Image.new("RGB", (40, 30)).save(root / "photo" / f"more{number}.png")
    listing = read_listing(root, shared_groups=True)
    asked = (listing, MANIFEST, 24, resize, decoding)
    streamed, prepared = stream(*asked), prepare(*asked)
    assert replace(streamed, domains=()) == replace(prepared, domains=())
    drawn = prepared.domain("art").inputs[np.array([5, 6])]
    assert (drawn.min(axis=(1, 2, 3)) == ([255, 175] if decoding.bits == 10 else [0, 2])).all()
    assert streamed.shared_groups
    assert prepared.shared_groups
    for one, other in zip(streamed.domains, prepared.domains, strict=True):
        assert one.inputs.shape == other.inputs.shape
        assert len(one.inputs) == len(other.inputs)
        assert np.array_equal(one.labels, other.labels)
        for rows in (np.arange(5), np.array([3, 1, 1]), np.array([], np.int64)):
            images = one.inputs[rows]
            assert images.dtype == np.uint8
            assert np.array_equal(images, other.inputs[rows])


def test_only_the_rows_asked_for_are_decoded_and_nothing_is_written(root: Path) -> None:
    images = stream(read_listing(root), MANIFEST, 24, "stretch").domains[0].inputs
    assert times(root, "read") == 0
    assert images[np.array([4, 2])].shape == (2, 24, 24, 3)
    assert times(root, "read") == 2
    assert not (root.parent / "cache").exists()


def test_a_damaged_picture_is_named(root: Path) -> None:
    (root / "art" / "1.png").write_bytes(b"no image")
    images = stream(read_listing(root), MANIFEST, 24, "stretch").domains[0].inputs
    with pytest.raises(DataError, match=r"art/1\.png"):
        images[np.arange(5)]
    assert images[np.array([0])].shape == (1, 24, 24, 3)
