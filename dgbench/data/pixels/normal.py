"""From images as they are kept to what a network sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from dgbench.data.pixels.sent import sent

TOGETHER = 2**18
"""Pixels that a CPU normalises at once: what becomes of them stays in its cache from one pass to the next."""


@dataclass(frozen=True)
class Normal:
    """How a network wants its images: in [0, 1], less a mean and divided by a deviation for each channel.

    Attributes:
        mean: Of red, green and blue, in [0, 1].
        std: Likewise.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, x: Tensor) -> Tensor:
        """Normalised images, float32, new where they come as uint8.

        Args:
            x: ``[n, 3, h, w]``: uint8, which is fastest where colours lie side by side in memory, as do those that are
                returned; or float32 in [0, 1], which is changed in place.
        """
        if x.dtype != torch.uint8:
            mean, std = (_spread(values, 1, x.device).view(1, 3, 1, 1) for values in (self.mean, self.std))
            return x.sub_(mean).div_(std)
        n, c, h, w = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(n * h, w * c)  # so that every pass runs along memory
        mean, std = (_spread(values, w, x.device) for values in (self.mean, self.std))
        out = torch.empty(rows.shape, device=x.device)
        together = max(TOGETHER // w, 1) if x.device.type == "cpu" else n * h
        for found, target in zip(torch.split(rows, together), torch.split(out, together), strict=True):
            target.copy_(found).div_(255).sub_(mean).div_(std)
        return out.view(n, h, w, c).permute(0, 3, 1, 2)

    def undone(self, x: Tensor) -> Tensor:
        """The uint8 images that normalised ones ``[n, 3, h, w]`` were made of; others are rounded to such."""
        mean, std = (_spread(values, 1, x.device).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (x * std + mean).mul_(255).round_().clamp_(0, 255).to(torch.uint8)


PLAIN = Normal((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""Leaves images in [0, 1]."""


@lru_cache(maxsize=64)
def _spread(values: Sequence[float], times: int, device: torch.device) -> Tensor:
    """The values one after another, so often, ``[3 * times]``, on the device."""
    return sent(torch.tensor(values).repeat(times), device)
