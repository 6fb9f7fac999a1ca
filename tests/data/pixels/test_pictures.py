import hashlib
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgbench.core.errors import DataError
from dgbench.data.pixels.pictures import Files, Frames
from dgbench.data.pixels.suffixes import is_picture

NOISE = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "a").mkdir()
    Image.fromarray(NOISE).save(tmp_path / "a" / "noise.png")
    return Files(tmp_path, ("a/noise.png",))


def test_a_file_is_read_as_it_is(files: Files) -> None:
    path = files.root / "a/noise.png"
    assert np.array_equal(files.read(0), NOISE)
    assert files.read(0).dtype == np.uint8
    assert files.digest(0) == hashlib.sha256(path.read_bytes()).digest()
    assert (len(files), files.name(0)) == (1, "a/noise.png")
    assert np.array_equal(pickle.loads(pickle.dumps(files)).read(0), NOISE)


def test_the_stamp_changes_with_size_and_time(files: Files) -> None:
    path = files.root / "a/noise.png"
    os.utime(path, ns=(0, 1_000))
    first = files.stamp(0)
    assert files.stamp(0) == first
    os.utime(path, ns=(0, 2_000))
    second = files.stamp(0)
    path.write_bytes(path.read_bytes() + b"x")
    os.utime(path, ns=(0, 2_000))
    assert len({first, second, files.stamp(0)}) == 3


@pytest.mark.parametrize(
    ("mode", "colour", "rgb"),
    [("L", 7, [7, 7, 7]), ("RGBA", (1, 2, 3, 0), [1, 2, 3]), ("1", 1, [255, 255, 255]), ("I;16", 0x1234, [0x12] * 3)],
)
def test_all_kinds_of_pixels_become_rgb(tmp_path: Path, mode: str, colour: object, rgb: list[int]) -> None:
    Image.new(mode, (3, 2), colour).save(tmp_path / "x.png")  # type: ignore[arg-type]
    picture = Files(tmp_path, ("x.png",)).read(0)
    assert picture.shape == (2, 3, 3)
    assert (picture == rgb).all()


def test_the_rotation_of_the_camera_is_not_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (3, 2))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "x.jpg", exif=exif)
    assert Files(tmp_path, ("x.jpg",)).read(0).shape == (2, 3, 3)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif", "bmp", "tiff", "ppm"])
def test_a_truncated_picture_is_named(tmp_path: Path, kind: str) -> None:
    encoded = io.BytesIO()
    Image.fromarray(NOISE).save(encoded, format=kind)
    (tmp_path / f"x.{kind}").write_bytes(encoded.getvalue()[: len(encoded.getvalue()) // 2])
    with pytest.raises(DataError, match=rf"x\.{kind} cannot be decoded .*fetch it again"):
        Files(tmp_path, (f"x.{kind}",)).read(0)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.png cannot be decoded"):
        Files(tmp_path, ("x.png",)).read(0)


def test_floats_have_no_agreed_range(tmp_path: Path) -> None:
    Image.new("F", (2, 2), 0.5).save(tmp_path / "x.tiff")
    with pytest.raises(DataError, match="32 bits"):
        Files(tmp_path, ("x.tiff",)).read(0)


def test_a_file_that_is_gone(files: Files) -> None:
    (files.root / "a/noise.png").unlink()
    for ask in (files.read, files.digest, files.stamp):
        with pytest.raises(DataError, match=r"noise\.png"):
            ask(0)


@pytest.mark.parametrize("mapped", [True, False])
def test_frames_are_rows_of_an_array(tmp_path: Path, mapped: bool) -> None:
    array = np.random.default_rng(1).integers(0, 256, (5, 4, 4, 3), np.uint8)
    np.save(tmp_path / "fog.npy", array)
    frames = Frames(tmp_path / "fog.npy" if mapped else array, np.array([3, 1]), title="fog")
    assert len(frames) == 2
    assert frames.name(0) == (f"{tmp_path}/fog.npy[3]" if mapped else "fog[3]")
    assert np.array_equal(frames.read(0), array[3])
    assert frames.digest(0) != frames.digest(1)
    assert not mapped or array.tobytes()[:48] not in pickle.dumps(frames), "a path travels, no pixels"
    frames.read(1)[:] = 0
    assert np.array_equal(frames.read(1), array[1]), "what is read is a copy"


def test_digests_of_frames_know_the_shape() -> None:
    wide, high = np.zeros((1, 2, 4, 3), np.uint8), np.zeros((1, 4, 2, 3), np.uint8)
    assert Frames(wide, np.array([0])).digest(0) != Frames(high, np.array([0])).digest(0)


def test_a_file_of_frames_that_changed_is_mapped_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    frames = Frames(path, np.array([0]))
    for time, value in enumerate((1, 2)):
        np.save(tmp_path / "new.npy", np.full((1, 2, 2, 3), value, np.uint8))
        (tmp_path / "new.npy").replace(path)
        os.utime(path, ns=(0, time))
        assert frames.read(0).max() == value


def test_frames_that_cannot_be_read(tmp_path: Path) -> None:
    frames = Frames(tmp_path / "x.npy", np.array([0]))
    with pytest.raises(DataError, match=r"x\.npy cannot be read"):
        frames.read(0)
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY and no more")
    with pytest.raises(DataError, match=r"x\.npy is no readable \.npy file"):
        frames.read(0)


@pytest.mark.parametrize(
    ("name", "expected"), [("a.JPG", True), ("b.c.tif", True), ("jpg", False), (".x.png", False), ("x.txt", False)]
)
def test_which_files_are_pictures(name: str, expected: bool) -> None:
    assert is_picture(name) == is_picture(Path("folder") / name) == expected


def test_reading_pictures_needs_no_heavy_library() -> None:
    program = (
        "import sys, dgbench.data.pixels.pictures, dgbench.data.disk.locate, dgbench.data.disk.readers;"
        "from dgbench.data.disk.readers import arrays, hub, table, tree, wilds;"
        "assert not {'torch', 'timm', 'datasets', 'wilds', 'polars', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
