"""One further linear head for each source domain, beside the shared one; everything is trained.

The heads of DRM (Zhang, Wang, Liang, Zhang, Yu, Wang, Tao, Xie: Domain-Specific Risk Minimization for Domain
Generalization. KDD 2023. arXiv 2208.08661). Who trains them and who predicts with them is the business of the objective
and the predictor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.later import Network, nn
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Adapter


@dataclass(frozen=True)
class DomainHeads(Adapter):
    """Full fine-tuning with a head for each source domain; so they are few."""

    most_domains: ClassVar[int | None] = 32

    def serves(self) -> frozenset[Targets]:
        """What trains the heads, and predicts with them, are parts for classes."""
        return frozenset({"classes"})

    def provides(self) -> frozenset[str]:
        """The heads."""
        return frozenset({"domain_heads"})

    def attach(self, network: Network, domains: int) -> None:
        """Add the heads, drawn as every linear layer is; numbers come from the CPU, the same for every device."""
        network.unfreeze()
        network.domain_heads = nn.Linear(network.info.dim, domains * network.classes).to(network.head.weight)
