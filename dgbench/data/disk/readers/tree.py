"""Images in folders: ``domain/class/image`` and its relatives, with or without files that list the images."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import CardError, DataError
from dgbench.core.names import readable
from dgbench.core.reader_cards import Tree
from dgbench.data.disk.folders import contents
from dgbench.data.disk.naming import (
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
from dgbench.data.disk.readers import lists
from dgbench.data.disk.readers.finds import Cell, Finds, search
from dgbench.data.disk.readers.layouts import Layout
from dgbench.data.listing import DomainListing, Listing
from dgbench.data.pixels.pictures import Files

log = logging.getLogger(__name__)


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
    cells = _of_domains(card, finds)
    _all_domains(card, reader, finds, cells, root)
    try:
        classes = _classes(card, reader, {cell.label for of_domain in cells for cell in of_domain if cell.images})
        _same_classes(card, reader, finds, cells, classes, root)
    except DataError as error:
        if reader.lists:
            raise DataError(f"{error}\nThere is no {root / reader.lists} either, to say which images count.") from error
        raise
    _report(card, finds, cells, classes, root)
    return Listing(
        card.name,
        classes.names,
        tuple(
            _domain(domain.name, of_domain, classes, reader, root)
            for domain, of_domain in zip(card.domains, cells, strict=True)
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
    names, splits = domain_names(card), split_meanings(reader.splits)
    best, most = None, -1
    for layout in layouts:
        finds = search(layout, root, splits, lambda domain: names.number(domain) is not None)
        filled = sum(any(cell.images for cell in of_domain) for of_domain in _of_domains(card, finds))
        if filled > most:
            best, most = finds, filled
        if filled == len(card.domains):
            break
    assert best is not None  # a card has at least one layout
    return best


def _of_domains(card: DatasetCard, finds: Finds) -> list[list[Cell]]:
    """The cells of each domain of the card."""
    names = domain_names(card)
    cells: list[list[Cell]] = [[] for _ in card.domains]
    for cell in finds.cells:
        number = 0 if cell.domain is None else names.number(cell.domain)
        assert number is not None  # else it had not been looked for
        cells[number].append(cell)
    return cells


def _all_domains(card: DatasetCard, reader: Tree, finds: Finds, cells: Sequence[Sequence[Cell]], root: Path) -> None:
    """Refuse a dataset that lacks a domain."""
    absent = [i for i, of_domain in enumerate(cells) if not any(cell.images for cell in of_domain)]
    if not absent:
        return
    names = [card.domains[i].name for i in absent]
    if len(absent) == len(card.domains):
        there = some(map(readable, contents(root).folders)) or "no folder"
        raise DataError(
            f"{card.name}: there is no image in {root} where the card expects them, "
            f"{' or '.join(repr(f'{text}/image') for text in reader.layouts)}. The folder holds {there}."
        )
    numbers = {domain_names(card).number(name) for name in finds.entered}
    empty = [card.domains[i].name for i in absent if i in numbers]
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


def _same_classes(
    card: DatasetCard, reader: Tree, finds: Finds, cells: Sequence[Sequence[Cell]], classes: Classes, root: Path
) -> None:
    """Refuse domains that do not have the same classes, but for those that the card says a domain is without; a class
    has a folder, if only an empty one.

    Sets whose classes are ImageNet's may have fewer of them, but the same in all domains.
    """
    number = {cell.label: classes.on_disk.number(cell.label) for of_domain in cells for cell in of_domain}
    seen = {n for n in number.values() if n is not None}
    expected = seen if reader.names == "imagenet" else set(range(len(classes.names)))
    lines: list[str] = []
    absent: list[str] = []
    for domain, of_domain in zip(card.domains, cells, strict=True):
        known = {n for cell in of_domain if (n := number[cell.label]) is not None}
        declared = {classes.names.index(name) for name in domain.without if name in classes.names}
        missing = sorted(expected - known - declared)
        absent += [name for n in missing if (name := classes.names[n]) not in absent]
        extra = sorted({cell.label for cell in of_domain if cell.images and number[cell.label] is None})
        parts = [f"missing {some(classes.names[n] for n in missing)}"] if missing else []
        parts += [f"not on the card: {some(extra)}.{hint(extra, classes.names)}"] if extra else []
        if parts:
            lines.append(f"\n  {domain.name}: {'; '.join(parts)}")
    if lines:
        raise DataError(
            f"{card.name}: the folders of classes in {root} (layout '{finds.layout.text}') are not the same in all "
            f"domains, or not those of the card:{''.join(lines)}"
            + (
                f"\nA class that a domain really lacks is named on the card: without = ['{absent[0]}']"
                if absent
                else ""
            )
        )


def _report(card: DatasetCard, finds: Finds, cells: Sequence[Sequence[Cell]], classes: Classes, root: Path) -> None:
    """Say what was passed over, and what was taken for one."""
    if finds.skipped:
        log.info("%s: %d files below %s are no images and are passed over", card.name, finds.skipped, root)
    if finds.unknown_splits:
        log.warning(
            "%s: folders %s below %s are passed over, since the card does not say in 'reader.splits' what they mean",
            *(card.name, some(sorted(finds.unknown_splits)), root),
        )
    if finds.links.broken:
        names = some(map(readable, finds.links.broken))
        log.warning("%s: links below %s that lead nowhere are passed over: %s", card.name, root, names)
    for domain, of_domain in zip(card.domains, cells, strict=True):
        filled = [cell for cell in of_domain if cell.images]
        taken = {domain.name: {cell.domain for cell in filled if cell.domain is not None}}
        labels: dict[int | None, set[str]] = defaultdict(set)
        for cell in filled:
            labels[classes.on_disk.number(cell.label)].add(cell.label)
        taken |= {f"{domain.name}/{classes.names[n]}": found for n, found in labels.items() if n is not None}
        for name, found in taken.items():
            if len(found) > 1:
                log.warning("%s: folders %s in %s are all taken for '%s'", card.name, some(sorted(found)), root, name)


def _domain(name: str, cells: Sequence[Cell], classes: Classes, reader: Tree, root: Path) -> DomainListing:
    """The images of a domain by class and file name, so that layouts of the same images agree on the order, and disks
    that compose accents or take them apart."""
    meanings = split_meanings(reader.splits)
    found = sorted(
        (classes.on_disk.number(cell.label), readable(path.rpartition("/")[2]), readable(path), path, cell.split)
        for cell in cells
        for path in cell.images
    )
    official = [meanings[plain(split)] for *_, split in found if split is not None]
    return DomainListing(
        name,
        Files(root, tuple(path for *_, path, _ in found)),
        np.array([label for label, *_ in found], np.int64),
        np.arange(len(found), dtype=np.int64),
        np.array(official, "<U10") if official else None,
    )
