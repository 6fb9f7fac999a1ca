"""``letters``: A to Z in the typefaces of ``digits``, a small task to pretrain on that shares no class with them."""

from __future__ import annotations

import string

from dgbench.core.seeds import generator
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble
from dgbench.data.sets.drawing.typefaces import STYLES, Family, printed

CLASSES = tuple(string.ascii_uppercase)


def build() -> Dataset:
    """Three domains by style of typeface; the same bytes at every call."""
    return assemble("letters", CLASSES, [_style(name, families) for name, families in STYLES.items()])


def _style(name: str, families: tuple[Family, ...]) -> Domain:
    return printed(
        name,
        families,
        CLASSES,
        repeats=10,
        heights=(9.0, 14.0),
        seed=("letters",),
        colours=generator("letters", name, "colours"),
    )
