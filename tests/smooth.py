"""Smooth images, as photographs are in small: what augmentations are tested on."""

import torch
import torch.nn.functional as F
from torch import Tensor


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int, h: int = 29, w: int = 37, seed: int = 0) -> Tensor:
    """Smooth uint8 images with plain, gray and clipped parts."""
    x = F.interpolate(torch.rand(n, 3, 5, 6, generator=seeded(seed)) * 1.4 - 0.2, (h, w), mode="bicubic").clamp(0, 1)
    x[:, :, :3] = x[:, :1, :3]
    x[:, 0, 3:6], x[:, 2, 6:9] = x[:, 1, 3:6], x[:, 1, 6:9]
    return (x * 255).round().to(torch.uint8)
