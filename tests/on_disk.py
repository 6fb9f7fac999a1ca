"""A small dataset of image files, and how its listing is made: what readers do, in a few lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from dgbench.data.cache.content import Progress, identified, silent
from dgbench.data.listing import DomainListing, Listing
from dgbench.data.pixels.pictures import Files

CLASSES = ("cat", "dog")


@dataclass(frozen=True)
class Watched(Files):
    """Files that notes in a folder which of them are decoded or digested, by whichever process."""

    notes: Path = field(default_factory=Path)

    def digest(self, row: int) -> bytes:
        self._note(f"digest-{row}")
        return super().digest(row)

    @contextmanager
    def open(self, row: int) -> Iterator[Image.Image]:
        self._note(f"read-{row}")
        with super().open(row) as image:
            yield image

    def _note(self, what: str) -> None:
        self.notes.mkdir(exist_ok=True)
        with (self.notes / what).open("a") as file:
            file.write("x")


def write_pictures(root: Path, count: int = 5) -> None:
    """``art/0.png`` and so on, of many sizes; some square, some grey, one JPEG."""
    rng = np.random.default_rng(0)
    for domain in ("art", "photo"):
        (root / domain).mkdir(parents=True)
        for number in range(count):
            shape = [(40, 30, 3), (24, 24, 3), (30, 70, 3), (9, 12, 3), (33, 33)][number % 5]
            image = Image.fromarray(rng.integers(0, 256, shape, np.uint8))
            image.save(root / domain / f"{number}.{'jpg' if number == 2 else 'png'}")


def read_listing(root: Path, **changes: object) -> Listing:
    domains = []
    for name in ("art", "photo"):
        paths = sorted(path.relative_to(root).as_posix() for path in (root / name).iterdir())
        rows = np.arange(len(paths), dtype=np.int64)
        pictures = Watched(root, tuple(paths), root.parent / f"notes-{name}")
        domains.append(DomainListing(name, pictures, rows % 2, rows))
    return Listing(**{"name": "pets", "classes": CLASSES, "domains": tuple(domains)} | changes)


def times(root: Path, what: str) -> int:
    """How often pictures were decoded (``read``) or digested (``digest``)."""
    return sum(len(note.read_text()) for note in root.parent.glob(f"notes-*/{what}-*"))


def manifest(listing: Listing, root: Path, progress: Progress = silent) -> str:
    """Of a listing."""
    return identified(listing, root, progress)[1]
