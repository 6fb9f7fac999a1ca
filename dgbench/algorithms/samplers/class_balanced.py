"""Class-balanced batches: as many images of each class as of any other, from each source domain.

Idrissi, Arjovsky, Pezeshki, Lopez-Paz: Simple data balancing achieves competitive worst-group-accuracy. CLeaR 2022.
arXiv 2110.14503.

With groups of images that share a domain and a class this is their reweighted sampling of groups (RWG); on one source
domain it is that of classes (RWY). Every step takes the same number of images from each domain, in rounds of every
class that the domain has. Deviation: they draw with replacement; here classes come by turns, and the images of a class
are all seen once before one is seen again, so balance is exact over rounds and not in the mean. Images of rare classes
are seen many times as often as others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.later import Tensor
from dgbench.algorithms.samplers import epochs
from dgbench.algorithms.samplers.balanced import Balanced
from dgbench.algorithms.serving import Targets


@dataclass(frozen=True)
class ClassBalanced(Balanced):
    """The balanced sampler, with classes balanced within each domain."""

    def serves(self) -> frozenset[Targets]:
        """Values have no classes to balance."""
        return frozenset({"classes"})

    def labelled_rows(
        self, pools: Sequence[Tensor], labels: Sequence[Tensor], size: int, step: int, seeds: Sequence[int]
    ) -> list[Tensor]:
        """The next ``size`` rows of each domain's endless sequence of rounds."""
        return epochs.rows_by_class(pools, labels, size, step, seeds)
