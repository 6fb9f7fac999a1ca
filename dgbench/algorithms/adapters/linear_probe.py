"""Linear probe: a linear classifier on frozen features.

Kumar, Raghunathan, Jones, Ma, Liang: Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution.
ICLR 2022. arXiv 2202.10054 compares it with full fine-tuning far from the training distribution.

The paper fits the probe on stored features with an L-BFGS solver; here it is trained by the same steps as every other
recipe, and its features come from augmented images.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.slots import Adapter
from dgbench.models.network import Network


@dataclass(frozen=True)
class LinearProbe(Adapter):
    """Only the head is trainable. The loop keeps a backbone that is frozen whole in evaluation mode."""

    def attach(self, network: Network, domains: int) -> None:
        """Freeze the backbone."""
        network.backbone.requires_grad_(False)
