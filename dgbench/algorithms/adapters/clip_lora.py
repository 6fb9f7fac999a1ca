"""CLIP-LoRA: low-rank changes of query, key and value in every block of both towers.

Zanella, Ben Ayed: Low-Rank Few-Shot Adaptation of Vision-Language Models. CVPR Workshops 2024. arXiv 2405.18541.

    W = W_0 + (alpha / sqrt(r)) B A        A [r, d] random      B [o, r] zero at the start      W_0 frozen
    row_c = exp(logit_scale) * unit(text("a photo of a c."))    read anew in every pass, through the changed tower

Nothing else is trained. With ``blocks = n`` all of n changes ``B_k`` share one A, of rank r / n (Block-LoRA,
arXiv 2501.16720, as its abstract describes it): ``sum_k B_k A`` is a change of rank r / n whose B learns n times as
fast. Cost: a pass of both towers, without gradients of weights; the text tower sees C sentences. Needs matrices that
can be changed and a text tower. Deviations: the released code's dropout acts on a layer's input and has no form on its
weight, so there is none; rows are averaged where weights are. Extension: CLIP's ResNets are changed in pointwise maps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dgbench.algorithms.adapters.text_head import TextHead
from dgbench.algorithms.later import Network, Role
from dgbench.core.units import Count, Positive

TARGETS: tuple[Role, ...] = ("q", "k", "v")


@dataclass(frozen=True)
class CLIPLoRA(TextHead):
    """Low-rank changes of both towers are trained.

    Attributes:
        rank: r, the rank of each change, or of its blocks together.
        alpha: The change is multiplied by ``alpha / sqrt(rank)``.
        blocks: n, how many changes share their A; it divides the rank.
    """

    rank: Count = 2
    alpha: Positive = 1.0
    blocks: Count = 1

    def __post_init__(self) -> None:
        if self.rank % self.blocks:
            raise ValueError(f"blocks ({self.blocks}) must divide rank ({self.rank})")

    def needs(self) -> frozenset[str]:
        """Two towers that can be changed."""
        return super().needs() | {"low_rank"}

    def attach(self, network: Network, domains: int) -> None:
        """Freeze both towers and add ``B A`` to the targets of every block."""
        from dgbench.models.backbones.matrices import find_matrices
        from dgbench.models.low_rank import adapt, change
        from dgbench.models.texts import read_texts

        rank, terms = self.rank // self.blocks, self.blocks
        scale, shared = self.alpha / math.sqrt(self.rank), terms > 1
        adapt(network, TARGETS, rank, terms=terms, scale=scale, shared=shared)
        tower = read_texts(network).tower
        chosen = [matrix for matrix in find_matrices(tower) if matrix.role in TARGETS]
        change(tower, chosen, rank, terms=terms, scale=scale, shared=shared)
