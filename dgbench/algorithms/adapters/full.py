"""Full fine-tuning: every weight is trained, from pretrained weights or from random ones.

With ``head="linear_probe"`` the head starts as the linear probe's on the same frozen backbone (first train the head,
then everything: Kumar, Raghunathan, Jones, Ma, Liang: Fine-Tuning can Distort Pretrained Features and Underperform
Out-of-Distribution. ICLR 2022. arXiv 2202.10054). With ``head="zero_shot"`` it is made of what a text tower says of the
class names, and with ``head="pretrained"`` it is the classifier that the backbone's weights came with. In each case the
weights before the first step are a classifier that works, which weight interpolation needs as its other end.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.heads import Head
from dgbench.algorithms.later import Network
from dgbench.algorithms.slots import Adapter


@dataclass(frozen=True)
class Full(Adapter):
    """Everything is trainable.

    Attributes:
        head: What the head starts from: ``random`` numbers, the trained head of a ``linear_probe``, class names
            (``zero_shot``), or the classifier that the backbone's weights came with (``pretrained``).
    """

    head: Head = "random"

    def initial_head(self) -> Head:
        """As the attribute says."""
        return self.head

    def attach(self, network: Network, domains: int) -> None:
        """Nothing is frozen but what the backbone's name freezes; nothing is new."""
        network.unfreeze()
