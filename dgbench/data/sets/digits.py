"""``digits``: ten digits as people write them, as typefaces print them, and as two kinds of display show them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from dgbench.core.seeds import generator
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble
from dgbench.data.sets.drawing import dot_matrix, seven_segment
from dgbench.data.sets.drawing.canvas import SIDE, paint
from dgbench.data.sets.drawing.scans import scans
from dgbench.data.sets.drawing.typefaces import FAMILIES, printed

CLASSES = tuple("0123456789")


def build() -> Dataset:
    """The four domains, handwritten, print, dot-matrix and seven-segment; the same bytes at every call."""
    domains = (
        _handwritten("handwritten"),
        # Print is set small, as running text is; the other domains fill their pictures.
        printed(
            "print",
            FAMILIES,
            CLASSES,
            repeats=7,
            heights=(8.0, 11.0),
            seed=("digits", "print"),
            colours=generator("digits", "print", "colours"),
        ),
        dot_matrix.domain("dot-matrix"),
        seven_segment.domain("seven-segment"),
    )
    return assemble("digits", CLASSES, domains)


def _handwritten(name: str) -> Domain:
    """The 1,797 scanned digits of UCI optdigits, enlarged from 8x8 to 14x14; who wrote which is not recorded."""
    shades, labels = scans()
    small = shades / 16
    ink = np.zeros((len(small), SIDE, SIDE))
    for picture, scan in zip(ink, small, strict=True):
        larger = Image.fromarray(scan.astype(np.float32)).resize((14, 14), Image.Resampling.BICUBIC)
        picture[1:15, 1:15] = np.clip(np.asarray(larger), 0, 1)
    inputs = paint(ink, generator("digits", name, "colours"))
    return Domain(name, inputs, labels, np.arange(len(ink), dtype=np.int64))
