"""Shifts of images, in the ten families of augmentation-based validation.

N. Efthymiadis, G. Tolias, O. Chum: Crafting Distribution Shifts for Validation and Training in Single Source Domain
Generalization, WACV 2025. Entries and ranges are those of the paper's code, written for one CPU core with torch, NumPy
and SciPy in place of imgaug. Deviations:

* Images keep their size; the paper enlarges them to 227 pixels first. Sizes in pixels shrink with the image instead.
* Channels are in the order RGB; the paper's code hands over BGR.
* Shifts that leave an image as it was by chance (solarize, invert, channel dropout) always act.
* Superpixels come from five rounds of k-means, in which every second pixel along each side counts where there are many;
  Voronoi cells grow from the pixels in which their points lie.
* ``core.shift_families.LEFT_OUT`` lists what has no counterpart here.

What a picture becomes depends on its pixels, the entry and the seed, not on how many threads or workers draw.
``scripts/measure_shifts.py`` says how long each family takes.
"""

from __future__ import annotations

import importlib

import numpy as np
import torch
from numpy.typing import NDArray

from dgbench.core.errors import UnknownNameError
from dgbench.core.shift_families import FAMILIES
from dgbench.data.shifts.entry import Entry, planes


def entries(family: str) -> tuple[Entry, ...]:
    """The shifts of a family.

    Raises:
        UnknownNameError: there is no such family.
    """
    if family not in FAMILIES:
        raise UnknownNameError("family of shifts", family, FAMILIES)
    found: tuple[Entry, ...] = importlib.import_module(f"{__name__}.{family}").ENTRIES
    return found


def shift(image: NDArray[np.uint8], family: str, seed: int) -> NDArray[np.uint8]:
    """One shift of a family, drawn uniformly with its parameters; the same seed gives the same bytes.

    Args:
        image: RGB, uint8 ``[h, w, 3]``.
        family: One of ``FAMILIES``.
        seed: For the choice and the parameters.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    choices = entries(family)
    return apply(choices[random.integers(len(choices))], image, random)


def apply(entry: Entry, image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """One shift of an image, uint8 ``[h, w, 3]``; what leaves the range is clipped."""
    with torch.inference_mode():
        shifted = (entry.apply(planes(image), random)[0] * 255).round_().clamp_(0, 255).numpy()
    pixels = np.empty_like(image)
    for channel in range(3):
        pixels[..., channel] = shifted[channel]
    return pixels
