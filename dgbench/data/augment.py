"""Light augmentation for training; it touches the shift family ``geometric`` and no other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pad_crop(x: Tensor, generator: torch.Generator, pad: int = 2) -> Tensor:
    """Shift each image by up to ``pad`` pixels along each axis; what comes in repeats the edge.

    Args:
        x: Images ``[n, c, h, w]``.
        generator: Draws the shifts, each in -pad to pad with equal chances, on a device of its own.
        pad: Largest shift, in pixels.
    """
    n, c, h, w = x.shape
    shifts = torch.randint(0, 2 * pad + 1, (2, n, 1), generator=generator, device=generator.device)
    top, left = shifts.to(x.device)
    rows = top + torch.arange(h, device=x.device)
    columns = left + torch.arange(w, device=x.device)
    width = w + 2 * pad
    taken = (rows[:, :, None] * width + columns[:, None, :]).view(n, 1, h * w).expand(n, c, h * w)
    padded = F.pad(x, (pad, pad, pad, pad), mode="replicate").flatten(2)
    return padded.gather(2, taken).view(n, c, h, w)
