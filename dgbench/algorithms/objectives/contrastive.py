"""The loss that models of images and texts are pretrained with, between images and the texts of their classes.

Goyal, Kumar, Garg, Kolter, Raghunathan: Finetune Like You Pretrain: Improved Finetuning of Zero-Shot Vision Models.
CVPR 2023. arXiv 2212.00638.

    S_ij = exp(logit_scale) cos(image_i, text_j)        text_j: what is said of image j's class
    loss = 1/2 mean_i [ -log softmax_j(S_ij) at j = i ]  +  1/2 mean_j [ -log softmax_i(S_ij) at i = j ]

As in the released code, images of one class count as each other's wrong answers, so the loss does not go to 0. ``S`` is
made of logits, so this costs what cross-entropy does. Needs a head that is made of texts.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import F, Tensor, torch
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward


@dataclass(frozen=True)
class Contrastive(Objective):
    """Each image is to find its text among those of the batch, and each text its image."""

    def needs(self) -> frozenset[str]:
        """Texts, which are what images are held against."""
        return frozenset({"text_head"})

    def serves(self) -> frozenset[Targets]:
        """A value has no text."""
        return frozenset({"classes"})

    def loss(self, forward: Forward) -> Tensor:
        """The mean of both directions, a scalar."""
        alike = forward.logits[:, forward.batch.y]
        own = torch.arange(len(alike), device=alike.device)
        return (F.cross_entropy(alike, own) + F.cross_entropy(alike.t(), own)) / 2
