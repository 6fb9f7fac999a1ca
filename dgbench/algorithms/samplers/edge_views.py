"""Training images under crafted shifts, each beside a map of its edges.

N. Efthymiadis, G. Tolias, O. Chum: Crafting Distribution Shifts for Validation and Training in Single Source Domain
Generalization. WACV 2025. Code: NikosEfth/crafting-shifts.

An image is drawn as by the sampler ``crafted``, cropped to 80 to 100 % of its area, mirrored with chance 1/2; its other
view is the edge map of what it has become (``data/pixels/edge_map.py``), drawn with random thresholds. Both have its
label, and go through one network in one pass. With n images of a domain a step has 2n examples of it, first all images
and then, in the same order, all edge maps, so the plain cross-entropy is the paper's loss with lambda 1; the objective
``edge_branch`` has the others, and the predictor ``edge_branch`` looks at both views of what it predicts.

Edges are a family of shifts, and so is what a crop does: `strict` validation leaves out both beside the ``shifts``, and
as the second view is not to be had without them there is no judge for `kfold`. The paper's cross-validation over its
two folds, which trains with edges all the same, has no counterpart here. Cost of a step: that of twice as many images.
Shifts take milliseconds for an image, on the CPU, and edges some ten at 224 pixels on one core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.samplers.crafted import Crafted, each
from dgbench.core.shift_families import FOLDS, Family

OWN = frozenset({"edges", "geometric"})
"""The families that edge maps, crops and flips are of."""
SCALE = (0.8, 1.0)
"""Smallest and largest area of a crop."""


@dataclass(frozen=True)
class EdgeViews(Crafted):
    """Two views of as many images from each source domain, most of which went through a shift.

    Attributes:
        shifts: The families that shifts are drawn from; without any, images are only cropped and mirrored.
    """

    views: ClassVar[int] = 2

    shifts: Annotated[tuple[Family, ...], AfterValidator(each)] = FOLDS[0]

    def provides(self) -> frozenset[str]:
        """Edge maps."""
        return frozenset({"edge_views"})

    def augment(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """All images, and then their edge maps."""
        from dgbench.data.augment.crop import flip_, random_resized_crop
        from dgbench.data.pixels.edge_map import edge_maps, random_lines

        size = (x.shape[-2], x.shape[-1])
        seen = flip_(random_resized_crop(super().augment(x, generator), generator, size, SCALE), generator)
        return torch.cat([seen, edge_maps(seen, random_lines(len(seen), generator))])

    def families(self) -> frozenset[str]:
        """Those that shifts are drawn from, and those of edges and crops."""
        return super().families() | OWN

    def without(self, families: frozenset[str]) -> EdgeViews | None:
        """The other shifts; without edges and crops there is no such sampler."""
        if families & OWN:
            return None
        return EdgeViews(tuple(family for family in self.shifts if family not in families))
