"""AugMix: mixtures of chains of operations, mixed with the image itself.

D. Hendrycks, N. Mu, E. D. Cubuk, B. Zoph, J. Gilmer, B. Lakshminarayanan: AugMix: A Simple Data Processing Method to
Improve Robustness and Uncertainty. ICLR 2020.

    x' = m x + (1 - m) sum_i w_i chain_i(x)        w ~ Dirichlet(1, ..., 1)        m ~ Beta(1, 1)

A chain is one to three operations at random, one after another, each at a magnitude of its own that is uniform up to
``severity``. Operations are those of RandAugment without colours, brightness and contrast, as in the paper: what a
corruption benchmark tests is left out. Deviations: histogram equalisation is left out, as from RandAugment here; images
are float, so nothing is rounded to 8 bits. The paper's consistency loss is an objective's affair.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dgbench.data.augment.rand_augment import ENTRIES
from dgbench.data.augment.rows import in_turn
from dgbench.data.pixels.sent import sent

OPERATIONS = tuple(entry for entry in ENTRIES if entry.name not in ("Brightness", "Color", "Contrast"))
"""The first is the identity, which fills up chains that are shorter than others."""


def augmix(x: Tensor, generator: torch.Generator, chains: int = 3, longest: int = 3, severity: float = 0.3) -> Tensor:
    """Mix each image with what random chains of operations make of it.

    Args:
        x: ``[n, 3, h, w]``, uint8, or float in [0, 1].
        generator: On the CPU.
        chains: How many chains an image is mixed of.
        longest: Operations of a chain, at most.
        severity: Largest magnitude, a share of the largest change, in [0, 1]; the paper's is 3 of 10.

    Returns:
        float32 ``[n, 3, h, w]`` in [0, 1], new.
    """
    n, shape = len(x), (len(x), longest)
    weights = -torch.rand(n, chains, generator=generator).clamp(min=1e-30).log()  # exponential: shares are Dirichlet's
    weights = weights / weights.sum(1, keepdim=True)
    itself = torch.rand(n, generator=generator)
    nothing = torch.zeros(shape, dtype=torch.long)
    mixed = _shared(in_turn(x, [OPERATIONS[0].apply], nothing[:, :1], torch.zeros(n, 1)), itself)
    for chain in range(chains):
        lengths = torch.randint(1, longest + 1, (n, 1), generator=generator)
        chosen = torch.randint(1, len(OPERATIONS), shape, generator=generator)
        chosen = torch.where(torch.arange(longest) < lengths, chosen, 0)
        signs = 2 * torch.randint(2, shape, generator=generator) - 1
        amounts = signs * severity * torch.rand(shape, generator=generator)
        changed = in_turn(x, [entry.apply for entry in OPERATIONS], chosen, amounts)
        mixed += _shared(changed, (1 - itself) * weights[:, chain])
    return mixed.clamp_(0, 1)


def _shared(images: Tensor, shares: Tensor) -> Tensor:
    """Each image at its share, in place; shares are on the CPU."""
    return images.mul_(sent(shares, images.device)[:, None, None, None])
