"""The loss of a network that sees images and their edges: one cross-entropy for each view.

N. Efthymiadis, G. Tolias, O. Chum: Crafting Distribution Shifts for Validation and Training in Single Source Domain
Generalization. WACV 2025.

    loss = [ sum_b CE(f(x_b), y_b) + lambda sum_b CE(f(e_b), y_b) ] / 2B

for B images ``x_b`` with edge maps ``e_b``, as in the released code: with lambda 1 this is the mean over all examples,
cross-entropy to the bit, and with 0 half of that of the images alone. One forward and one backward pass over both.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Tensor
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class EdgeBranch(Objective):
    """Mean cross-entropy over images and edge maps, the latter at a weight.

    Attributes:
        weight: Lambda, what edge maps count beside images.
    """

    weight: NonNegative = 1.0

    def needs(self) -> frozenset[str]:
        """Edge maps."""
        return frozenset({"edge_views"})

    def compares_domains(self) -> bool:
        """It does not."""
        return False

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        return (self._weights(forward) * forward.cross_entropy).mean()

    def _weights(self, forward: Forward) -> Tensor:
        """1 of images and lambda of edge maps, which are the second half of their domain: ``[n]``."""
        batch = forward.batch
        _, counts = batch.membership(forward.domains)
        of_edges = 2 * batch.places(forward.domains) >= counts[batch.domain]
        return 1 + (self.weight - 1) * of_edges.to(forward.logits.dtype)
