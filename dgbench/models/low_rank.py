"""Low-rank changes of frozen weights: the one parametrisation behind every adapter of the LoRA family.

    rows[start:stop] of W   become   W[start:stop] + scale * sum_n B_n A_n        A_n [r, i]   B_n [o, r]

It acts on the weight, not on the layer, so a row slice of a fused ``qkv`` matrix, a raw parameter and a convolution
(seen as ``[out, in * kh * kw]``) are all the same to it, and it merges without a trace.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dgbench.core.errors import RecipeError
from dgbench.models.network import Network, Role


class LowRankDelta(nn.Module):
    """N parallel low-rank terms on a slice of a weight's rows.

    ``A`` starts as ``U(-1/sqrt(i), 1/sqrt(i))`` and ``B`` as 0, so the weight starts unchanged. Numbers are drawn on
    the CPU: a training starts from the same factors on every device.

    Attributes:
        A: ``[N, r, i]``.
        B: ``[N, o, r]``.
    """

    def __init__(
        self, weight: Tensor, rank: int, *, rows: tuple[int, int] | None = None, terms: int = 1, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.start, self.stop = rows or (0, len(weight))
        self.scale = scale
        width = weight[0].numel()
        bound = 1 / math.sqrt(width)
        factors = torch.empty(terms, rank, width).uniform_(-bound, bound)
        self.A = nn.Parameter(factors.to(weight))
        self.B = nn.Parameter(weight.new_zeros(terms, self.stop - self.start, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """The changed weight; everything outside the rows as it was."""
        flat = weight.flatten(1)
        delta = self.scale * torch.einsum("nor,nri->oi", self.B, self.A)
        changed = torch.slice_scatter(flat, self.slice(weight) + delta, 0, self.start, self.stop)
        return changed.view_as(weight)

    def slice(self, weight: Tensor) -> Tensor:
        """The rows that this changes, as a matrix ``[o, i]``."""
        return weight.flatten(1)[self.start : self.stop]


def adapt(network: Network, targets: Iterable[Role], rank: int, *, terms: int = 1, scale: float = 1.0) -> None:
    """Freeze the backbone but for low-rank changes of some matrices in every block.

    Where the backbone has attention, those are the targets, some of ``q``, ``k``, ``v``. Where it has none, they are
    each block's pair of pointwise maps. What the backbone's name freezes stays as it is.

    Raises:
        RecipeError: nothing is left that could change.
    """
    info = network.info
    roles = {*targets, "expand", "project"}
    chosen = [matrix for matrix in info.matrices if matrix.role in roles and not info.freezes(matrix.name)]
    if not chosen:
        reason = "its option 'freeze' leaves none" if info.matrices else "no attention and no pairs of 1x1 convolutions"
        raise RecipeError(
            f"low-rank adapters change matrices of blocks, and '{info.name}' has none for them ({reason}); take a "
            "vision transformer or a network like EfficientNet, MobileNet, ResNet-50 or ConvNeXt"
        )
    network.backbone.requires_grad_(False)
    for matrix in chosen:
        owner = network.backbone.get_submodule(matrix.module)
        weight = getattr(owner, matrix.parameter)
        delta = LowRankDelta(weight, rank, rows=matrix.rows, terms=terms, scale=scale)
        parametrize.register_parametrization(owner, matrix.parameter, delta)


def low_rank_deltas(network: Network) -> Iterator[tuple[Tensor, LowRankDelta]]:
    """Every low-rank change in the network with the frozen rows ``[o, i]`` that it adds to."""
    for module in network.backbone.modules():
        if isinstance(module, parametrize.ParametrizationList):
            for delta in module:
                if isinstance(delta, LowRankDelta):
                    yield delta.slice(module.original), delta
