"""As many further heads as RFC has networks to put together, beside the shared one; everything is trained.

Zhang, Lopez-Paz, Bottou: Rich Feature Construction for the Optimization-Generalization Dilemma. ICML 2022.
arXiv 2203.15516. The synthesis trains them; what starts from it takes their mean for its head.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Network, nn
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Adapter
from dgbench.core.units import Count


@dataclass(frozen=True)
class RFCHeads(Adapter):
    """Full fine-tuning with several heads.

    Attributes:
        heads: How many.
    """

    heads: Count = 2

    def serves(self) -> frozenset[Targets]:
        """Its heads learn classes that other networks predict."""
        return frozenset({"classes"})

    def provides(self) -> frozenset[str]:
        """The heads, which are no domain's own."""
        return frozenset({"rfc_heads"})

    def attach(self, network: Network, domains: int) -> None:
        """Add the heads, drawn as every linear layer is."""
        network.unfreeze()
        network.domain_heads = nn.Linear(network.info.dim, self.heads * network.classes).to(network.head.weight)
