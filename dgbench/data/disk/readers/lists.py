"""Files that list the images of a tree, their splits and labels: lines of a path and a number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import CardError, DataError
from dgbench.core.files import open_plain
from dgbench.core.names import readable
from dgbench.core.reader_cards import Tree
from dgbench.data.disk.naming import SPLITS, Names, Present, domain_names, plain, some, split_meanings
from dgbench.data.disk.readers.layouts import Layout, domain_text
from dgbench.data.listing import DomainListing, Listing
from dgbench.data.pixels.pictures import Files


@dataclass(frozen=True)
class ListFile:
    """A file, the number of its domain, and the split that it lists (if it lists one)."""

    path: Path
    domain: int
    split: str | None


@dataclass(frozen=True)
class Entry:
    """A line of a list: where it stands, the image's path below the root, its label from 0, and its split."""

    where: str
    path: str
    label: int
    split: str | None


def find(card: DatasetCard, reader: Tree, root: Path) -> list[ListFile]:
    """The lists that are there, by name.

    Raises:
        CardError: the card's pattern cannot be one.
        DataError: some domains have lists and others have none.
    """
    assert reader.lists is not None
    meanings = split_meanings(reader.splits)
    splits = "|".join(re.escape(name) for name in {**SPLITS, **reader.splits})
    expression = re.escape(readable(reader.lists)).replace(r"\{domain\}", "(?P<domain>.+)")
    try:
        pattern = re.compile(expression.replace(r"\{split\}", f"(?P<split>{splits})"), re.IGNORECASE)
        listed = sorted(root.glob(re.sub(r"\{\w+\}", "*", reader.lists)))
    except (re.error, ValueError, NotImplementedError, IndexError) as error:
        raise CardError(
            f"{card.name}: reader.lists: '{reader.lists}' is no pattern of files below the data ({error}); it is like "
            "'splits/{domain}_{split}.txt', with each place once"
        ) from error
    domains = domain_names(card)
    found = []
    for path in listed:
        match = pattern.fullmatch(readable(path.relative_to(root).as_posix()))
        known = match.groupdict() if match else {}
        domain = domains.number(known["domain"]) if "domain" in known else None
        if domain is not None:
            found.append(ListFile(path, domain, meanings[plain(known["split"])] if "split" in known else None))
    without = [d.name for i, d in enumerate(card.domains) if i not in {file.domain for file in found}]
    if found and without:
        raise DataError(f"{card.name}: there is no list {root / reader.lists} for domain {some(without)}")
    return found


def read(card: DatasetCard, reader: Tree, root: Path, layouts: Sequence[Layout], files: Sequence[ListFile]) -> Listing:
    """The images that lists name.

    Raises:
        DataError: a line cannot be understood, its label is out of range or not that of the image's folder, or the
            image is not there; the message names file and line.
    """
    present = Present(root)
    bases = ["", *(layout.base for layout in layouts)]
    by_domain: list[dict[str, Entry]] = []
    for i, domain in enumerate(card.domains):
        listed = [entry for file in files if file.domain == i for entry in _entries(file, card, reader, bases, present)]
        by_domain.append(_merge(domain.name, listed))
    names = _class_names(card, layouts, [entry for entries in by_domain for entry in entries.values()])
    return Listing(
        card.name,
        names,
        tuple(_domain(domain.name, by_domain[i], root) for i, domain in enumerate(card.domains)),
    )


def _entries(
    file: ListFile, card: DatasetCard, reader: Tree, bases: Sequence[str], present: Present
) -> Iterator[Entry]:
    """The lines of a list; an image's path starts at the root, or at one of the folders ``bases`` below it."""
    try:
        with open_plain(file.path) as opened:
            lines = opened.read().decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file.path} cannot be read ({error}); fetch it again") from error
    for number, line in enumerate(lines, 1):
        where = f"{file.path}:{number}"
        if not line.strip():
            continue
        path, label = (*line.rsplit(maxsplit=1), "")[:2]
        if not label.isdecimal() or len(label) > 9:
            raise DataError(f"{where}: expected the path of an image, a space and a number, but it is '{line}'")
        path = path.strip().removeprefix("./")
        if path in reader.ignore:
            continue
        position = int(label) - reader.first_label
        if not 0 <= position < card.class_count:
            last = reader.first_label + card.class_count - 1
            raise DataError(f"{where}: label {label} is out of range; labels go from {reader.first_label} to {last}")
        there = next((there for base in bases if (there := present.find(base + path)) is not None), None)
        if there is None:
            raise DataError(f"{where}: there is no image '{path}'; fetch the data again, or mend the list")
        yield Entry(where, there, position, file.split)


def _merge(domain: str, entries: Sequence[Entry]) -> dict[str, Entry]:
    """The entries of a domain by path.

    No image may be listed twice. But where the test list repeats all others (the whole domain is the test set of those
    who train elsewhere) the others count.
    """
    others = {entry.path for entry in entries if entry.split != "test"}
    repeats = bool(others) and others <= {entry.path for entry in entries if entry.split == "test"}
    merged: dict[str, Entry] = {}
    for entry in entries:
        if repeats and entry.split == "test" and entry.path in others:
            continue
        if entry.path in merged:
            raise DataError(
                f"{entry.where}: '{entry.path}' of domain '{domain}' is also at {merged[entry.path].where}; "
                "an image can be in one split only"
            )
        merged[entry.path] = entry
    if not merged:
        raise DataError(f"the lists of domain '{domain}' are empty; fetch them again")
    return merged


def _class_names(card: DatasetCard, layouts: Sequence[Layout], entries: Sequence[Entry]) -> tuple[str, ...]:
    """Class names by number: those of the card, or of the folders; folders must agree with the lists."""
    domains = domain_names(card)
    known = Names.of((name, i) for i, name in enumerate(card.classes)) if isinstance(card.classes, tuple) else None
    names: dict[int, str] = {}
    numbers: dict[str, int] = {}
    for entry in entries:
        folder = _class_folder(layouts, domains, entry.path)
        if folder is None:
            continue
        name = plain(folder)
        expected = numbers.setdefault(name, entry.label)
        if known is not None:
            expected = next((n for n in (known.number(folder), _as_number(folder)) if n is not None), -1)
        if expected != entry.label or plain(names.setdefault(entry.label, folder)) != name:
            raise DataError(
                f"{entry.where}: the list gives '{entry.path}' the class number {entry.label} (from 0), "
                f"but its folder says '{folder}'; one of them is wrong"
            )
    if isinstance(card.classes, tuple):
        return card.classes
    if set(names) != set(range(card.classes)):
        raise CardError(f"{card.name}: nothing names the classes; the lists name {len(names)} of {card.classes}")
    return tuple(names[i] for i in range(card.classes))


def _class_folder(layouts: Sequence[Layout], domains: Names, path: str) -> str | None:
    """What the path of an image says about its class, by the first layout that fits and names a domain of the card."""
    for layout in layouts:
        found = layout.match(path)
        if found is not None:
            domain = domain_text(found)
            if domain is None or domains.number(domain) is not None:
                return found["class"]
    return None


def _as_number(folder: str) -> int | None:
    return int(folder) if folder.isdecimal() else None


def _domain(name: str, entries: dict[str, Entry], root: Path) -> DomainListing:
    found = sorted(entries.values(), key=_place)
    official = [entry.split for entry in found if entry.split is not None]
    return DomainListing(
        name,
        Files(root, tuple(entry.path for entry in found)),
        np.array([entry.label for entry in found], np.int64),
        np.arange(len(found), dtype=np.int64),
        np.array(official, "<U10") if official else None,
    )


def _place(entry: Entry) -> tuple[int, str, str]:
    """By class and file name, as in a tree without lists."""
    return entry.label, readable(entry.path.rpartition("/")[2]), readable(entry.path)
