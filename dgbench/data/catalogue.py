"""Datasets by name: built, or read from where they lie and decoded once; nothing here imports torch.

What is built is kept (``cache.built``), and so are decoded pictures (``cache.prepare``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from dgbench.core.cases import Place
from dgbench.core.dataset_card import DatasetCard, DomainCard, dataset_card
from dgbench.core.errors import DataError
from dgbench.core.locks import in_turn
from dgbench.core.paths import cache_root
from dgbench.core.reader_cards import BuiltIn, Made
from dgbench.data.cache import built, content
from dgbench.data.cache.content import Progress, silent
from dgbench.data.cache.prepare import prepare
from dgbench.data.cache.streamed import stream, streamed, wanted
from dgbench.data.disk.locate import find, locate
from dgbench.data.disk.readers import read
from dgbench.data.domain import Dataset, Domain
from dgbench.data.listing import DomainListing, Listing
from dgbench.data.manifest import assemble
from dgbench.data.pixels.pictures import Frames
from dgbench.data.samples import pixel_contents
from dgbench.data.sets.builders import build

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OutlineDomain:
    """What a plan needs of a domain.

    Attributes:
        name: The domain's name.
        count: How many examples it has; roughly, where only the card is there; ``None`` where nobody knows.
        family: Domains of one family are held out together.
        without: Classes that it has no example of.
        part_of: The domain of the card that this is one of, where the card's is many.
    """

    name: str
    count: int | None
    family: str | None
    without: tuple[str, ...] = ()
    part_of: str | None = None


@dataclass(frozen=True)
class Outline:
    """What a plan needs of a dataset.

    Attributes:
        name: The card's name.
        classes: How many there are.
        domains: In the card's order.
        manifest: Identity of the data; ``None`` where it is not on this machine.
        shared_groups: Whether a group's number means the same in all domains.
        official: Whether every domain comes with an official part to train on.
        names: Of its classes, in their order; empty where the card does not say and the data is not on this machine.
    """

    name: str
    classes: int
    domains: tuple[OutlineDomain, ...]
    manifest: str | None
    shared_groups: bool
    official: bool = False
    names: tuple[str, ...] = ()

    @property
    def places(self) -> list[Place]:
        """The domains, as far as cases go."""
        return [Place(domain.name, domain.family, domain.part_of) for domain in self.domains]


def load(name: str, size: int | None = None, *, streaming: bool | None = None, progress: Progress = silent) -> Dataset:
    """A dataset of square images, from the cache where it is there and whole. Treat its arrays as constant.

    Args:
        name: Of its card.
        size: Side of an image in pixels. ``None`` is the size at which the data is built; data on disk has none.
        streaming: Whether pictures are decoded whenever they are asked for, in place of once into the cache; if left
            out, ``$DGBENCH_STREAM`` says so with ``1``.
        progress: Is told how many pictures have been looked at, and then decoded, where that was not done before.

    Raises:
        UnknownNameError: there is no such dataset.
        DataError: something that it is built from is missing, it is not on this machine, or a picture is damaged.
    """
    streaming = wanted() if streaming is None else streaming
    return _load(name, _root(dataset_card(name)), size, streaming, cache_root(), _Listener(progress))


def listing(name: str) -> Listing:
    """What a dataset holds, before it is digested or decoded.

    Raises:
        UnknownNameError: there is no such dataset.
        DataError: it is not on this machine, or not laid out as its card says.
    """
    root = _root(dataset_card(name))
    native = _native(name, root, _Listener(silent))
    return _listing(name, root) if native is None else _as_listing(native)


def found(name: str, progress: Progress = silent) -> tuple[Listing, str]:
    """What a dataset holds, before it is decoded, and its manifest.

    Args:
        name: Of its card.
        progress: Is told how many pictures have been looked at.

    Raises:
        UnknownNameError: there is no such dataset.
        DataError: it is not on this machine, or not what its card says.
    """
    root = _root(dataset_card(name))
    native = _native(name, root, _Listener(progress))
    if native is not None:
        return _as_listing(native), native.manifest
    return content.identified(_listing(name, root), root, progress)


def outline(name: str, *, build: bool = True, progress: Progress = silent) -> Outline:
    """What a plan needs of a dataset: from the data where it is on this machine, else from the card alone.

    Args:
        name: Of its card.
        build: Whether data that packages bring is built where it was not before; else its card is believed.
        progress: Is told how many pictures have been built or looked at.

    Raises:
        UnknownNameError: there is no such dataset.
        DataError: the data is there, and not what its card says.
    """
    card = dataset_card(name)
    if isinstance(card.reader, BuiltIn):
        at_hand = build or (_root(card) / built.ABOUT).is_file()
    else:
        at_hand = find(card) is not None
    if not at_hand:
        domains = tuple(domain for each in card.domains for domain in _expected(each))
        manifest = card.reader.manifest if isinstance(card.reader, BuiltIn) else None
        names = card.classes if isinstance(card.classes, tuple) else ()
        return Outline(card.name, card.class_count, domains, manifest, card.shared_groups, names=names)
    return _outline(name, _root(card), cache_root(), _Listener(progress))


def _expected(domain: DomainCard) -> Iterator[OutlineDomain]:
    """What a card says of a domain, or of those that it stands for: how many, and not what they are called."""
    count = domain.count or domain.about
    if domain.many is None:
        yield OutlineDomain(domain.name, count, domain.family, domain.without)
        return
    for number in range(domain.many):
        share = None if count is None else round(count / domain.many)
        name = f"{domain.name}/{domain.each} {number + 1} of {domain.many}"
        yield OutlineDomain(name, share, domain.family, part_of=domain.name)


def showable(name: str) -> bool:
    """Whether there are pictures to look at without fetching any: what packages alone give is built when asked for.

    Raises:
        UnknownNameError: there is no such dataset.
    """
    card = dataset_card(name)
    if isinstance(card.reader, BuiltIn):
        return not card.reader.fetches or (_root(card) / built.ABOUT).is_file()
    return find(card) is not None


def thumbnails(name: str, side: int) -> Sequence[Domain]:
    """The domains of a dataset, with images of ``side`` pixels, or smaller ones as they are; decoded when asked for.

    Raises:
        UnknownNameError: there is no such dataset.
        DataError: it is not on this machine, or not what its card says.
    """
    native = _native(name, _root(dataset_card(name)), _Listener(silent))
    if native is not None and all(max(domain.inputs.shape[1:3]) <= side for domain in native.domains):
        return native.domains
    return squares(name, side)


def squares(name: str, side: int) -> Sequence[Domain]:
    """The domains of a dataset, with square images of ``side`` pixels, decoded when asked for; nothing is digested.

    Raises:
        UnknownNameError: there is no such dataset.
        DataError: it is not on this machine, or not what its card says.
    """
    card = dataset_card(name)
    return [streamed(domain, side, card.resize, card.decoding) for domain in listing(name).domains]


def _root(card: DatasetCard) -> Path:
    """Where the data lies; what is built from installed packages lies in the cache."""
    if isinstance(card.reader, BuiltIn):
        return cache_root() / "datasets" / f"{card.name}-v{card.version}"
    return locate(card)


class _Listener:
    """Progress that makes no difference to the cached functions: they are given all else that results depend on."""

    def __init__(self, tell: Progress) -> None:
        self.tell = tell

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Listener)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=8)
def _load(name: str, root: Path, size: int | None, streaming: bool, cache: Path, listener: _Listener) -> Dataset:
    native = _native(name, root, listener)
    if native is not None and (size is None or all(d.inputs.shape[1:3] == (size, size) for d in native.domains)):
        return native
    if size is None:
        raise DataError(f"the pictures of '{name}' have no common size; say which one is wanted: load('{name}', 224)")
    listing, manifest = found(name, listener.tell)
    card = dataset_card(name)
    if streaming:
        return stream(listing, manifest, size, card.resize, card.decoding)
    return prepare(listing, manifest, size, card.resize, card.decoding, progress=listener.tell)


@lru_cache(maxsize=8)
def _outline(name: str, root: Path, cache: Path, listener: _Listener) -> Outline:
    card = dataset_card(name)
    listing, manifest = found(name, listener.tell)
    families = {domain.name: domain.family for domain in card.domains}
    domains = tuple(
        OutlineDomain(d.name, len(d), families.get(d.part_of or d.name), d.without(listing.classes), d.part_of)
        for d in listing.domains
    )
    official = all(d.official is not None and bool((d.official == "train").any()) for d in listing.domains)
    return Outline(card.name, len(listing.classes), domains, manifest, listing.shared_groups, official, listing.classes)


@lru_cache(maxsize=8)
def _listing(name: str, root: Path) -> Listing:
    card = dataset_card(name)
    listing = read(card, root)
    _compare_counts(card, listing)
    return listing


@lru_cache(maxsize=8)
def _native(name: str, root: Path, listener: _Listener) -> Dataset | None:
    """A dataset as its builder makes it; None where there is no builder, but pictures on disk.

    What is made of a user's files is made anew by every process: nothing cheap says whether the files are the same.
    """
    card = dataset_card(name)
    if isinstance(card.reader, BuiltIn):
        dataset = _built_in(card, card.reader, root, listener.tell)
        _compare_counts(card, dataset)
    elif isinstance(card.reader, Made):
        dataset = _in_memory(_listing(name, root))
    else:
        return None
    return replace(dataset, shared_groups=card.shared_groups)


def _in_memory(listing: Listing) -> Dataset:
    """Pictures of one size as arrays."""
    domains = []
    for d in listing.domains:
        images = np.stack([d.pictures.read(row) for row in range(len(d))])
        domains.append(Domain(d.name, images, d.labels, d.groups, d.official))
    return assemble(listing.name, listing.classes, domains)


def _compare_counts(card: DatasetCard, data: Dataset | Listing) -> None:
    counts = {domain.name: len(domain) for domain in data.domains}
    differing = [
        f"{domain.name} has {counts[domain.name]:,} and not {domain.count:,}"
        for domain in card.domains
        if domain.count is not None and counts.get(domain.name, domain.count) != domain.count
    ]
    if differing:
        log.warning("the numbers of examples of '%s' differ from its card: %s", card.name, "; ".join(differing))


def _as_listing(dataset: Dataset) -> Listing:
    """The arrays of a built dataset as pictures, to be resized as any others."""
    domains = []
    for domain in dataset.domains:
        frames = Frames(np.asarray(domain.inputs), np.arange(len(domain)), f"{dataset.name}/{domain.name}")
        contents = pixel_contents(domain)
        domains.append(DomainListing(domain.name, frames, domain.labels, domain.groups, domain.official, contents))
    return Listing(dataset.name, dataset.classes, tuple(domains), dataset.shared_groups)


def _built_in(card: DatasetCard, reader: BuiltIn, folder: Path, tell: Progress) -> Dataset:
    dataset = built.read(folder)
    if dataset is None:
        with in_turn(folder.parent / f".{folder.name}.lock"):
            dataset = built.read(folder)  # another process may have built it meanwhile
            if dataset is None:
                total = sum(domain.count or domain.about or 0 for domain in card.domains)
                tell(0, total)
                dataset = build(card, reader)
                tell(total, total)
                built.write(dataset, folder)
    if dataset.manifest != reader.manifest:
        log.warning(
            "the data of '%s' differs from its card (manifest %.12s, expected %.12s): results on it do not compare "
            "with those of others. The card's data was built with %s",
            *(card.name, dataset.manifest, reader.manifest),
            ", ".join(f"{package} {version}" for package, version in reader.built_with.items()),
        )
    return dataset
