"""Linear probe: a linear classifier on frozen features.

Kumar, Raghunathan, Jones, Ma, Liang: Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution.
ICLR 2022. arXiv 2202.10054 compares it with full fine-tuning far from the training distribution.

The paper fits the probe on stored features with an L-BFGS solver; here it is trained by the same steps as every other
recipe, on features of augmented images where the sampler augments. With ``head="zero_shot"`` it starts from what a text
tower says of the class names, with ``head="pretrained"`` from the classifier that the backbone's weights came with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dgbench.algorithms.heads import Head
from dgbench.algorithms.later import Network
from dgbench.algorithms.slots import Adapter


@dataclass(frozen=True)
class LinearProbe(Adapter):
    """Only the head is trainable. The loop keeps a backbone that is frozen whole in evaluation mode.

    Attributes:
        head: What the head starts from: ``random`` numbers, class names (``zero_shot``), or the classifier that the
            backbone's weights came with (``pretrained``).
    """

    head: Literal["random", "zero_shot", "pretrained"] = "random"

    def initial_head(self) -> Head:
        """As the attribute says."""
        return self.head

    def freezes_backbone(self) -> bool:
        """It does."""
        return True

    def attach(self, network: Network, domains: int) -> None:
        """Freeze the backbone."""
        network.backbone.requires_grad_(False)
