"""Which images pretraining knows well, as a question to tables of predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

import polars as pl

from dgbench.core.dataset_card import dataset_card
from dgbench.core.familiar import FamiliarCard

_NAMED = 10
"""Domains or classes that a sentence names."""


@dataclass(frozen=True)
class Familiar:
    """What the pretraining of some backbones knows well: the same images for all, so that all are judged alike.

    Attributes:
        images: By dataset: of its predictions (``domain``, ``label``, ``sample``), whether the image is listed. Of
            datasets that are not there nothing is said.
        said: Why, for readers, one sentence for each list.
    """

    images: Mapping[str, pl.Expr] = field(default_factory=dict)
    said: tuple[str, ...] = ()


def familiar(cards: Iterable[FamiliarCard]) -> Familiar:
    """All that some lists name."""
    found: dict[str, list[pl.Expr]] = {}
    said = []
    for card in cards:
        found.setdefault(card.dataset, []).append(_named(card))
        said.append(f"Known to {card.backbone}: {_listed(card)} of {card.dataset}. {card.why}")
    return Familiar({dataset: reduce(or_, images) for dataset, images in found.items()}, tuple(said))


def _listed(card: FamiliarCard) -> str:
    for kind, kinds, names in (("domain", "domains", card.domains), ("class", "classes", card.classes)):
        if names is not None:
            more = ", ..." if len(names) > _NAMED else ""
            return f"the {kind if len(names) == 1 else kinds} {', '.join(names[:_NAMED])}{more}"
    return f"{len(card.samples or ()):,} images"


def _named(card: FamiliarCard) -> pl.Expr:
    if card.domains is not None:
        return pl.col("domain").is_in(card.domains)
    if card.samples is not None:
        return pl.col("sample").is_in(card.samples)
    classes = dataset_card(card.dataset).classes
    assert not isinstance(classes, int)
    assert card.classes is not None
    return pl.col("label").is_in([classes.index(name) for name in card.classes])
