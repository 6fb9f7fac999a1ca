"""Low-rank changes of frozen weights: the one parametrisation behind every adapter of the LoRA family.

    rows[start:stop] of W   become   W[start:stop] + scale * sum_n B_n A_n        A_n [r, i]   B_n [o, r]

It acts on the weight, not on the layer, so a row slice of a fused ``qkv`` matrix, a raw parameter and a convolution
(seen as ``[out, in * kh * kw]``) are all the same to it, and it merges without a trace.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dgbench.core.errors import RecipeError
from dgbench.models.network import Matrix, Network, Role


class LowRankDelta(nn.Module):
    """N parallel low-rank terms on a slice of a weight's rows.

    ``A`` starts as ``U(-1/sqrt(i), 1/sqrt(i))`` and ``B`` as 0, so the weight starts unchanged. Numbers are drawn on
    the CPU: a training starts from the same factors on every device.

    Args:
        shared: Whether all terms have one ``A``.

    Attributes:
        A: ``[N, r, i]``, or ``[1, r, i]`` where it is shared.
        B: ``[N, o, r]``.
    """

    def __init__(
        self,
        weight: Tensor,
        rank: int,
        *,
        rows: tuple[int, int] | None = None,
        terms: int = 1,
        scale: float = 1.0,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.start, self.stop = rows or (0, len(weight))
        self.scale = scale
        width = weight[0].numel()
        bound = 1 / math.sqrt(width)
        factors = torch.empty(1 if shared else terms, rank, width).uniform_(-bound, bound)
        self.A = nn.Parameter(factors.to(weight))
        self.B = nn.Parameter(weight.new_zeros(terms, self.stop - self.start, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """The changed weight; everything outside the rows as it was."""
        flat = weight.flatten(1)
        changed = torch.slice_scatter(flat, self.slice(weight) + self.change(), 0, self.start, self.stop)
        return changed.view_as(weight)

    def change(self) -> Tensor:
        """What is added to the rows, ``[o, i]``."""
        return self.scale * torch.einsum("nor,nri->oi", self.B, self.A)

    def slice(self, weight: Tensor) -> Tensor:
        """The rows that this changes, as a matrix ``[o, i]``."""
        return weight.flatten(1)[self.start : self.stop]


class SpectralDelta(LowRankDelta):
    """One term that starts as some singular triplets ``u s v'`` of the rows themselves, which are then trained.

    With ``A_0 = sqrt(s) v'`` and ``B_0 = u sqrt(s)`` the rows are ``W + B A - B_0 A_0``: the rest ``W - B_0 A_0`` is
    frozen, and the weight starts unchanged, bit for bit. Triplets are found on the CPU in double precision, so a
    training starts from the same factors on every device.

    Args:
        component: Which triplets: those of the least singular values (``minor``), of the largest (``major``), or drawn
            from torch's global generator (``random``).
    """

    A0: Tensor
    B0: Tensor

    def __init__(
        self,
        weight: Tensor,
        rank: int,
        *,
        rows: tuple[int, int] | None = None,
        component: Literal["minor", "major", "random"] = "minor",
    ) -> None:
        start, stop = rows or (0, len(weight))
        full = min(stop - start, weight[0].numel())
        rank = min(rank, full)
        super().__init__(weight, rank, rows=rows)
        wide = self.slice(weight).detach().to("meta" if weight.is_meta else "cpu", torch.float64)
        u, s, v = torch.linalg.svd(wide, full_matrices=False)  # singular values descend
        match component:
            case "minor":
                chosen = torch.arange(full - rank, full)
            case "major":
                chosen = torch.arange(rank)
            case "random":
                chosen = torch.randperm(full)[:rank]
        root = s[chosen].sqrt()
        with torch.no_grad():
            self.A.copy_(root[:, None] * v[chosen])
            self.B.copy_(u[:, chosen] * root)
        self.register_buffer("A0", self.A.detach().clone())
        self.register_buffer("B0", self.B.detach().clone())

    def change(self) -> Tensor:
        """``B A - B_0 A_0``, in single precision whatever the network computes in: it is a small difference."""
        here = self.A.device.type
        with nullcontext() if here == "meta" else torch.autocast(here, torch.bfloat16, enabled=False):
            now, before = (torch.einsum("nor,nri->oi", B, A) for B, A in ((self.B, self.A), (self.B0, self.A0)))
            return now - before


def adapt(
    network: Network,
    targets: Iterable[Role],
    rank: int,
    *,
    terms: int = 1,
    scale: float = 1.0,
    shared: bool = False,
) -> None:
    """Freeze the backbone but for low-rank changes of some matrices in every block.

    Where the backbone has attention, those are the targets, some of ``q``, ``k``, ``v``. Where it has none, they are
    each block's pair of pointwise maps. What the backbone's name freezes stays as it is.

    Raises:
        RecipeError: nothing is left that could change.
    """
    chosen = changeable(network, targets)
    network.backbone.requires_grad_(False)
    change(network.backbone, chosen, rank, terms=terms, scale=scale, shared=shared)


def change(module: nn.Module, matrices: Iterable[Matrix], rank: int, *, terms: int, scale: float, shared: bool) -> None:
    """Let some matrices of a backbone, or of a text tower, be changed by ``B A`` from now on."""
    for matrix in matrices:
        weight = weight_of(module, matrix)
        delta = LowRankDelta(weight, rank, rows=matrix.rows, terms=terms, scale=scale, shared=shared)
        put(module, matrix, delta)


def changeable(network: Network, targets: Iterable[Role], first_block: int = 0) -> list[Matrix]:
    """The matrices that :func:`adapt` speaks of, from some block on.

    Raises:
        RecipeError: there are none.
    """
    info = network.info
    roles = {*targets, "expand", "project"}
    chosen = [
        matrix
        for matrix in info.matrices
        if matrix.role in roles and matrix.block >= first_block and not info.freezes(matrix.name)
    ]
    if not chosen:
        reason = "its option 'freeze' leaves none" if info.matrices else "no attention and no pairs of 1x1 convolutions"
        raise RecipeError(
            f"low-rank adapters change matrices of blocks, and '{info.name}' has none for them ({reason}); take a "
            "vision transformer or a network like EfficientNet, MobileNet, ResNet-50 or ConvNeXt"
        )
    return chosen


def weight_of(module: nn.Module, matrix: Matrix) -> Tensor:
    """The tensor of a backbone, or a text tower, that holds a matrix, or rows of which are one."""
    weight: Tensor = getattr(module.get_submodule(matrix.module), matrix.parameter)
    return weight


def put(module: nn.Module, matrix: Matrix, delta: LowRankDelta) -> None:
    """Let a matrix be changed by ``delta`` from now on."""
    parametrize.register_parametrization(module.get_submodule(matrix.module), matrix.parameter, delta)


def low_rank_deltas(network: Network) -> Iterator[tuple[Tensor, LowRankDelta]]:
    """Every low-rank change in the network with the frozen rows ``[o, i]`` that it adds to."""
    for module in network.backbone.modules():
        if isinstance(module, parametrize.ParametrizationList):
            for delta in module:
                if isinstance(delta, LowRankDelta):
                    yield delta.slice(module.original), delta
