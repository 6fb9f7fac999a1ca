import dataclasses
import itertools
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dgbench.core.decoding import AS_LOADERS
from dgbench.core.errors import DataError
from dgbench.data.cache.prepare import prepare
from dgbench.data.cache.streamed import stream
from dgbench.data.disk.check import check
from dgbench.data.disk.picture_survey import survey
from dgbench.data.listing import DomainListing, Listing
from dgbench.data.pixels.in_flight import LIMIT, PIXELS, Room
from dgbench.data.pixels.pictures import Files

MEGA = 2**20


@pytest.mark.parametrize("made", [Room.of, Room.shared], ids=["for threads", "for processes"])
def test_no_more_is_held_than_there_is_room_for(made: Callable[[int], Room]) -> None:
    room, lock = made(10 * MEGA), threading.Lock()
    held: list[int] = []
    most: list[tuple[int, int]] = []

    def work(pixels: int) -> None:
        with room.hold(pixels):
            with lock:
                held.append(pixels)
                most.append((sum(held), len(held)))
            time.sleep(0.001)
            with lock:
                held.remove(pixels)

    sizes = np.random.default_rng(0).choice([1, MEGA, 3 * MEGA, 7 * MEGA, 25 * MEGA], 120).tolist()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, sizes))
    assert all(pixels <= 10 * MEGA or count == 1 for pixels, count in most), "what is larger than the room is alone"
    assert max(count for _, count in most) > 1
    assert held == []
    room.close()


def test_a_large_picture_is_not_passed_for_ever_by_small_ones() -> None:
    room, stop = Room.of(4 * MEGA), threading.Event()

    def small() -> None:
        while not stop.is_set():
            with room.hold(MEGA):
                time.sleep(0.001)

    others = [threading.Thread(target=small) for _ in range(6)]
    for thread in others:
        thread.start()

    def large() -> None:
        with room.hold(4 * MEGA):
            pass

    waiting = threading.Thread(target=large, daemon=True)
    waiting.start()
    waiting.join(timeout=20)
    stop.set()
    for thread in others:
        thread.join()
    assert not waiting.is_alive()


def test_room_is_given_back_when_something_fails() -> None:
    room = Room.of(2 * MEGA)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), room.hold(2 * MEGA):
            raise ZeroDivisionError
    with room.hold(2 * MEGA):
        pass


def write_header(path: Path, side: int) -> None:
    """A picture of which nothing is there but its size."""
    kind, size = b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    header = struct.pack(">I", len(size)) + kind + size + struct.pack(">I", zlib.crc32(kind + size))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 1) + b"IDAT")


@pytest.mark.parametrize(("side", "suffix"), [(13_400, "png"), (20_000, "png"), (13_400, "npy")])
def test_a_picture_that_is_too_large_is_refused_by_name_before_it_is_decoded(
    tmp_path: Path, side: int, suffix: str
) -> None:
    path = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(side, side))  # a hole
    else:
        write_header(path, side)
    assert side**2 > LIMIT
    with pytest.raises(DataError, match=rf"x\.{suffix} .*make it smaller, or take it out"):
        Files(tmp_path, (path.name,)).read(0)


@dataclasses.dataclass(frozen=True)
class Timed(Files):
    """Files that note in a folder from when to when each of them is open, in whichever process."""

    notes: Path = dataclasses.field(default_factory=Path)

    @contextmanager
    def open(self, row: int) -> Iterator[Image.Image]:
        with super().open(row) as image:
            started = time.monotonic()
            time.sleep(0.05)  # long enough for another thread, or process, to come along
            yield image
            (self.notes / f"{row}").write_text(f"{started} {time.monotonic()}")

    def overlap(self) -> bool:
        """Whether any two were open at the same time."""
        spans = sorted(tuple(map(float, note.read_text().split())) for note in self.notes.iterdir())
        assert len(spans) == len(self)
        return any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans))


CARD = SimpleNamespace(decoding=AS_LOADERS, value=None, domains=(SimpleNamespace(name="only", count=None, without=()),))
WAYS: dict[str, Callable[[Listing], object]] = {
    "survey": lambda listing: survey([listing.domains[0].pictures]),
    "check": lambda listing: check(CARD, listing),  # type: ignore[arg-type]
    "stream": lambda listing: stream(listing, "0" * 64, 8, "stretch").domains[0].inputs[np.arange(4)],
    "prepare": lambda listing: prepare(listing, "0" * 64, 8, "stretch", workers=4),
}
"""Everything that decodes many pictures at once."""


@pytest.mark.parametrize("way", WAYS)
def test_every_pool_decodes_large_pictures_one_after_the_other(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("dgbench.data.cache.streamed.cores", lambda: 4)
    monkeypatch.setattr("dgbench.data.cache.prepare._ROWS", 1)
    pictures, rows = Timed(tmp_path, tuple(f"{n}.png" for n in range(4)), tmp_path / "notes"), np.arange(4)
    pictures.notes.mkdir()
    for name in pictures.names:
        Image.new("L", (2000, 1000)).save(tmp_path / name)
    listing = Listing("big", ("x", "y"), (DomainListing("only", pictures, rows % 2, rows),))
    for pixels, together in ((3 * MEGA, False), (100 * MEGA, True)):
        monkeypatch.setattr("dgbench.data.pixels.in_flight._room", Room.of(pixels))
        monkeypatch.setattr("dgbench.data.cache.prepare.PIXELS", pixels)
        WAYS[way](listing)
        if not together:
            assert not pictures.overlap()
        elif way != "prepare":  # it has prepared them already
            assert pictures.overlap(), "this test would see it"


def test_pictures_that_take_more_memory_count_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    monkeypatch.setattr(
        "dgbench.data.pixels.in_flight._room", SimpleNamespace(hold=lambda n: counted.append(n) or nullcontext())
    )
    grey, clear = Image.new("L", (20, 10)), Image.new("RGBA", (20, 10))
    kinds = {"a.png": grey, "b.jpg": grey, "c.png": clear, "d.jpg": grey.convert("CMYK"), "e.jpg": grey, "f.webp": grey}
    for name, image in kinds.items():
        image.save(tmp_path / name, progressive=name.startswith("e"))
    files = Files(tmp_path, tuple(kinds))
    for row in range(len(files)):
        files.read(row)
    assert [pixels // 200 for pixels in counted] == [1, 1, 2, 2, 2, 3]


PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from dgbench.core.dataset_card import DatasetCard
from dgbench.data.disk.check import check
from dgbench.data.disk.readers import read

domains = [dict(name="a"), dict(name="b")]
reader = dict(kind="tree", layouts=["{domain}/{class}"])
about = dict(name="big", title="", summary="", path=sys.argv[1], licence="", redistribution="", classes=["x", "y"])
card = DatasetCard.model_validate(about | dict(reader=reader, domains=domains))
assert "all 4 pictures" in check(card, read(card, Path(sys.argv[1])))[0].text
# Not ru_maxrss: that begins with what the process that started this one had.
(peak,) = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak) // 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is told elsewhere in other ways")
def test_two_small_files_of_102_megapixels_take_the_memory_of_one(tmp_path: Path) -> None:
    one = tmp_path / "0.png"
    side = 10_100
    assert 2 * side**2 > PIXELS
    assert side**2 > 2**30 // 12, "Pillow would warn of it, unless a library told it not to"
    Image.new("1", (side, side)).save(one)
    assert one.stat().st_size < 50_000
    for folder in ("a/x", "a/y", "b/x", "b/y"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("a/x", "b/y"):
        (tmp_path / folder / "0.png").hardlink_to(one)
    for folder in ("a/y", "b/x"):
        Image.new("1", (8, 8)).save(tmp_path / folder / "0.png")
    one.unlink()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, ""), "nobody is warned of bombs that are bounded"
    assert int(done.stdout) < 800, "megabytes"
