"""``turned-digits``: by what angle is a digit turned? Four ways to make digits, whose colours say another angle each.

The shortcut is that of RCF-MNIST: H. Yao et al., "C-Mixup: Improving Generalization in Regression", NeurIPS 2022, where
four of five pictures have a colour that follows from their angle. Here the relation differs between all domains, so
that no model may rest on it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgbench.core.seeds import generator
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble
from dgbench.data.sets.drawing import dot_matrix, seven_segment
from dgbench.data.sets.drawing.canvas import SIDE, ZOOM, Ink, shrink, tinted
from dgbench.data.sets.drawing.scans import scans
from dgbench.data.sets.drawing.seven_segment import Display
from dgbench.data.sets.drawing.typefaces import FAMILIES, glyph, typeset

MOST = 60.0
"""Degrees that a digit is turned by, to either side at most: every angle between is as likely as any other."""
FOLLOWS = 0.8
"""Share of the pictures whose colour follows from their angle; the others have any."""
ABOUT = 0.03
"""Standard deviation of a hue that follows, as a share of the circle of colours."""
RELATIONS = {
    "handwritten": (0.0, 1.0),
    "print": (0.25, -1.0),
    "dot-matrix": (0.5, 1.0),
    "seven-segment": (0.75, -1.0),
}
"""Of each domain the hue of a digit that stands upright, and which way round the circle it goes with the angle: a third
of the circle, from one end to the other."""
SCANS, DISPLAYS, REPEATS = 700, 60, 5
"""Handwritten digits; displays of a kind, which show every digit once; how often a family prints every digit."""

Drawn = Iterator[tuple[Ink, float, int]]
"""Each digit, by how many degrees it is turned clockwise, and its group."""


def build() -> Dataset:
    """The four domains; the same bytes at every call."""
    drawings = {
        "handwritten": _handwritten(),
        "print": _printed(),
        "dot-matrix": _dot_matrix(),
        "seven-segment": _seven_segment(),
    }
    return assemble("turned-digits", (), [_domain(name, drawn) for name, drawn in drawings.items()])


def _domain(name: str, drawn: Drawn) -> Domain:
    ink, angles, groups = zip(*drawn, strict=True)
    turned = np.array(angles)
    random = generator("turned-digits", name, "colours")
    hues = _hues(turned, *RELATIONS[name], random)
    return Domain(name, tinted(np.stack(ink), hues, random), turned, np.array(groups, np.int64))


def _hues(angles: NDArray[np.float64], upright: float, way: float, random: np.random.Generator) -> NDArray[np.float64]:
    following = upright + way * angles / (6 * MOST) + random.normal(0, ABOUT, len(angles))
    return np.where(random.random(len(angles)) < FOLLOWS, following, random.random(len(angles))) % 1


def _turn(random: np.random.Generator) -> float:
    return float(random.uniform(-MOST, MOST))


def _handwritten() -> Drawn:
    """Scans of UCI optdigits, enlarged from 8x8 to 12x12, each in a group of its own."""
    random, large = generator("turned-digits", "handwritten"), SIDE * ZOOM
    edge = 2 * ZOOM
    for number, scan in enumerate(scans()[0][:SCANS]):
        picture = Image.new("F", (large, large))
        enlarged = Image.fromarray((scan / 16).astype(np.float32)).resize(
            (large - 2 * edge, large - 2 * edge), Image.Resampling.BICUBIC
        )
        picture.paste(enlarged, (edge, edge))
        angle = _turn(random)
        turned = picture.rotate(-angle, Image.Resampling.BILINEAR)  # Pillow turns against the clock
        yield np.clip(shrink(np.asarray(turned, np.float64)), 0, 1), angle, number


def _printed() -> Drawn:
    """Every family of typefaces prints every digit; a group is a family."""
    for number, family in enumerate(FAMILIES):
        random = generator("turned-digits", "print", family.name)
        faces = random.permutation(np.array(family.faces(), dtype=object))
        for digit in range(10):
            for repeat in range(REPEATS):
                angle = _turn(random)
                cut = glyph(faces[(digit + repeat) % len(faces)], str(digit))
                yield typeset(cut, (9.0, 12.0), random, angle), angle, number


def _dot_matrix() -> Drawn:
    """A group is a display."""
    for number in range(DISPLAYS):
        random = generator("turned-digits", "dot-matrix", number)
        pitch, radius = random.uniform(1.4, 1.8), random.uniform(0.28, 0.46)
        for digit in range(10):
            angle = _turn(random)
            yield dot_matrix.draw(digit, pitch, radius, 0.0, 0.0, random, angle), angle, number


def _seven_segment() -> Drawn:
    """A group is a display."""
    for number in range(DISPLAYS):
        random = generator("turned-digits", "seven-segment", number)
        height = random.uniform(9.0, 12.0)
        width, thickness = height * random.uniform(0.42, 0.62), random.uniform(0.9, 2.0)
        display = Display(width, height, thickness, random.uniform(0.0, 0.6), 0.0, 0.0, bool(random.random() < 0.25))
        for digit in range(10):
            angle = _turn(random)
            yield seven_segment.draw(digit, display, random, angle), angle, number
