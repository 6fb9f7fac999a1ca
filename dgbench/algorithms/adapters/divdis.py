"""Heads for DivDis: the shared one and others beside it, on one backbone.

Lee, Yao, Finn: Diversify and Disambiguate: Learning From Underspecified Data. ICLR 2023. arXiv 2202.03418.

Who makes them differ is the objective, and who predicts with which of them the predictor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dgbench.algorithms.later import Network, Tensor, nn, torch
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Adapter


@dataclass(frozen=True)
class DivDisHeads(Adapter):
    """Several heads, of which the first is the shared one.

    Attributes:
        heads: How many (H).
        train: ``all`` weights, or the ``heads`` alone.
    """

    heads: Annotated[int, Field(ge=2, le=64)] = 2
    train: Literal["all", "heads"] = "all"

    def serves(self) -> frozenset[Targets]:
        """What makes the heads differ is the mutual information of classes."""
        return frozenset({"classes"})

    def provides(self) -> frozenset[str]:
        """The heads, all together and each by its number."""
        return frozenset({"divdis_heads", *(f"divdis_head_{number}" for number in range(self.heads))})

    def freezes_backbone(self) -> bool:
        """Where the heads alone are trained."""
        return self.train == "heads"

    def attach(self, network: Network, domains: int) -> None:
        """Add the further heads, drawn as every linear layer is; numbers come from the CPU."""
        if self.freezes_backbone():
            network.backbone.requires_grad_(False)
        else:
            network.unfreeze()
        further = nn.Linear(network.info.dim, (self.heads - 1) * network.classes)
        network.domain_heads = further.to(network.head.weight)


def heads_of(network: Network) -> int:
    """How many heads there are, with the shared one."""
    further = network.domain_heads
    return 1 if further is None else 1 + further.out_features // network.classes


def logits_of_heads(network: Network, features: Tensor) -> Tensor:
    """Logits ``[n, H, C]`` of features ``[n, d]``, by the shared head first."""
    return torch.cat([network.head(features)[:, None], network.domain_logits(features)], 1)
