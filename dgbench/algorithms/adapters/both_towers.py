"""Full fine-tuning of a model of images and texts: both towers are trained, and the head is what the texts say.

Goyal, Kumar, Garg, Kolter, Raghunathan: Finetune Like You Pretrain: Improved Finetuning of Zero-Shot Vision Models.
CVPR 2023. arXiv 2212.00638. With the objective ``contrastive`` it is FLYP.

    row_c = exp(logit_scale) * unit(text("a photo of a c."))    read anew in every pass

Trained are all weights of both towers and the scale; there is no bias. Cost: a pass of both towers; the text tower sees
C sentences. Needs a text tower. Deviations: of several sentences in the data's wording the first is read, where the
paper draws one for every image; rows are averaged where weights are.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.adapters.text_head import TextHead
from dgbench.algorithms.later import Network


@dataclass(frozen=True)
class BothTowers(TextHead):
    """Everything is trainable, the text tower too."""

    def attach(self, network: Network, domains: int) -> None:
        """Nothing is frozen but what the backbone's name freezes."""
        from dgbench.models.texts import read_texts

        network.unfreeze()
        read_texts(network).tower.requires_grad_(True)
