"""Draw JPEG files that cost what those of PACS cost: four domains, seven classes, 227 x 227 pixels, as many bytes.

    python scripts/draw_pacs_like.py FOLDER --images 280

Nothing can be learnt from them. They lie as PACS lies, ``FOLDER/<domain>/<class>/<image>.jpg``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

DOMAINS = {"art_painting": 2048, "cartoon": 2344, "photo": 1670, "sketch": 3929}
"""How many images PACS has of each domain: 9,991 in all."""
CLASSES = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
SIDE = 227
"""Pixels, as PACS has them."""


def draw(random: np.random.Generator) -> Image.Image:
    """A picture with large shapes, texture, a plain ground in some, and about as many bytes as one of PACS."""
    coarse = random.integers(0, 256, (int(random.integers(3, 12)), 8, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(np.float64)
    picture += random.normal(0, random.uniform(2, 12), picture.shape)
    if random.random() < 0.5:
        picture[picture.mean(2) > 150] = 255
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def evenly(images: int) -> dict[str, int]:
    """So many images, as many of each domain; at least one of each class."""
    each = max(images // len(DOMAINS), len(CLASSES))
    return dict.fromkeys(DOMAINS, each)


def write(folder: Path, counts: Mapping[str, int], seed: int = 0) -> None:
    """So many images of each domain, the classes in turn."""
    random = np.random.Generator(np.random.PCG64(seed))
    for domain, count in counts.items():
        for name in CLASSES:
            (folder / domain / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            path = folder / domain / CLASSES[number % len(CLASSES)] / f"{number:05d}.jpg"
            draw(random).save(path, quality=90)


def main() -> None:
    """Draw as many as were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, help="as many of each domain; by default as many as PACS has, 9,991")
    asked = parser.parse_args()
    counts = DOMAINS if asked.images is None else evenly(asked.images)
    write(asked.folder, counts)
    print(f"{sum(counts.values()):,} images in {asked.folder}")


if __name__ == "__main__":
    main()
