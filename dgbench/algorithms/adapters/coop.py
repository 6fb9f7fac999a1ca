"""CoOp: the words around a class name are learnt, and nothing else.

Zhou, Yang, Loy, Liu: Learning to Prompt for Vision-Language Models. IJCV 2022. arXiv 2109.01134.

    row_c = exp(logit_scale) * unit(text([V_1] ... [V_M] [class c] [.]))        trained: V, M vectors of the embedding

Both towers are frozen. ``V`` starts as the words "a photo of a", so training starts from the zero-shot head of that
sentence; it is shared by all classes. Cost: images as for a linear probe, and in every pass the text tower, forth and
back, on C texts; with many classes that is more than the images. Needs a text tower. Deviations: rows are averaged
where weights are, not V; the released code also has vectors drawn at random, and ones of each class's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from dgbench.algorithms.adapters.text_head import TextHead
from dgbench.algorithms.later import Network


@dataclass(frozen=True)
class CoOp(TextHead):
    """The prompt is trained; the head is what the text tower says of it.

    Attributes:
        context: The words that the prompt starts as; their number stays.
    """

    context: Annotated[str, Field(pattern=r"\S")] = "a photo of a"

    def freezes_backbone(self) -> bool:
        """It does."""
        return True

    def attach(self, network: Network, domains: int) -> None:
        """Freeze the backbone, and let the head follow from the prompt."""
        from dgbench.models.texts import prompt

        network.backbone.requires_grad_(False)
        prompt(network, self.context)
