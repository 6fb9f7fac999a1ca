"""The augmentation of DomainBed.

Gulrajani and Lopez-Paz: In Search of Lost Domain Generalization. ICLR 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dgbench.data.augment.color import color_jitter, grayscale_
from dgbench.data.augment.crop import flip_, random_resized_crop


def domainbed(x: Tensor, generator: torch.Generator, size: tuple[int, int]) -> Tensor:
    """Crop 70 to 100 % of the area, mirror half of the images, change colours by up to .3, make a tenth gray.

    Args:
        x: ``[n, 3, h, w]``, uint8, or float in [0, 1].
        generator: On the CPU.
        size: Height and width of what is returned, in pixels.

    Returns:
        float32 ``[n, 3, *size]`` in [0, 1].
    """
    cropped = random_resized_crop(x, generator, size, scale=(0.7, 1.0))
    return grayscale_(color_jitter(flip_(cropped, generator), generator), generator)
