"""What a network offers to parts."""

from __future__ import annotations

from torch import nn

from dgbench.models.backbones.matrices import find_matrices


def provided(module: nn.Module) -> frozenset[str]:
    """What an image network offers to parts."""
    by_batch = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in module.modules())
    return frozenset({"low_rank"} if find_matrices(module) else ()) | ({"batch_statistics"} if by_batch else set())
