"""Places in a backbone on the way to its features: what some of its blocks give out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, takewhile

from torch import nn

from dgbench.models.network import Backbone, Level, Matrix


def levels(info: Backbone, module: nn.Module, most: int) -> tuple[Level, ...]:
    """Up to ``most`` blocks, evenly spaced, the last one among them; none where no blocks are known.

    Args:
        info: Says where the blocks are.
        module: The backbone as it is now; an adapter may have changed its weights.
        most: How many.
    """
    blocks = [list(matrices) for _, matrices in groupby(info.matrices, lambda matrix: matrix.block)]
    count = min(most, len(blocks))
    chosen = [blocks[-(-(place + 1) * len(blocks) // count) - 1] for place in range(count)]
    return tuple(_level(module, block) for block in chosen)


def _level(module: nn.Module, block: Sequence[Matrix]) -> Level:
    """The innermost module with all matrices of a block, whose output is as long as that of the last matrix."""
    paths = [matrix.module.split(".") for matrix in block]
    shared = [names[0] for names in takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))]
    last = getattr(module.get_submodule(block[-1].module), block[-1].parameter)
    return Level(".".join(shared), len(last), 1 if last.ndim == 4 else -1)
