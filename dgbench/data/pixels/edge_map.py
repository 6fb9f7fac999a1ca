"""Edge maps: the lines of an image, a pixel wide, black on white, by thresholds that follow from the image.

N. Efthymiadis, G. Tolias, O. Chum: Crafting Distribution Shifts for Validation and Training in Single Source Domain
Generalization. WACV 2025. J. Canny: A Computational Approach to Edge Detection. PAMI 1986.

    g = .2989 R + .587 G + .114 B in [0, 1]      s = g smoothed by a Gaussian of deviation sigma, 0 beyond the image
    t = an automatic threshold of |Sobel(s)|     E = Canny(g, sigma, low t, high t)

In Canny's detector g is smoothed over the pixels that there are. An edge is a ridge of Sobel's gradient, no weaker than
what lies to both sides along its direction, between pixels by interpolation; it is at least as strong as the low
threshold all along, and somewhere as the high one. The outermost pixels are none. Where thresholds find no edge at all,
they are .1 and .2; where all of a gradient is the same, t is .5.

For training sigma, the way to the threshold, the threshold and its multiples are drawn for each image
(:func:`random_lines`); else they are fixed (:func:`plain_lines`). All is elementwise, or counts: what becomes of an
image does not depend on those beside it. Parts that hang together are found on the CPU.

Deviations: thresholds are searched over all 256 bins of the gradient's histogram, Li's and ISODATA's, too, which are
often found by iteration; sigma is drawn for each image, where the authors' code draws it once for many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import label
from torch import Tensor

from dgbench.data.pixels.sent import sent

METHODS = ("otsu", "yen", "mean", "isodata", "li")
"""The automatic thresholds, in the order of :func:`thresholds`."""
SIGMAS = (0.0, 1.0, 2.0)
"""Deviations in pixels that are drawn for training."""
BINS = 256
BY_DEFAULT = (0.1, 0.2)
"""Thresholds where others find no edge."""

_LUMA = (0.2989, 0.587, 0.114)
_REACH = 4
"""Deviations after which a Gaussian ends."""
_IN_PLANE = np.zeros((3, 3, 3), np.bool_)
_IN_PLANE[1] = True
"""What hangs together: pixels that touch, also at corners, in one image."""


@dataclass(frozen=True)
class Lines:
    """How the edges of each of n images are drawn; all on the CPU.

    Attributes:
        sigma: Of the Gaussian, in pixels, ``[n]``.
        method: Number of the threshold among ``METHODS``, int64 ``[n]``.
        noise: Added to the threshold, where that stays between the least and the greatest gradient, ``[n]``.
        low, high: What the threshold is multiplied by for the ends of lines and for their cores, ``[n]``.
    """

    sigma: Tensor
    method: Tensor
    noise: Tensor
    low: Tensor
    high: Tensor


def plain_lines(n: int) -> Lines:
    """How images that are predicted are drawn: sigma 1, Otsu's threshold, half of it and one and a half."""
    ones = torch.ones(n)
    return Lines(ones, torch.zeros(n, dtype=torch.int64), 0 * ones, 0.5 * ones, 1.5 * ones)


def random_lines(n: int, generator: torch.Generator) -> Lines:
    """How images to train on are drawn; a generator on the CPU."""
    sigma = torch.tensor(SIGMAS)[torch.randint(len(SIGMAS), (n,), generator=generator)]
    method = torch.randint(len(METHODS), (n,), generator=generator)
    noise, apart = 10 * torch.randn(n, generator=generator), 0.2 * torch.randn(n, generator=generator)
    one, other = (0.5 - apart).clamp(min=0.1), (1.5 + apart).clamp(max=2)
    return Lines(sigma, method, noise, torch.minimum(one, other), torch.maximum(one, other))


def edge_maps(x: Tensor, lines: Lines) -> Tensor:
    """0 on the edges of each image and 255 elsewhere, three times over, uint8 ``[n, 3, h, w]``.

    Args:
        x: uint8 ``[n, 3, h, w]``.
        lines: How they are drawn.
    """
    red, green, blue = x.float().unbind(1)
    gray = (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue) / 255
    weights = _gaussian(lines.sigma, x.device)
    smooth = _smoothed(_smoothed(gray, weights, 1), weights, 2)
    h, w = gray.shape[1:]
    inside = [_smoothed(gray.new_ones(len(x), h, 1), weights, 1), _smoothed(gray.new_ones(len(x), 1, w), weights, 2)]
    noisy = _noisy(_strength(smooth), lines)
    low, high = (noisy * sent(share, x.device) for share in (lines.low, lines.high))
    edges = _canny(smooth / (inside[0] * inside[1]), low, high)
    return (255 * ~edges).to(torch.uint8)[:, None].repeat(1, 3, 1, 1)


def thresholds(values: Tensor) -> Tensor:
    """Automatic thresholds of what is at least 0, float64 ``[n, 5]``, a column for each of ``METHODS``.

    With P the share of a histogram's mass up to a bin, of mean a, and b the mean of what is above::

        Otsu     maximal P (1 - P) (a - b)^2
        Yen      maximal log (P (1 - P))^2 - log (sum of squared shares up to it) (of those above)
        mean     of all values
        ISODATA  the first bin whose centre lies less than a bin below (a + b) / 2
        Li       minimal cross-entropy, - P a log a - (1 - P) b log b

    Args:
        values: ``[n, m]``.
    """
    least, greatest = values.aminmax(dim=1, keepdim=True)
    width = (greatest - least) / BINS
    place = ((values - least) / width.clamp(min=1e-30)).long().clamp_(max=BINS - 1)
    own = place + BINS * torch.arange(len(values), device=values.device)[:, None]
    counts = torch.bincount(own.flatten(), minlength=BINS * len(values)).view(-1, BINS).double()
    least, width = least.double(), width.double()
    centres = least + (torch.arange(BINS, device=values.device) + 0.5) * width
    share = counts / values.shape[1]
    (below, a, squares), (above, b, others) = _up_to(share, centres), _up_to(share.flip(1), centres.flip(1))
    above, b, others = above.flip(1), b.flip(1), others.flip(1)
    middle = (a + b) / 2 - centres[:, :-1]
    found = [
        (below * above * (a - b).square()).argmax(1),
        (2 * (below * above).log() - (squares * others).log()).argmax(1),
        ((middle >= 0) & (middle < width)).byte().argmax(1),
        (below * a * a.log() + above * b * b.log()).argmax(1),
    ]
    otsu, yen, isodata, li = (centres.gather(1, at[:, None]).squeeze(1) for at in found)
    every = torch.stack([otsu, yen, values.mean(1, dtype=torch.float64), isodata, li], 1)
    return torch.where(greatest > least, every, 0.5)


def _up_to(share: Tensor, centres: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of all bins up to each but the last: their share, their mean, and the sum of their squared shares."""
    mass = share.cumsum(1)
    mean = (share * centres).cumsum(1) / mass
    return mass[:, :-1], mean[:, :-1], share.square().cumsum(1)[:, :-1]


def linked(weak: Tensor, strong: Tensor) -> Tensor:
    """Those pixels that hang together with a strong one by weak ones, bool ``[n, h, w]``.

    Args:
        weak: Which pixels count, bool ``[n, h, w]``, on any device.
        strong: Which of them are strong, likewise.
    """
    parts, number = label(weak.cpu().numpy(), _IN_PLANE)
    kept = np.zeros(number + 1, np.bool_)
    kept[parts[strong.cpu().numpy()]] = True
    kept[0] = False
    return sent(torch.from_numpy(kept[parts]), weak.device)


def sobel(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Eight times the slope to the right and downwards, of planes ``[n, 1, h, w]``, whose outermost pixels repeat."""
    padded = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 2:] - padded[..., :-2]
    down = padded[..., 2:, :] - padded[..., :-2, :]
    return (
        across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :],
        down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:],
    )


def _gaussian(sigma: Tensor, device: torch.device) -> Tensor:
    """Weights by the distance from a pixel, ``[n, reach + 1]``; each image's are 1 together, on both sides."""
    distance = torch.arange(math.ceil(_REACH * float(sigma.max())) + 1)
    weights = (-0.5 * (distance / sigma.clamp(min=1e-6)[:, None]).square()).exp()
    weights *= distance <= (_REACH * sigma + 0.5).floor()[:, None]
    return sent(weights / (2 * weights.sum(1, keepdim=True) - weights[:, :1]), device)


def _smoothed(planes: Tensor, weights: Tensor, axis: int) -> Tensor:
    """Planes ``[n, h, w]`` along an axis, beyond which there is 0."""
    reach, side = weights.shape[1] - 1, planes.shape[axis]
    padded = F.pad(planes, (0, 0, reach, reach) if axis == 1 else (reach, reach))
    of_each = weights[:, :, None, None]
    total = planes * of_each[:, 0]
    for distance in range(1, reach + 1):
        before, after = (padded.narrow(axis, reach + sign * distance, side) for sign in (-1, 1))
        total = total + (before + after) * of_each[:, distance]
    return total


def _strength(planes: Tensor) -> Tensor:
    """Length of Sobel's gradient, of planes ``[n, h, w]``."""
    across, down = sobel(planes[:, None])
    return torch.hypot(across, down).squeeze(1)


def _noisy(strength: Tensor, lines: Lines) -> Tensor:
    """The threshold of each image that is asked for, and its noise where that is no reason to draw all or nothing."""
    flat = strength.flatten(1)
    least, greatest = flat.aminmax(dim=1)
    found = thresholds(flat).gather(1, sent(lines.method, flat.device)[:, None]).squeeze(1)
    moved = found + sent(lines.noise, flat.device)
    return torch.where((least < moved) & (moved < greatest), moved, found)


def _canny(planes: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Where the edges of smooth planes ``[n, h, w]`` are, by thresholds ``[n]``: bool ``[n, h, w]``."""
    thin = _ridges(planes)
    edges = _between(thin, low, high)
    blank = ~edges.flatten(1).any(1)
    if blank.any():
        low, high = (torch.full_like(low[blank], each) for each in BY_DEFAULT)
        edges[blank] = _between(thin[blank], low, high)
    return edges


def _between(thin: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Ridges that are no weaker than ``low``, where they lead to some that are no weaker than ``high``."""
    weak, strong = ((thin >= each[:, None, None].to(thin)) & (thin > 0) for each in (low, high))
    return linked(weak, strong)


def _ridges(planes: Tensor) -> Tensor:
    """Length of the gradient where it is a ridge along its own direction and 0 elsewhere, of planes ``[n, h, w]``."""
    across, down = (slope.squeeze(1) for slope in sobel(planes[:, None]))
    strength = torch.hypot(across, down)
    h, w = planes.shape[1:]
    padded = F.pad(strength, (1, 1, 1, 1))

    def beside(y: int, x: int) -> Tensor:
        return padded[:, 1 + y : 1 + y + h, 1 + x : 1 + x + w]

    steep = down.abs() >= across.abs()
    shorter, longer = (torch.where(steep, one.abs(), other.abs()) for one, other in ((across, down), (down, across)))
    lean = shorter / longer.clamp(min=1e-30)
    falling = across * down > 0
    ridge = torch.ones_like(steep)
    for sign in (1, -1):
        straight = torch.where(steep, beside(sign, 0), beside(0, sign))
        diagonal = torch.where(
            falling, beside(sign, sign), torch.where(steep, beside(sign, -sign), beside(-sign, sign))
        )
        ridge &= strength >= torch.lerp(straight, diagonal, lean)
    ridge[:, [0, -1]], ridge[:, :, [0, -1]] = False, False
    return strength * ridge
