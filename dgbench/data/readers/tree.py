"""Images in folders: ``domain/class/image`` and its relatives, with or without files that list the images."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dgbench.core.dataset_card import DatasetCard, Tree
from dgbench.core.errors import CardError, DataError
from dgbench.data.listing import DomainListing, Listing
from dgbench.data.pictures import Files
from dgbench.data.readers import lists
from dgbench.data.readers.layouts import Layout, Meanings, domain_text, entries
from dgbench.data.readers.naming import (
    Classes,
    Names,
    classes_of,
    domain_names,
    hint,
    numbered,
    plain,
    some,
    split_meanings,
)
from dgbench.data.suffixes import divide

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cell:
    """Images of one domain (its number), split and class (names as on disk); paths are below the root."""

    domain: int
    split: str | None
    label: str
    images: tuple[str, ...]


@dataclass
class Finds:
    """What a layout finds.

    Attributes:
        cells: Folders of images, also empty ones.
        entered: Domains of which there is a folder.
        strangers: Names where a domain is expected, that are none of the card's.
        unknown_splits: Names where a split is expected, that the card does not explain.
        skipped: How many files are no images that are read.
        left_out: Those of them that are images, by kind.
    """

    layout: Layout
    cells: list[Cell] = field(default_factory=list)
    entered: set[int] = field(default_factory=set)
    strangers: set[str] = field(default_factory=set)
    unknown_splits: set[str] = field(default_factory=set)
    skipped: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def filled(self) -> set[int]:
        """Domains that have an image."""
        return {cell.domain for cell in self.cells if cell.images}


def read(card: DatasetCard, reader: Tree, root: Path) -> Listing:
    """What lies below ``root``.

    Raises:
        CardError: a layout of the card cannot be understood.
        DataError: no layout fits, a domain is missing or empty, or its classes are not those of the others.
    """
    layouts = [Layout.parse(text) for text in reader.layouts]
    for layout in layouts:
        if not layout.names_domain and len(card.domains) > 1:
            raise CardError(f"{card.name}: layout '{layout.text}' names no domain, but the card has several")
    if reader.lists:
        listed = lists.find(card, reader, root)
        if listed:
            return lists.read(card, reader, root, layouts, listed)
    finds = _best(card, reader, layouts, root)
    _all_domains(card, reader, finds, root)
    try:
        classes = _classes(card, reader, {cell.label for cell in finds.cells if cell.images})
        _same_classes(card, reader, finds, classes, root)
    except DataError as error:
        if reader.lists:
            raise DataError(f"{error}\nThere is no {root / reader.lists} either, to say which images count.") from error
        raise
    if finds.skipped:
        log.info("%s: %d files below %s are no images and are passed over", card.name, finds.skipped, root)
    if finds.unknown_splits:
        log.warning(
            "%s: folders %s below %s are passed over, since the card does not say in 'reader.splits' what they mean",
            *(card.name, some(sorted(finds.unknown_splits)), root),
        )
    return Listing(
        card.name,
        classes.names,
        tuple(
            _domain(domain.name, [cell for cell in finds.cells if cell.domain == i], classes, reader, root)
            for i, domain in enumerate(card.domains)
        ),
        left_out=finds.left_out,
    )


def imagenet() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The WordNet ids and the names of ImageNet's 1,000 classes, in order."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    ids = tuple(info.label_names())
    names = [info.index_to_description(i) for i in range(len(ids))]
    return ids, tuple(f"{name} ({id})" if names.count(name) > 1 else name for id, name in zip(ids, names, strict=True))


def _best(card: DatasetCard, reader: Tree, layouts: Sequence[Layout], root: Path) -> Finds:
    """What the first layout finds that has every domain; else the one that has most of them."""
    best: Finds | None = None
    for layout in layouts:
        finds = _walk(layout, domain_names(card), split_meanings(reader.splits), root)
        if best is None or len(finds.filled) > len(best.filled):
            best = finds
        if len(finds.filled) == len(card.domains):
            break
    assert best is not None  # a card has at least one layout
    return best


def _walk(layout: Layout, domains: Names, splits: Meanings, root: Path) -> Finds:
    finds = Finds(layout)

    def enter(known: Meanings) -> bool:
        if "split" in known and plain(known["split"]) not in splits:
            finds.unknown_splits.add(known["split"])
            return False
        domain = domain_text(known)
        if domain is None:
            return True
        number = domains.number(domain)
        if number is None:
            finds.strangers.add(domain)
            return False
        finds.entered.add(number)
        return True

    for folder, known in layout.walk(root, enter):
        names = entries(root / folder, folders=False)
        images, left_out = divide(root / folder, names)
        finds.left_out += left_out
        finds.skipped += len(names) - len(images)
        domain = domain_text(known)
        number = 0 if domain is None else domains.number(domain)
        assert number is not None  # else it had not been entered
        for label, paths in _by_class(layout, folder, known, images).items():
            finds.cells.append(Cell(number, known.get("split"), label, tuple(paths)))
    return finds


def _by_class(layout: Layout, folder: str, known: Meanings, images: Sequence[str]) -> dict[str, list[str]]:
    if layout.file is None:
        return {known["class"]: [folder + name for name in images]}
    found: dict[str, list[str]] = defaultdict(list)
    for name in images:
        match = layout.file.fullmatch(name.rpartition(".")[0])
        if match:
            found[{**known, **match.groupdict()}["class"]].append(folder + name)
    return found


def _all_domains(card: DatasetCard, reader: Tree, finds: Finds, root: Path) -> None:
    """Refuse a dataset that lacks a domain."""
    absent = [i for i in range(len(card.domains)) if i not in finds.filled]
    if not absent:
        return
    names = [card.domains[i].name for i in absent]
    if len(absent) == len(card.domains):
        there = some(entries(root, folders=True)) or "no folder"
        raise DataError(
            f"{card.name}: there is no image in {root} where the card expects them, "
            f"{' or '.join(repr(f'{text}/image') for text in reader.layouts)}. The folder holds {there}."
        )
    empty = [card.domains[i].name for i in absent if i in finds.entered]
    if empty:
        raise DataError(
            f"{card.name}: there is no image of domain {some(empty)} in {root} (layout '{finds.layout.text}'); "
            "fetch it again, or take it off the card"
        )
    strangers = sorted(finds.strangers)
    there = f"there are also {some(strangers)}.{hint(names, strangers)}" if strangers else "there are no others."
    raise DataError(
        f"{card.name}: there is no folder of domain {some(names)} in {root} (layout '{finds.layout.text}'); {there} "
        "Another name of a folder goes into 'folders' of the domain on the card."
    )


def _classes(card: DatasetCard, reader: Tree, found: set[str]) -> Classes:
    if reader.names == "imagenet":
        ids, names = imagenet()
        if card.class_count != len(ids):
            raise CardError(f"{card.name}: the card says {card.class_count} classes, but ImageNet has {len(ids)}")
        on_disk = numbered(len(ids)) if reader.order == "number" else Names.of((id, i) for i, id in enumerate(ids))
        return Classes(card.classes if isinstance(card.classes, tuple) else names, on_disk)
    if reader.order == "number":
        names = card.classes if isinstance(card.classes, tuple) else tuple(str(i) for i in range(card.classes))
        return Classes(names, numbered(len(names)))
    return classes_of(card, found)


def _same_classes(card: DatasetCard, reader: Tree, finds: Finds, classes: Classes, root: Path) -> None:
    """Refuse domains that do not have the same classes; a class has a folder, if only an empty one.

    Sets whose classes are ImageNet's may have fewer of them, but the same in all domains.
    """
    number = {cell.label: classes.on_disk.number(cell.label) for cell in finds.cells}
    seen = {n for n in number.values() if n is not None}
    expected = seen if reader.names == "imagenet" else set(range(len(classes.names)))
    lines = []
    for i, domain in enumerate(card.domains):
        cells = [cell for cell in finds.cells if cell.domain == i]
        missing = sorted(expected - {n for cell in cells if (n := number[cell.label]) is not None})
        extra = sorted({cell.label for cell in cells if cell.images and number[cell.label] is None})
        parts = [f"missing {some(classes.names[n] for n in missing)}"] if missing else []
        parts += [f"not on the card: {some(extra)}.{hint(extra, classes.names)}"] if extra else []
        if parts:
            lines.append(f"\n  {domain.name}: {'; '.join(parts)}")
    if lines:
        raise DataError(
            f"{card.name}: the folders of classes in {root} (layout '{finds.layout.text}') are not the same in all "
            f"domains, or not those of the card:{''.join(lines)}"
        )


def _domain(name: str, cells: Sequence[Cell], classes: Classes, reader: Tree, root: Path) -> DomainListing:
    """The images of a domain by class and file name, so that layouts of the same images agree on the order."""
    meanings = split_meanings(reader.splits)
    found = sorted(
        (classes.on_disk.number(cell.label), path.rpartition("/")[2], path, cell.split)
        for cell in cells
        for path in cell.images
    )
    official = [meanings[plain(split)] for *_, split in found if split is not None]
    return DomainListing(
        name,
        Files(root, tuple(path for _, _, path, _ in found)),
        np.array([label for label, *_ in found], np.int64),
        np.arange(len(found), dtype=np.int64),
        np.array(official, "<U10") if official else None,
    )
