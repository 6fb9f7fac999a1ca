"""CDANN: a discriminator that knows the class and still cannot tell the source domains apart.

Li, Tian, Gong, Liu, Liu, Zhang, Tao: Deep Domain Generalization via Conditional Invariant Adversarial Networks. ECCV
2018.

DANN's two losses, where the discriminator sees ``phi_i + E[y_i]``, E being an embedding of the classes that learns with
it, and each class counts the same: an example's share is one over the number of its class in the batch and the number
of classes there. This is DomainBed's form, but that it counts classes up to the highest that is in the batch; the paper
has a discriminator for each class, and one more that sees all classes, weighted alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.later import F, Network, Tensor, nn
from dgbench.algorithms.objectives.dann import DANN
from dgbench.algorithms.step import Forward


@dataclass(frozen=True)
class CDANN(DANN):
    """As DANN, class by class."""

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """The discriminator, and what is added for each class, ``[C, d]``."""
        super().attach(network, examples)
        embedding = nn.Embedding(network.classes, network.info.dim)
        network.auxiliary.add_module("classes", embedding.to(network.head.weight))

    def inputs(self, forward: Forward) -> Tensor:
        """Features, moved by what stands for their class."""
        moved: Tensor = forward.features + forward.network.auxiliary.get_submodule("classes")(forward.batch.y)
        return moved

    def shares(self, forward: Forward) -> Tensor:
        """Alike for all classes that are there, and within a class for all examples."""
        count = F.one_hot(forward.batch.y, forward.network.classes).sum(0).to(forward.features.dtype)
        return (1 / count.clamp(min=1) / (count > 0).sum())[forward.batch.y]
