"""A model as it is: nothing is trained, so that fine-tuning can be compared with doing nothing.

Radford, Kim, Hallacy, Ramesh, Goh, Agarwal, Sastry, Askell, Mishkin, Clark, Krueger, Sutskever: Learning Transferable
Visual Models From Natural Language Supervision. ICML 2021. arXiv 2103.00020 (a head made of class names). Taori, Dave,
Shankar, Carlini, Recht, Schmidt: Measuring Robustness to Natural Distribution Shifts in Image Classification. NeurIPS
2020. arXiv 2007.00644 (classifiers under shifts that they were not trained for).

    zero_shot     row_c = exp(logit_scale) * unit(mean over sentences about class c)       (dgbench/models/zero_shot.py)
    pretrained    row_c = the row of the classifier that the weights came with, for class c (dgbench/models/own_head.py)

The training takes no step, and what says how steps are taken (sampler, objective, optimizer, averaging; learning rates
and their draws) is no part of it: they give way to the plain parts, and all draws are one candidate. Images are split
as they are for all others, so source domains validate, and rows of a board can be compared cell by cell. A predictor
is at work as ever. Cost: an evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.heads import ClassifierHead
from dgbench.algorithms.later import Network
from dgbench.algorithms.slots import Adapter


@dataclass(frozen=True)
class AsIs(Adapter):
    """Nothing is trainable.

    Attributes:
        head: Where the head comes from: class names (``zero_shot``), or the classifier that the weights of the backbone
            came with (``pretrained``).
    """

    takes_steps: ClassVar[bool] = False
    head: ClassifierHead = "zero_shot"

    def initial_head(self) -> ClassifierHead:
        """As the attribute says."""
        return self.head

    def freezes_backbone(self) -> bool:
        """It does."""
        return True

    def attach(self, network: Network, domains: int) -> None:
        """Freeze all."""
        network.requires_grad_(False)
