"""LoRA: low-rank changes of frozen weights.

Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen: LoRA: Low-Rank Adaptation of Large Language Models. ICLR 2022.
arXiv 2106.09685.

    W = W_0 + (alpha / r) B A        A [r, d] random      B [d, r] zero at the start      W_0 frozen

One pair (A, B) for each of the named matrices in every block; biases and normalisation stay frozen, the head is
trained. Deviation from the released code: its optional dropout acts on the layer's input and has no form on the weight,
so there is none. ``A`` starts as ``U(-1/sqrt(d), 1/sqrt(d))``, as in the code; the paper's text has a Gaussian.
Extension: a backbone without attention is changed in each block's pair of pointwise maps (1x1 convolutions).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dgbench.algorithms.later import Network, Role
from dgbench.algorithms.slots import Adapter
from dgbench.core.units import Count, Positive

TARGETS: dict[str, tuple[Role, ...]] = {"qv": ("q", "v"), "qkv": ("q", "k", "v")}


@dataclass(frozen=True)
class LoRA(Adapter):
    """Low-rank changes are trained, with the head.

    Attributes:
        rank: r, the rank of each change.
        alpha: The change is multiplied by ``alpha / rank``, so a rank can be changed at one learning rate.
        targets: Which of the query, key and value matrices change, where the backbone has them.
    """

    rank: Count = 4
    alpha: Positive = 4.0
    targets: Literal["qv", "qkv"] = "qv"

    def needs(self) -> frozenset[str]:
        """A backbone with matrices that can be changed."""
        return frozenset({"low_rank"})

    def attach(self, network: Network, domains: int) -> None:
        """Freeze the backbone and add ``B A`` to the targets of every block."""
        from dgbench.models.low_rank import adapt

        adapt(network, TARGETS[self.targets], self.rank, scale=self.alpha / self.rank)
