"""Full fine-tuning: every weight is trained, from pretrained weights or from random ones.

With ``head="linear_probe"`` the head starts as the linear probe's on the same frozen backbone (first train the head,
then everything: Kumar, Raghunathan, Jones, Ma, Liang: Fine-Tuning can Distort Pretrained Features and Underperform
Out-of-Distribution. ICLR 2022. arXiv 2202.10054). The weights before the first step are then a classifier that works,
which weight interpolation needs as its other end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dgbench.algorithms.slots import Adapter
from dgbench.models.network import Network


@dataclass(frozen=True)
class Full(Adapter):
    """Everything is trainable.

    Attributes:
        head: What the head starts from: ``random`` numbers, or the trained head of a ``linear_probe``.
    """

    head: Literal["random", "linear_probe"] = "random"

    def provides(self) -> frozenset[str]:
        """Initial weights that classify, where the head is a linear probe's."""
        return frozenset({"reference_head"}) if self.reference_head() else frozenset()

    def reference_head(self) -> bool:
        """Whether the loop is to load the linear probe's head first."""
        return self.head == "linear_probe"

    def attach(self, network: Network, domains: int) -> None:
        """Nothing is frozen, nothing is new."""
        network.requires_grad_(True)
