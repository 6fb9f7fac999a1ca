"""Domains of several datasets as one: ImageNet, and the sets that were made to test models of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import CardError, DataError
from dgbench.core.reader_cards import Union
from dgbench.data.disk.locate import locate
from dgbench.data.disk.readers import read as read_member
from dgbench.data.listing import Listing


def read(card: DatasetCard, reader: Union, root: Path) -> Listing:
    """The members' domains under the card's names; each member is found by its own card, so ``root`` is not used.

    Raises:
        CardError: a member has no such domain.
        DataError: a member is not on this machine, or its classes are others than the first one's.
    """
    listings: dict[str, Listing] = {}
    domains = []
    for domain in card.domains:
        dataset, _, name = reader.members[domain.name].partition("/")
        if dataset not in listings:
            member = dataset_card(dataset)
            listings[dataset] = read_member(member, locate(member))
        found = [d for d in listings[dataset].domains if d.name == name]
        if not found:
            there = ", ".join(d.name for d in listings[dataset].domains)
            raise CardError(f"{card.name}: reader.members: '{dataset}' has no domain '{name}'; it has {there}")
        domains.append(replace(found[0], name=domain.name, judged=None))
    (first, expected), *others = ((dataset, listing.classes) for dataset, listing in listings.items())
    for dataset, classes in others:
        if classes != expected:
            raise DataError(
                f"{card.name}: '{dataset}' ({len(classes)} classes) has other classes than '{first}' ({len(expected)})"
            )
    return Listing(card.name, expected, tuple(domains))
