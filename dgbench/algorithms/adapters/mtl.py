"""A head for MTL: the shared one, and weights on the mean of an image's domain beside it; everything is trained.

Blanchard, Deshmukh, Dogan, Lee, Scott: Domain Generalization by Marginal Transfer Learning. JMLR 22, 2021.
arXiv 1711.07910.

    logits = W phi(x) + b + V (m - m0)

``m`` is the mean of the features of the domain that x is of, and ``m0`` that of all source domains. A linear head on
``[phi, m]``, which is how DomainBed has it, is the same function: its bias is ``b - V m0``. Written like this the
shared head alone is what the recipe says of a domain whose mean is m0, and so it is what validation during training,
and every predictor that knows of no domain, take.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Network, Tensor, nn
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Adapter, Ground


@dataclass(frozen=True)
class MTLHead(Adapter):
    """Full fine-tuning with weights on the means of domains."""

    def serves(self) -> frozenset[Targets]:
        """What trains the weights, and predicts with them, are parts for classes."""
        return frozenset({"classes"})

    def provides(self) -> frozenset[str]:
        """The weights."""
        return frozenset({"mean_head"})

    def acts_on(self) -> frozenset[Ground]:
        """With a single domain m is m0."""
        return frozenset({"several domains"})

    def attach(self, network: Network, domains: int) -> None:
        """Add V; it starts at 0, so that the network starts as it would without."""
        network.unfreeze()
        weights = nn.Linear(network.info.dim, network.classes).to(network.head.weight)
        nn.init.zeros_(weights.weight)
        nn.init.zeros_(weights.bias)
        network.domain_heads = weights


def moved(network: Network, means: Tensor, centre: Tensor) -> Tensor:
    """What domains of some means ``[k, d]`` add to the logits, ``[k, C]``, where m0 is ``centre [d]``."""
    added: Tensor = network.domain_logits(means)[:, 0] - network.domain_logits(centre[None])[:, 0]
    return added
