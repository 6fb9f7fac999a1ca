"""Draw a small dataset to try dgbench on: four shapes in three styles, as folders of images.

    python scripts/draw_shapes.py shapes
    dgbench data new shapes

Writes ``DIR/<style>/<shape>/<number>.png``, 96x96 pixels; the same images at every call. With ``--masks`` another
folder has, under the same paths, where the shapes are.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 96
COUNT = 40
"""Images of each shape in each style, unless another number is asked for."""

Corners = list[tuple[float, float]]


def polygon(corners: int, turn: float, inner: float = 1.0) -> Corners:
    """A regular polygon of radius 1; with ``inner`` below 1 every other corner is that near to the centre: a star."""
    angles = [turn + 2 * math.pi * i / corners for i in range(corners)]
    radii = [inner if i % 2 else 1.0 for i in range(corners)]
    return [(r * math.sin(a), -r * math.cos(a)) for r, a in zip(radii, angles, strict=True)]


SHAPES: dict[str, Callable[[float], Corners]] = {
    "circle": lambda turn: polygon(60, turn),
    "square": lambda turn: polygon(4, turn + math.pi / 4),
    "star": lambda turn: polygon(10, turn, inner=0.45),
    "triangle": lambda turn: polygon(3, turn),
}
STYLES = ("flat", "outline", "sketch")


def draw(shape: str, style: str, random: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """One picture, and where its shape is, in white: place, size, turn and colours are random."""
    radius = random.uniform(0.25, 0.42) * SIDE
    x, y = SIDE / 2 + random.uniform(-0.06, 0.06, 2) * SIDE
    corners = [(x + radius * a, y + radius * b) for a, b in SHAPES[shape](random.uniform(-0.3, 0.3))]
    dark, light = random.integers(0, 110, 3), random.integers(150, 256, 3)
    ink, paper = (dark, light) if random.random() < 0.5 or style == "sketch" else (light, dark)
    picture = Image.new("RGB", (SIDE, SIDE), tuple(paper.tolist()))
    pen = ImageDraw.Draw(picture)
    if style == "flat":
        pen.polygon(corners, fill=tuple(ink.tolist()))
    for _ in range({"flat": 0, "outline": 1, "sketch": 3}[style]):
        shake = 0.0 if style == "outline" else 2.5
        line = [(a + random.normal(0, shake), b + random.normal(0, shake)) for a, b in corners]
        pen.line([*line, line[0]], fill=tuple(ink.tolist()), width=4 if style == "outline" else 1)
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).polygon(corners, fill=255, outline=255, width=4)
    return picture, mask


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=COUNT, help="images of each shape in each style (default: 40)")
    parser.add_argument("--masks", type=Path, help="another folder, for pictures of where the shapes are")
    given = parser.parse_args()
    folder, count = given.folder, given.count
    for one in filter(None, (folder, given.masks)):
        if one.exists():
            sys.exit(f"{one} is there already; name a folder that is not")
    if given.masks is not None:
        one, other = folder.resolve(), given.masks.resolve()
        if one.is_relative_to(other) or other.is_relative_to(one):
            sys.exit(f"{folder} and {given.masks} lie one in the other; name two folders that do not")
    random = np.random.default_rng(0)
    for style in STYLES:
        for shape in SHAPES:
            for number in range(count):
                name = f"{number:0{max(2, len(str(count - 1)))}d}.png"
                for root, image in zip((folder, given.masks), draw(shape, style, random), strict=True):
                    if root is not None:
                        (root / style / shape).mkdir(parents=True, exist_ok=True)
                        image.save(root / style / shape / name)
    print(f"drew {len(STYLES) * len(SHAPES) * count} images into {folder}")


if __name__ == "__main__":
    main()
