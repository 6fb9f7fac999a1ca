"""Which images of a batch an operation is for, in the pieces that suit the device.

On a CPU an operation is fastest one image at a time, since the image then stays in the cache from one operation to the
next. Elsewhere it is fastest on all its images at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dgbench.data.pixels.sent import sent

Operation = Callable[[Tensor, Tensor], object]
"""Changes float images ``[m, 3, h, w]`` in [0, 1] in place, by amounts ``[m, 1, 1, 1]``."""


def drawn(n: int, generator: torch.Generator, p: float) -> Tensor:
    """Whether each of n images is chosen, with chance ``p``: bool ``[n]``, on the CPU."""
    return torch.rand(n, generator=generator) < p


def pieces(chosen: Tensor, device: torch.device) -> list[slice] | list[Tensor]:
    """Indices that together take every chosen image.

    Args:
        chosen: Whether each image is, bool ``[n]``, on the CPU.
        device: Where the images are.
    """
    rows = chosen.nonzero().squeeze(1)
    if device.type == "cpu":
        return [slice(row, row + 1) for row in rows.tolist()]
    return [sent(rows, device)] if len(rows) else []


def in_turn(x: Tensor, operations: Sequence[Operation], chosen: Tensor, amounts: Tensor) -> Tensor:
    """New float images, each changed by operations of its own, one after another.

    Args:
        x: ``[n, 3, h, w]``, uint8, or float in [0, 1].
        operations: What there is to choose from.
        chosen: Numbers of an image's operations in their order, int64 ``[n, k]``, on the CPU.
        amounts: What each of them gets, ``[n, k]``, on the CPU.
    """
    out = torch.empty(x.shape, device=x.device)
    if x.device.type == "cpu":
        image_by_image(x, out, operations, chosen, amounts)
    else:
        all_at_once(x, out, operations, chosen, amounts)
    return out


def image_by_image(x: Tensor, out: Tensor, operations: Sequence[Operation], chosen: Tensor, amounts: Tensor) -> None:
    """:func:`in_turn` into ``out``, for a CPU."""
    each = zip(x[:, None], out[:, None], chosen.tolist(), amounts[..., None, None, None, None], strict=True)
    for source, image, numbers, strengths in each:
        _unit(source, image)
        for number, strength in zip(numbers, strengths, strict=True):
            operations[number](image, strength)


def all_at_once(x: Tensor, out: Tensor, operations: Sequence[Operation], chosen: Tensor, amounts: Tensor) -> None:
    """:func:`in_turn` into ``out``, for other devices: each operation is for all its images together."""
    _unit(x, out)
    for numbers, strengths in zip(chosen.T, amounts.T, strict=True):
        for number, operation in enumerate(operations):
            rows = (numbers == number).nonzero().squeeze(1)
            if len(rows):
                here = sent(rows, x.device)
                images = out[here]
                operation(images, sent(strengths[rows], x.device)[:, None, None, None])
                out[here] = images


def _unit(x: Tensor, out: Tensor) -> None:
    """Write images in [0, 1]."""
    out.copy_(x)
    if x.dtype == torch.uint8:
        out.mul_(1 / 255)
