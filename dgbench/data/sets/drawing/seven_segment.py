"""Digits on simulated seven-segment displays: bars of many proportions, some of them dead or dim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgbench.core.seeds import generator
from dgbench.data.domain import Domain
from dgbench.data.sets.drawing.canvas import Ink, grid, paint, shrink

DISPLAYS = 50
REPEATS = 2

SEGMENTS = ("abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg")
"""Lit segments of each digit: a is the top, b to f go round clockwise, g is the middle."""
_TAILLESS = {6: "cdefg", 7: "abcf", 9: "abcfg"}
"""How other displays show these digits: 6 and 9 without their tails, 7 with a serif."""


@dataclass(frozen=True)
class Display:
    """Sizes in pixels; ``off`` is the brightness of an unlit bar; ``tailless``: 6, 7 and 9 are drawn otherwise."""

    width: float
    height: float
    thickness: float
    gap: float
    slant: float
    off: float
    tailless: bool


def domain(name: str) -> Domain:
    """Fifty displays that show every digit twice; a group is a display."""
    ink, labels, groups = [], [], []
    for number in range(DISPLAYS):
        random = generator("digits", name, number)
        height = random.uniform(9.0, 13.0)
        display = Display(
            width=height * random.uniform(0.42, 0.68),
            height=height,
            thickness=random.uniform(0.9, 2.2),
            gap=random.uniform(0.0, 0.6),
            slant=random.choice([0.0, random.uniform(0.05, 0.22)]),
            off=random.choice([0.0, random.uniform(0.08, 0.3)]),
            tailless=bool(random.random() < 0.25),
        )
        for digit in np.tile(np.arange(10), REPEATS):
            ink.append(draw(digit, display, random))
            labels.append(digit)
            groups.append(number)
    inputs = paint(np.stack(ink), generator("digits", name, "colours"))
    return Domain(name, inputs, np.array(labels, np.int64), np.array(groups, np.int64))


def draw(digit: int, display: Display, random: np.random.Generator, turn: float | None = None) -> Ink:
    """One picture ``[16, 16]``: a bar is dead with chance 2 %, and half as bright with chance 8 %.

    ``turn`` is by how many degrees the display is turned clockwise, in place of a drawn tilt.
    """
    lit = _TAILLESS.get(digit, SEGMENTS[digit]) if display.tailless else SEGMENTS[digit]
    u, v = grid(random, 1.0, random.uniform(-3, 3) if turn is None else turn, display.slant, 1.2)
    w, h = display.width / 2, display.height / 2
    centres = {"a": (0, -h), "b": (w, -h / 2), "c": (w, h / 2), "d": (0, h), "e": (-w, h / 2), "f": (-w, -h / 2)}
    large = np.zeros_like(u)
    for segment, (x, y) in (centres | {"g": (0, 0)}).items():
        state = random.random()
        health = 0.0 if state < 0.02 else 0.5 if state < 0.1 else 1.0
        brightness = health * (1.0 if segment in lit else display.off)
        if not brightness:
            continue
        right, down = abs(u - x), abs(v - y)
        across, half = (down, w) if segment in "adg" else (right, h / 2)
        bar = (across <= display.thickness / 2) & (right + down <= half - display.gap / 2)
        np.maximum(large, brightness, out=large, where=bar)
    return shrink(large)
