"""What a network offers to parts."""

from __future__ import annotations

from torch import nn

from dgbench.models.backbones.matrices import find_matrices
from dgbench.models.levels import told_stages
from dgbench.models.norms import affine, by_batch


def provided(module: nn.Module) -> frozenset[str]:
    """What an image network offers to parts."""
    offers = {
        "low_rank": find_matrices(module),
        "levels": find_matrices(module) or told_stages(module),
        "normalisation": affine(module),
        "batch_statistics": by_batch(module),
    }
    return frozenset(name for name, there in offers.items() if there)
