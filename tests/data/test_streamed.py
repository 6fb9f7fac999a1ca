from pathlib import Path

import numpy as np
import pytest
from on_disk import read_listing, times, write_pictures

from dgbench.core.errors import DataError
from dgbench.data.prepare import prepare
from dgbench.data.streamed import stream

MANIFEST = "f" * 64


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pets")
    return tmp_path / "pets"


@pytest.mark.parametrize("resize", ["stretch", "crop"])
def test_streamed_images_are_the_prepared_ones(root: Path, resize: str) -> None:
    listing = read_listing(root, shared_groups=True)
    streamed, prepared = stream(listing, MANIFEST, 24, resize), prepare(listing, MANIFEST, 24, resize)
    assert (streamed.name, streamed.classes, streamed.manifest) == (prepared.name, prepared.classes, prepared.manifest)
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
