"""CausIRL: features that look the same in two random mixtures of the source domains.

Chevalley, Bunne, Krause, Bauer: Invariant Causal Mechanisms through Distribution Matching. 2022. arXiv 2206.11646.

    for each domain e of b_e examples a cut k_e, uniform in {0, ..., b_e - 1}
    S = the first k_e examples of each domain       T = the others
    loss = mean_e L_e + w distance(S, T)

with the distance of CORAL or of MMD between two domains. Where S or T has one example or none, there is no penalty. So
there is one distance, however many domains there are, and domains need no numbers once their mixture is drawn.

Cost: one forward and one backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.objectives.aligned import Aligned
from dgbench.algorithms.objectives.coral import moment_distance
from dgbench.algorithms.objectives.mmd import kernel_distance
from dgbench.algorithms.slots import Ground
from dgbench.algorithms.step import Batch, Forward


@dataclass(frozen=True)
class CausIRL(Aligned):
    """Mean risk plus the distance of two random mixtures of the domains.

    Attributes:
        distance: CORAL's, of means and covariances, or MMD's.
    """

    distance: Literal["coral", "mmd"] = "coral"

    def acts_on(self) -> frozenset[Ground]:
        """The distance has a gradient in the features alone."""
        return frozenset({"moving features"})

    def compares_domains(self) -> bool:
        """Mixtures are of all domains."""
        return True

    def prepare(self, batch: Batch, classes: int, generator: torch.Generator) -> Batch:
        """Draw where each domain is cut, as a share of its examples."""
        return batch.replace(drawn=(torch.rand(len(batch.sizes), generator=generator).to(batch.x.device),))

    def apart(self, forward: Forward) -> Tensor:
        """A scalar, at least 0; 0 where a mixture has one example or none."""
        halves = mixtures(forward)
        apart = moment_distance(halves) if self.distance == "coral" else kernel_distance(halves)
        _, counts = halves.batch.membership(2)
        enough = (counts > 1).all()
        return torch.where(enough, apart, 0.0)


def mixtures(forward: Forward) -> Forward:
    """The same pass with the two mixtures for its domains."""
    batch = forward.batch
    _, counts = batch.membership(forward.domains)
    cuts = (batch.drawn[0] * counts).floor()
    side = (batch.places(forward.domains) >= cuts[batch.domain]).long()
    return replace(forward, batch=batch.replace(domain=side, present=None), domains=2)
