"""Colour jitter and grayscale.

They touch the shift families ``arithmetic`` (brightness multiplies pixels), ``color`` and ``contrast``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dgbench.data.augment import one_image
from dgbench.data.augment.one_image import LUMA
from dgbench.data.augment.rows import drawn, in_turn, pieces

STRENGTHS = (0.3, 0.3, 0.3, 0.3)
"""How far brightness, contrast, saturation and hue go by default."""


def color_jitter(
    x: Tensor,
    generator: torch.Generator,
    brightness: float = STRENGTHS[0],
    contrast: float = STRENGTHS[1],
    saturation: float = STRENGTHS[2],
    hue: float = STRENGTHS[3],
) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image, in a random order.

    Distributed as torchvision's ``ColorJitter``; each change is its ``adjust_...`` on float images.

    Args:
        x: ``[n, 3, h, w]``, uint8, or float in [0, 1].
        generator: On the CPU.
        brightness: Factors are uniform between 1 minus and 1 plus this, which is in [0, 1).
        contrast: Likewise.
        saturation: Likewise.
        hue: Hue turns by minus to plus this share of the circle, in [0, 0.5].

    Returns:
        float32 ``[n, 3, h, w]`` in [0, 1], new.
    """
    order, amounts = draw_changes(len(x), generator, (brightness, contrast, saturation, hue))
    if x.device.type != "cpu":
        return in_turn(x, CHANGES, order, amounts)
    white = 255.0 if x.dtype == torch.uint8 else 1.0
    out, (memory, spare) = torch.empty(x.shape), torch.empty(2, *x.shape[1:])
    with torch.inference_mode():  # small tensors, many operations: what autograd keeps of each is a tenth of the time
        for image, turns, strengths, target in zip(x, order.tolist(), amounts.tolist(), out, strict=True):
            changed, top = one_image.jitter(memory.copy_(image), white, turns, strengths, target, spare)
            torch.div(changed, top, out=target)
    return out


def draw_changes(
    n: int, generator: torch.Generator, strengths: tuple[float, float, float, float] = STRENGTHS
) -> tuple[Tensor, Tensor]:
    """The order of an image's four changes, int64 ``[n, 4]``, and the amount of each in this order, ``[n, 4]``.

    Args:
        n: How many images.
        generator: On the CPU.
        strengths: Largest distance from no change: of the factors of brightness, contrast, saturation, and of hue.
    """
    neutral = torch.tensor([1.0, 1.0, 1.0, 0.0])
    amounts = neutral + torch.tensor(strengths) * (2 * torch.rand(n, 4, generator=generator) - 1)
    order = torch.rand(n, 4, generator=generator).argsort(1)
    return order, amounts.gather(1, order)


def grayscale_(x: Tensor, generator: torch.Generator, p: float = 0.1) -> Tensor:
    """Take the colours out of each image with chance ``p``, in place.

    Args:
        x: Float ``[n, 3, h, w]``.
        generator: On the CPU.
        p: In [0, 1].
    """
    for rows in pieces(drawn(len(x), generator, p), x.device):
        x[rows] = gray(x[rows])
    return x


def gray(x: Tensor) -> Tensor:
    """Luma ``[m, 1, h, w]`` of images ``[m, 3, h, w]``."""
    red, green, blue = x.unbind(1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])[:, None]


def brighten(x: Tensor, factor: Tensor) -> None:
    """Multiply images ``[m, 3, h, w]`` in [0, 1], in place, by factors ``[m, 1, 1, 1]``."""
    x.mul_(factor).clamp_(0, 1)


def add_contrast(x: Tensor, factor: Tensor) -> None:
    """Move the pixels of each image away from its mean gray, or towards it; shapes as in :func:`brighten`."""
    mean = gray(x.mean((2, 3), keepdim=True))
    x.mul_(factor).add_(mean * (1 - factor)).clamp_(0, 1)


def saturate(x: Tensor, factor: Tensor) -> None:
    """Move each pixel away from its gray, or towards it; shapes as in :func:`brighten`."""
    x.copy_(torch.lerp(gray(x), x, factor).clamp_(0, 1))


def turn_hue(x: Tensor, share: Tensor) -> None:
    """Turn each pixel's hue by a share of the circle; shapes as in :func:`brighten`.

    A channel is at the pixel's maximum for a third of the circle, at the minimum for the opposite third, and linear in
    between. So green plus blue minus red is linear in the distance of the hue from red, and green minus blue tells the
    side.
    """
    red, green, blue = (plane[:, None] for plane in x.unbind(1))
    high, low = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    chroma = high - low
    from_red = (chroma + green + blue - red - low).copysign(green - blue) / chroma.clamp(min=1e-12)
    turned = (from_red / 6 + share) % 1
    centre = torch.arange(3, device=x.device).view(1, 3, 1, 1) / 3
    distance = 0.5 - ((turned - centre).abs() - 0.5).abs()
    x.copy_(low + chroma * (2 - 6 * distance).clamp(0, 1))


CHANGES = (brighten, add_contrast, saturate, turn_hue)
"""In the order of :func:`draw_changes`."""
