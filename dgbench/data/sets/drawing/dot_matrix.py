"""Digits on simulated dot-matrix displays: 5x7 round dots, some of them dead or dim."""

from __future__ import annotations

import numpy as np

from dgbench.core.seeds import generator
from dgbench.data.domain import Domain
from dgbench.data.sets.drawing.canvas import Ink, grid, paint, shrink

DISPLAYS = 50
REPEATS = 2

_PATTERNS = """
.###. ..#.. .###. ##### ...#. ##### ..##. ##### .###. .###.
#...# .##.. #...# ...#. ..##. #.... .#... ....# #...# #...#
#..## ..#.. ....# ..#.. .#.#. ####. #.... ...#. #...# #...#
#.#.# ..#.. ...#. ...#. #..#. ....# ####. ..#.. .###. .####
##..# ..#.. ..#.. ....# ##### ....# #...# .#... #...# ....#
#...# ..#.. .#... #...# ...#. #...# #...# .#... #...# ...#.
.###. .###. ##### .###. ...#. .###. .###. .#... .###. .##..
"""
_ROWS = [line.split() for line in _PATTERNS.split("\n") if line]
DOTS = np.array([[[dot == "#" for dot in row[digit]] for row in _ROWS] for digit in range(10)])
"""Which dots are lit, ``[10, 7, 5]``."""


def domain(name: str) -> Domain:
    """Fifty displays that show every digit twice; a group is a display."""
    ink, labels, groups = [], [], []
    for display in range(DISPLAYS):
        random = generator("digits", name, display)
        pitch = random.uniform(1.6, 2.05)
        radius = random.uniform(0.24, 0.46)
        off = random.choice([0.0, 0.0, 0.12])
        slant = random.choice([0.0, 0.0, 0.15])
        for digit in np.tile(np.arange(10), REPEATS):
            ink.append(draw(digit, pitch, radius, off, slant, random))
            labels.append(digit)
            groups.append(display)
    inputs = paint(np.stack(ink), generator("digits", name, "colours"))
    return Domain(name, inputs, np.array(labels, np.int64), np.array(groups, np.int64))


def draw(
    digit: int,
    pitch: float,
    radius: float,
    off: float,
    slant: float,
    random: np.random.Generator,
    turn: float | None = None,
) -> Ink:
    """One picture ``[16, 16]``.

    Args:
        digit: What is shown.
        pitch: Distance of neighbouring dots, in pixels.
        radius: Of a dot, as a share of the pitch.
        off: Brightness of a dot that is not lit.
        slant: Shear of the display.
        random: Draws dead dots (4 %), dim dots (10 %, half as bright), tilt and shift.
        turn: By how many degrees the display is turned clockwise, in place of a drawn tilt.
    """
    lit = np.where(DOTS[digit], 1.0, off)
    state = random.random(lit.shape)
    lit = np.where(state < 0.04, 0.0, np.where(state < 0.14, 0.5 * lit, lit))
    room = (16 - 7 * pitch) / 2
    u, v = grid(random, pitch, random.uniform(-3, 3) if turn is None else turn, slant, max(0.0, room))
    column, row = np.rint(u), np.rint(v)
    inside = (abs(column) <= 2) & (abs(row) <= 3) & (np.hypot(u - column, v - row) <= radius)
    brightness = lit[np.clip(row, -3, 3).astype(int) + 3, np.clip(column, -2, 2).astype(int) + 2]
    return shrink(inside * brightness)
