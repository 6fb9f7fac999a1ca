"""Which images pretraining knows well, as a question to tables of predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

import polars as pl

from dgbench.core.dataset_card import dataset_card
from dgbench.core.familiar import FamiliarCard
from dgbench.core.spec import identity

_NAMED = 10
"""Domains or classes that a sentence names."""


@dataclass(frozen=True)
class Familiar:
    """What the pretraining of some backbones knows well: the same images for all, so that all are judged alike.

    Attributes:
        images: By dataset: of its predictions (``domain``, ``label``, ``sample``), whether the image is listed. Of
            datasets that are not there nothing is said.
        said: Why, for readers, one sentence for each list.
        identity: Of the images that the lists name; empty where there are none.
    """

    images: Mapping[str, pl.Expr] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    identity: str = ""


def familiar(cards: Iterable[FamiliarCard]) -> Familiar:
    """All that some lists name."""
    found: dict[str, list[pl.Expr]] = {}
    said, named = [], []
    for card in cards:
        column, values = _named(card)
        found.setdefault(card.dataset, []).append(pl.col(column).is_in(values))
        said.append(f"Known to {card.backbone}: {_listed(card)} of {card.dataset}. {card.why}")
        named.append([card.dataset, column, values])
    images = {dataset: reduce(or_, lists) for dataset, lists in found.items()}
    return Familiar(images, tuple(said), identity({"named": named}) if named else "")


def _listed(card: FamiliarCard) -> str:
    for kind, kinds, names in (("domain", "domains", card.domains), ("class", "classes", card.classes)):
        if names is not None:
            more = ", ..." if len(names) > _NAMED else ""
            return f"the {kind if len(names) == 1 else kinds} {', '.join(names[:_NAMED])}{more}"
    return f"{len(card.samples or ()):,} images"


def _named(card: FamiliarCard) -> tuple[str, list[str] | list[int]]:
    """By which column of predictions a list names images, and by which values."""
    if card.domains is not None:
        return "domain", list(card.domains)
    if card.samples is not None:
        return "sample", list(card.samples)
    classes = dataset_card(card.dataset).classes
    assert not isinstance(classes, int)
    assert card.classes is not None
    return "label", [classes.index(name) for name in card.classes]
