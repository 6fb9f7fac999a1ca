"""Sharpness: by how much the loss rises where weights are moved a little.

Andriushchenko, Croce, Müller, Hein, Flammarion: A Modern Look at the Relationship between Sharpness and Generalization.
ICML 2023. arXiv 2302.07011. With c = |w| (adaptive) or c = 1, and z normal:

    average    mean over draws of L(w + r c z) - L(w)
    worst      max of L(w + d) - L(w) over all d with ||d / c|| <= r

Adaptive sharpness does not change where a layer is scaled and the next one scaled back. Neither tells how well a model
generalises, the authors find: they describe, and do not select. Deviations: logits are not normalised; images are not
taken in batches but together; the worst place is looked for by ascent along c^2 g / ||c g|| with steps of length r,
each put back into the ball, from a place near its centre that a seed draws, since at a minimum the gradient says
nothing. The draws are about r sqrt(n) long (||d / c||, of n weights), outside the ball of the worst: the average may be
above it. Cost: a forward pass a draw, and one; a forward and backward pass a step, and two forward passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Loss = Callable[[bool], float]
"""The loss where the weights are now; told True, it leaves its gradient in their ``.grad``, which it finds empty."""
NEAR = 1e-2
"""How far from the centre the ascent begins, as a share of the radius."""


def average(
    loss: Loss, weights: Sequence[Tensor], radius: float, generator: torch.Generator, *, adaptive: bool, draws: int = 20
) -> float:
    """The mean rise over normal draws; the weights are left as they were.

    Args:
        loss: Of the weights.
        weights: Those that are moved.
        radius: r, at least 0.
        generator: On the CPU.
        adaptive: Whether a weight moves in proportion to its size.
        draws: How many.
    """
    kept, scale, before = _kept(weights), _scale(weights, adaptive), loss(False)
    rises = []
    for _ in range(draws):
        noise = [torch.randn(one.shape, generator=generator).to(one) for one in weights]
        _put(weights, kept, [radius * c * z for c, z in zip(scale, noise, strict=True)])
        rises.append(loss(False) - before)
    _put(weights, kept)
    return sum(rises) / draws


def worst(
    loss: Loss, weights: Sequence[Tensor], radius: float, generator: torch.Generator, *, adaptive: bool, steps: int = 20
) -> float:
    """The largest rise that is found in the ball, at least 0; arguments as for :func:`average`, and ``steps``.

    Where the loss is no finite number somewhere on the way, neither is what is found.
    """
    kept, scale, before = _kept(weights), _scale(weights, adaptive), loss(False)
    noise = [torch.randn(one.shape, generator=generator).to(one) for one in weights]
    place = _long(noise, NEAR * radius)  # d / c
    rises = [0.0]
    for _ in range(steps):
        _put(weights, kept, [c * d for c, d in zip(scale, place, strict=True)])
        for one in weights:
            one.grad = None
        rises.append(loss(True) - before)
        slopes = [torch.zeros_like(one) if one.grad is None else one.grad for one in weights]
        up = _long([c * g for c, g in zip(scale, slopes, strict=True)], radius)
        place = _inside([d + u for d, u in zip(place, up, strict=True)], radius)
    _put(weights, kept, [c * d for c, d in zip(scale, place, strict=True)])
    rises.append(loss(False) - before)
    _put(weights, kept)
    for one in weights:
        one.grad = None
    return next((rise for rise in rises if not math.isfinite(rise)), max(rises))


def _kept(weights: Sequence[Tensor]) -> list[Tensor]:
    return [one.detach().clone() for one in weights]


def _scale(weights: Sequence[Tensor], adaptive: bool) -> list[Tensor]:
    return [one.detach().abs() if adaptive else torch.ones_like(one) for one in weights]


@torch.no_grad()
def _put(weights: Sequence[Tensor], kept: Sequence[Tensor], moved: Sequence[Tensor] | None = None) -> None:
    for number, (one, old) in enumerate(zip(weights, kept, strict=True)):
        one.copy_(old if moved is None else old + moved[number])


def _length(tensors: Sequence[Tensor]) -> float:
    return float(torch.stack([one.detach().norm() for one in tensors]).norm())


def _long(tensors: Sequence[Tensor], length: float) -> list[Tensor]:
    """In the same direction, of that length; 0 where there is no direction."""
    own = _length(tensors)
    return [one.detach() * (length / own if own > 0 else 0.0) for one in tensors]


def _inside(tensors: Sequence[Tensor], radius: float) -> list[Tensor]:
    """Put back onto the ball where they are outside of it."""
    return _long(tensors, radius) if _length(tensors) > radius else list(tensors)
