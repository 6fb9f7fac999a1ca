"""The families of image shifts that augmentation-based validation uses, by name.

N. Efthymiadis, G. Tolias, O. Chum: Crafting Distribution Shifts for Validation and Training in Single Source Domain
Generalization, WACV 2025. The shifts themselves are in ``dgbench.data.shifts``; selecting needs only their names.
"""

from __future__ import annotations

from typing import Literal, get_args

Family = Literal[
    "arithmetic",
    "artistic",
    "blur",
    "color",
    "contrast",
    "convolutional",
    "edges",
    "geometric",
    "segmentation",
    "weather",
]
FAMILIES: tuple[Family, ...] = get_args(Family)

FOLDS = (FAMILIES[:5], FAMILIES[5:])
"""The paper's two folds, A1 and A2: train with one, validate with the other."""

VIEWS_VERSION = 2
"""Raised whenever a shift draws other pixels, so that nothing computed with older ones is taken for current.

2: Noise is drawn in single precision, and filters, edges and regions are computed in other ways, which are faster: most
pictures differ, a few by more than rounding (superpixels, Voronoi cells, bilateral and motion blur, edges of medians).
"""

LEFT_OUT = {
    "blur: mean shift": "a second for each image, a hundred times the cost of all others together",
    "color: k-means quantisation": "on small images with few colours it keeps nearly every pixel",
    "geometric: polar warp of crop and pad": "no library here has the polar warp; a fisheye would be another shift",
}
"""Entries of the paper's families that dgbench does not have, each with the reason."""
