"""``letters``: A to Z in the typefaces of ``digits``, a small task to pretrain on that shares no class with them."""

from __future__ import annotations

import string

import numpy as np

from dgbench.core.seeds import generator
from dgbench.data.domain import Dataset, Domain
from dgbench.data.drawing.canvas import paint
from dgbench.data.drawing.typefaces import FAMILIES, glyph, typeset
from dgbench.data.manifest import assemble

CLASSES = tuple(string.ascii_uppercase)
_PRINTS = 10
"""How often each family prints each letter."""
_HEIGHTS = (9.0, 14.0)
_STYLES = {
    "serif": ("Computer Modern", "DejaVu Serif", "STIX", "Caladea", "Source Serif Pro"),
    "sans": ("Computer Modern Sans", "DejaVu Sans", "Hanken Grotesk", "Manrope", "Roboto", "Source Sans Pro"),
    "display": ("Computer Modern Typewriter", "Fredoka One", "Intuitive"),
}


def build() -> Dataset:
    """Three domains by style of typeface; the same bytes at every call."""
    return assemble("letters", CLASSES, [_style(name, families) for name, families in _STYLES.items()])


def _style(name: str, families: tuple[str, ...]) -> Domain:
    """Every family prints every letter ten times, going through its faces; a group is a family."""
    ink, labels, groups = [], [], []
    for number, family in enumerate(f for f in FAMILIES if f.name in families):
        random = generator("letters", family.name)
        faces = random.permutation(np.array(family.faces(), dtype=object))
        for label, character in enumerate(CLASSES):
            for repeat in range(_PRINTS):
                ink.append(typeset(glyph(faces[(label + repeat) % len(faces)], character), _HEIGHTS, random))
                labels.append(label)
                groups.append(number)
    inputs = paint(np.stack(ink), generator("letters", name, "colours"))
    return Domain(name, inputs, np.array(labels, np.int64), np.array(groups, np.int64))
