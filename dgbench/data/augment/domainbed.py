"""The augmentation of DomainBed.

Gulrajani and Lopez-Paz: In Search of Lost Domain Generalization. ICLR 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dgbench.data.augment.color import color_jitter, draw_changes, grayscale_
from dgbench.data.augment.crop import RATIO, draw_boxes, flip_, random_resized_crop
from dgbench.data.augment.one_image import GRAY, cut, jitter, normalise
from dgbench.data.augment.rows import drawn
from dgbench.data.pixels.normal import PLAIN, Normal

SCALE = (0.7, 1.0)
"""Smallest and largest area of a crop."""


def domainbed(x: Tensor, generator: torch.Generator, size: tuple[int, int], normal: Normal = PLAIN) -> Tensor:
    """Crop 70 to 100 % of the area, mirror half of the images, change colours by up to .3, make a tenth gray.

    Args:
        x: ``[n, 3, h, w]``, uint8, or float in [0, 1].
        generator: On the CPU.
        size: Height and width of what is returned, in pixels.
        normal: Applied in the end; by default images are in [0, 1].

    Returns:
        float32 ``[n, 3, *size]``.
    """
    return (image_by_image if x.device.type == "cpu" else one_after_another)(x, generator, size, normal)


def one_after_another(x: Tensor, generator: torch.Generator, size: tuple[int, int], normal: Normal) -> Tensor:
    """:func:`domainbed`, each of its parts on the whole batch."""
    cropped = random_resized_crop(x, generator, size, SCALE)
    return normal(grayscale_(color_jitter(flip_(cropped, generator), generator), generator))


def image_by_image(x: Tensor, generator: torch.Generator, size: tuple[int, int], normal: Normal) -> Tensor:
    """:func:`domainbed` for a CPU: the same draws, and an image stays in the cache until it is done."""
    n, _, h, w = x.shape
    boxes = draw_boxes(n, (h, w), generator, SCALE, RATIO).tolist()
    mirrored = drawn(n, generator, 0.5).tolist()
    order, amounts = (each.tolist() for each in draw_changes(n, generator))
    gray = drawn(n, generator, 0.1).tolist()
    white = 255.0 if x.dtype == torch.uint8 else 1.0
    out, found = torch.empty(n, 3, *size), x.new_empty(3, *size)
    memory, spare = torch.empty(2, 3, *size)
    with torch.inference_mode():  # what autograd keeps of many small operations is a tenth of the time
        for row, (image, target) in enumerate(zip(torch.split(x, 1), out.unbind(), strict=True)):
            cut(image, boxes[row], found, mirrored=mirrored[row])
            changes, strengths = (
                (order[row] + [GRAY], amounts[row] + [0.0]) if gray[row] else (order[row], amounts[row])
            )
            changed, top = jitter(memory.copy_(found), white, changes, strengths, target, spare)
            normalise(changed, top, normal, target)
    return out
