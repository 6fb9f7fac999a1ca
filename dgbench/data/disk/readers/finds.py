"""What lies in folders by a layout: images of domains, classes and splits by the names that are there."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dgbench.core.errors import DataError
from dgbench.core.names import readable
from dgbench.data.disk.folders import Links, walk
from dgbench.data.disk.naming import plain
from dgbench.data.disk.readers.layouts import Layout, Meanings, domain_text
from dgbench.data.pixels.suffixes import divide


@dataclass(frozen=True)
class Cell:
    """Images of one domain, split and class, as folders are called; paths are below the root, as they stand on the
    disk."""

    domain: str | None
    split: str | None
    label: str
    images: tuple[str, ...]


@dataclass
class Finds:
    """What a layout finds.

    Attributes:
        cells: Folders of images, also empty ones.
        entered: Domains of which there is a folder.
        strangers: Names where a domain is expected, that are none of those wanted.
        unknown_splits: Names where a split is expected, of which nobody knows what they mean.
        spelled: How each name of a folder stands on the disk: accents may be composed or not.
        skipped: How many files are no images that are read.
        left_out: Those of them that are images, by kind.
        links: Those that are not followed.
    """

    layout: Layout
    cells: list[Cell] = field(default_factory=list)
    entered: set[str] = field(default_factory=set)
    strangers: set[str] = field(default_factory=set)
    unknown_splits: set[str] = field(default_factory=set)
    spelled: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    skipped: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    links: Links = field(default_factory=Links)

    @property
    def filled(self) -> set[str | None]:
        """Domains that have an image."""
        return {cell.domain for cell in self.cells if cell.images}

    @property
    def composed(self) -> list[str]:
        """Names that stand on the disk in two ways that look the same."""
        return sorted(name for name, spellings in self.spelled.items() if len(spellings) > 1)


def search(
    layout: Layout, root: Path, splits: Mapping[str, str], wanted: Callable[[str], bool] = lambda domain: True
) -> Finds:
    """What lies below a folder.

    Args:
        layout: What folders mean.
        root: The dataset's folder.
        splits: What names of splits mean, by their plain form.
        wanted: Which domains are looked for.

    Raises:
        DataError: a folder cannot be read, or two have names that cannot be told apart.
    """
    finds = Finds(layout)

    def enter(state: tuple[int, Meanings], name: str) -> tuple[int, Meanings] | None:
        level, known = state
        if level == len(layout.folders):
            return None
        match = layout.folders[level].fullmatch(readable(name))
        if match is None:
            return None
        now = {**known, **match.groupdict()}
        if "split" in now and plain(now["split"]) not in splits:
            finds.unknown_splits.add(now["split"])
            return None
        domain = domain_text(now)
        if domain is not None:
            if not wanted(domain):
                finds.strangers.add(domain)
                return None
            finds.entered.add(domain)
        finds.spelled[readable(name)].add(name)
        return level + 1, now

    start: tuple[int, Meanings] = (0, {})
    for folder, (level, known), found in walk(root, start, enter, finds.links):
        if level < len(layout.folders):
            continue
        images, left_out = divide(root / folder, found.files)
        finds.left_out += left_out
        finds.skipped += len(found.files) - len(images)
        for label, paths in _by_class(layout, folder, known, images).items():
            finds.cells.append(Cell(domain_text(known), known.get("split"), label, tuple(paths)))
    _refuse_lookalikes(finds, root)
    return finds


def _by_class(layout: Layout, folder: str, known: Meanings, images: Sequence[str]) -> dict[str, list[str]]:
    if layout.file is None:
        return {known["class"]: [folder + name for name in images]}
    found: dict[str, list[str]] = defaultdict(list)
    for name in images:
        match = layout.file.fullmatch(readable(name.rpartition(".")[0]))
        if match:
            found[{**known, **match.groupdict()}["class"]].append(folder + name)
    return found


def _refuse_lookalikes(finds: Finds, root: Path) -> None:
    """Refuse a name that stands for bytes that are no UTF-8 in one place, and for itself in another."""
    for name, spellings in finds.spelled.items():
        if len({unicodedata.normalize("NFC", spelling) for spelling in spellings}) > 1:
            raise DataError(f"{root}: two folders would be called '{name}', though they differ on disk; rename one")
