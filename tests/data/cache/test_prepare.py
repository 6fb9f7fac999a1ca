import dataclasses
import errno
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from on_disk import read_listing, times, write_pictures
from PIL import Image

from dgbench.core.decoding import Decoding
from dgbench.core.errors import DataError
from dgbench.data.cache import prepare as module
from dgbench.data.cache.prepare import prepare
from dgbench.data.domain import Dataset
from dgbench.data.listing import DomainListing, Listing
from dgbench.data.pixels.pictures import Frames
from dgbench.data.pixels.square import square

MANIFEST = "0123456789abcdef" * 4


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pets")
    return tmp_path / "pets"


def make(root: Path, size: int = 24, resize: str = "stretch", **options: object) -> Dataset:
    return prepare(read_listing(root), MANIFEST, size, resize, **options)


def left(root: Path) -> list[str]:
    """What lies in the cache."""
    folder = root.parent / "cache" / "decoded"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def rgb(root: Path, name: str) -> Image.Image:
    return Image.open(root / name).convert("RGB")


def test_stretching_is_pillows_bicubic_resize(root: Path) -> None:
    listing, dataset = read_listing(root), make(root)
    assert (dataset.name, dataset.classes, dataset.manifest) == ("pets", ("cat", "dog"), MANIFEST)
    for domain, expected in zip(dataset.domains, listing.domains, strict=True):
        assert isinstance(domain.inputs, np.memmap)
        assert not domain.inputs.flags.writeable
        assert (domain.inputs.shape, domain.inputs.dtype) == ((5, 24, 24, 3), np.uint8)
        assert np.array_equal(domain.labels, expected.labels)
        assert np.array_equal(domain.groups, expected.groups)
        for image, name in zip(domain.inputs, expected.pictures.names, strict=True):
            by_hand = rgb(root, name).resize((24, 24), Image.Resampling.BICUBIC)
            assert np.array_equal(image, by_hand), name


@pytest.mark.parametrize("size", [21, 24, 56])
def test_cropping_is_what_networks_for_imagenet_are_evaluated_with(root: Path, size: int) -> None:
    from torchvision.transforms import CenterCrop, InterpolationMode, Resize

    listing, dataset = read_listing(root), make(root, size, "crop")
    for domain, expected in zip(dataset.domains, listing.domains, strict=True):
        for image, name in zip(domain.inputs, expected.pictures.names, strict=True):
            original = rgb(root, name)
            if original.size == (size, size):
                reference = original
            else:
                scaled = Resize(round(size * 8 / 7), InterpolationMode.BICUBIC)(original)
                reference = CenterCrop(size)(scaled)
            assert np.array_equal(image, reference), name


@pytest.mark.parametrize("resize", ["stretch", "crop"])
def test_a_picture_of_the_right_size_is_left_alone(resize: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert np.array_equal(square(Image.fromarray(picture), 32, resize), picture)


def test_workers_make_the_same_images(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [np.array(domain.inputs) for domain in make(root, workers=1).domains]
    monkeypatch.setenv("DGBENCH_CACHE", str(root.parent / "another"))
    monkeypatch.setattr(module, "_ROWS", 2)
    together = make(root, workers=2)
    for one, domain in zip(alone, together.domains, strict=True):
        assert np.array_equal(one, domain.inputs)


def test_pictures_are_decoded_once(root: Path) -> None:
    told: list[tuple[int, int]] = []
    make(root, progress=lambda done, total: told.append((done, total)))
    assert times(root, "read") == 10
    assert told[-1] == (10, 10)
    make(root)
    assert times(root, "read") == 10
    make(root, size=16)
    make(root, resize="crop")
    prepare(read_listing(root), MANIFEST[::-1], 24, "stretch")
    assert times(root, "read") == 40, "another size, another way and other data are prepared for themselves"
    assert len(left(root)) == 4
    for number, decoding in enumerate((Decoding("white"), Decoding("black"), Decoding(exif=True), Decoding(bits=12))):
        made = prepare(read_listing(root), MANIFEST, 24, "stretch", decoding)
        assert times(root, "read") == 50 + 10 * number, "each way of decoding, too"
        assert made.form == "-".join(("24", "stretch", *decoding.words()))
    assert prepare(read_listing(root), MANIFEST, 24, "stretch").form == "24-stretch"
    assert times(root, "read") == 80


@pytest.mark.parametrize("place", [0, 100, 200, -1])
def test_one_flipped_bit_is_found(
    root: Path, place: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_BLOCK", 1000)
    whole = np.array(make(root).domains[1].inputs)
    path = root.parent / "cache" / "decoded" / "0123456789abcdef-24-stretch" / "photo.npy"
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # a failing disk does not tell the time
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(make(root).domains[1].inputs, whole)
    assert "prepared anew" in caplog.text
    assert times(root, "read") == 20
    make(root)
    assert times(root, "read") == 20, "what was prepared anew is whole"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("art.npy", None),
        ("art.npy", b""),
        ("prepared.json", b"{"),
        ("prepared.json", b"[]"),
        ("prepared.json", b'{"spec": {}, "blocks": {}}'),
    ],
)
def test_a_damaged_folder_is_prepared_anew(
    root: Path, file: str, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    whole = np.array(make(root).domains[0].inputs)
    path = root.parent / "cache" / "decoded" / "0123456789abcdef-24-stretch" / file
    path.unlink() if content is None else path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(make(root).domains[0].inputs, whole)
    assert "prepared anew" in caplog.text


@pytest.mark.parametrize("workers", [1, 2])
def test_a_truncated_picture_is_one_clear_error(root: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 2)
    path = root / "photo" / "2.jpg"
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DataError, match=r"photo/2\.jpg") as caught:
        make(root, workers=workers)
    assert "\n" not in str(caught.value)
    assert left(root) == []


def test_too_small_a_disk_is_refused_before_the_work(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = module.room_for([5, 5], 200)
    assert 10 * 200 * 200 * 3 < needed < 10 * 200 * 200 * 3 + 5000
    monkeypatch.setenv("DGBENCH_CACHE_LIMIT", "none")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=needed - 1))
    with pytest.raises(DataError, match=r"needs 1\.2 MB, but 1\.2 MB are free") as caught:
        make(root, 200)
    for remedy in ("DGBENCH_CACHE", "smaller size", "DGBENCH_STREAM"):
        assert remedy in str(caught.value)
    assert times(root, "read") == 0
    assert left(root) == []
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=needed))
    make(root, 200)


def test_more_than_the_cache_may_take_is_refused_before_the_work(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_CACHE_LIMIT", "1MB")
    with pytest.raises(DataError, match=r"1\.2 MB are needed at once in .*\(1\.0 MB\)") as caught:
        make(root, 200)
    for remedy in ("DGBENCH_CACHE_LIMIT=2MB", "DGBENCH_CACHE to", "smaller size", "DGBENCH_STREAM"):
        assert remedy in str(caught.value)
    assert times(root, "read") == 0
    assert left(root) == []


def test_what_is_used_stays_and_what_is_not_makes_room(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten pictures of side 100 take 300 kB."""
    monkeypatch.setenv("DGBENCH_CACHE_LIMIT", "1MB")
    for size in (100, 101, 102):
        make(root, size)
    make(root, 100)
    used = make(root, 103)
    assert left(root) == [f"0123456789abcdef-{size}-stretch" for size in (100, 102, 103)]
    image = used.domains[1].inputs[1]
    del used
    for size in (104, 105, 106):
        make(root, size)
    assert left(root) == [f"0123456789abcdef-{size}-stretch" for size in (103, 105, 106)]
    assert image.shape == (103, 103, 3)


def test_a_disk_that_fills_up_meanwhile_is_the_same_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_work", full)
    with pytest.raises(DataError, match="DGBENCH_CACHE"):
        make(root, workers=1)
    assert left(root) == []


@dataclasses.dataclass(frozen=True)
class Slow(Frames):
    """Takes its time."""

    def read(self, row: int) -> np.ndarray:
        time.sleep(0.2)
        return super().read(row)


def slow() -> Listing:
    frames = np.random.default_rng(0).integers(0, 256, (12, 10, 10, 3), np.uint8)
    rows = np.arange(12, dtype=np.int64)
    return Listing("slow", ("x", "y"), (DomainListing("only", Slow(frames, rows), rows % 2, rows),))


PROGRAM = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np
import test_prepare
from dgbench.data.cache import prepare as module
module._ROWS = 2
told = []
def tell(done, total):
    told.append(done)
    print("working", flush=True)
made = module.prepare(test_prepare.slow(), test_prepare.MANIFEST, 8, "stretch", workers=2, progress=tell)
print("decoded" if told else "waited", int(np.asarray(made.domains[0].inputs, np.int64).sum()), flush=True)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A command that prepares slow pictures, in a process of its own with two workers."""
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parent)]))
    return [sys.executable, str(tmp_path / "program.py")]


def test_a_killed_process_leaves_nothing_that_looks_whole(program: list[str], tmp_path: Path) -> None:
    started = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "working\n"
    started.send_signal(signal.SIGKILL)
    started.wait()
    partial, lock = sorted(left(tmp_path / "pets"), key=lambda name: name.endswith(".lock"))
    assert lock == ".0123456789abcdef-8-stretch.lock"
    assert partial.startswith(".0123456789abcdef-8-stretch.")
    assert started.stderr is not None
    started.stderr.read()  # ends when the workers, which have the same one, are gone
    prepare(slow(), MANIFEST, 8, "stretch")
    assert left(tmp_path / "pets") == ["0123456789abcdef-8-stretch"]


def test_of_two_processes_one_waits_for_the_other(program: list[str]) -> None:
    started = [subprocess.Popen(program, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0].splitlines()[-1].split() for process in started]
    assert sorted(word for word, _ in said) == ["decoded", "waited"]
    assert said[0][1] == said[1][1]
