"""``glyphs``: A to Z and 0 to 9, set solid in typefaces of three styles, and as outlines."""

from __future__ import annotations

import string

from dgbench.core.seeds import generator
from dgbench.data.domain import Dataset
from dgbench.data.manifest import assemble
from dgbench.data.sets.drawing.typefaces import FAMILIES, STYLES, outlined, printed

CLASSES = (*string.ascii_uppercase, *string.digits)
_HEIGHTS = (10.0, 14.0)


def build() -> Dataset:
    """Solid type by style, and outlines of all families; the same bytes at every call."""
    solid = [
        printed(
            name,
            families,
            CLASSES,
            repeats=8,
            heights=_HEIGHTS,
            seed=("glyphs", name),
            colours=generator("glyphs", name, "colours"),
        )
        for name, families in STYLES.items()
    ]
    outline = printed(
        "outline",
        FAMILIES,
        CLASSES,
        repeats=4,
        heights=_HEIGHTS,
        seed=("glyphs", "outline"),
        colours=generator("glyphs", "outline", "colours"),
        cut=outlined,
    )
    return assemble("glyphs", CLASSES, [*solid, outline])
