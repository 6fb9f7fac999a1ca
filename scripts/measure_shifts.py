"""How many milliseconds of one core does a shifted image take, by family?

    python scripts/measure_shifts.py

Two photographs that scikit-learn carries, cut to squares of 128 and 224 pixels, under each entry of each family on one
thread, entry by entry and seed by seed in turns. A family draws one of its entries uniformly, so its time is the mean
over its entries; an entry's is the median over all seeds and both photographs, in CPU time.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_image

from dgbench.core.shift_families import FAMILIES
from dgbench.data.shifts import apply, entries

PHOTOGRAPHS = ("china.jpg", "flower.jpg")
SIDES = (128, 224)

Times = dict[tuple[str, str], float]
"""Milliseconds by family and entry."""


def photographs(side: int) -> list[NDArray[np.uint8]]:
    """The middle square of each, at a size."""
    found = []
    for name in PHOTOGRAPHS:
        image = Image.fromarray(load_sample_image(name))
        edge, (w, h) = min(image.size), image.size
        box = ((w - edge) // 2, (h - edge) // 2, (w + edge) // 2, (h + edge) // 2)
        found.append(np.array(image.resize((side, side), Image.Resampling.LANCZOS, box)))
    return found


def measured(side: int, repeats: int) -> Times:
    """The median time of each entry."""
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    images = photographs(side)
    for seed in range(-1, repeats):  # the first time, libraries warm up
        for family in FAMILIES:
            for entry in entries(family):
                for image in images:
                    random = np.random.default_rng(seed + 1)
                    started = time.thread_time()
                    apply(entry, image, random)
                    if seed >= 0:
                        taken[family, entry.name].append(1000 * (time.thread_time() - started))
    return {entry: float(np.median(times)) for entry, times in taken.items()}


def main() -> None:
    """Measure, then print families and, where asked for, their entries."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9, help="seeds for each entry and photograph")
    parser.add_argument("--entries", action="store_true", help="print each entry, too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    times = [measured(side, arguments.repeats) for side in SIDES]
    print(f"{'CPU ms an image':32}" + "".join(f"{side:>7} px" for side in SIDES))
    total = np.zeros(len(SIDES))
    for family in FAMILIES:
        names = [entry.name for entry in entries(family)]
        mean = np.array([np.mean([of_side[family, name] for name in names]) for of_side in times])
        total += mean
        print(_line(family, mean.tolist()))
        for name in names if arguments.entries else ():
            print(_line(f"  {name}", [of_side[family, name] for of_side in times]))
    print(_line("all ten", total.tolist()))


def _line(name: str, milliseconds: list[float]) -> str:
    return f"{name:32}" + "".join(f"{value:10.2f}" for value in milliseconds)


if __name__ == "__main__":
    main()
