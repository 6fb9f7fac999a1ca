"""The layers of a network that normalise, and their statistics at test time."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)
_BY_BATCH = nn.modules.batchnorm._BatchNorm
_NORMS = (_BY_BATCH, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.InstanceNorm2d)


def by_batch(module: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The layers that normalise by the batch in training, and by running statistics otherwise."""
    return [layer for layer in module.modules() if isinstance(layer, _BY_BATCH)]


def affine(module: nn.Module) -> dict[str, nn.Parameter]:
    """The scales and shifts of all layers that normalise, by their names in the module."""
    return {
        f"{path}.{name}" if path else name: parameter
        for path, layer in module.named_modules()
        if isinstance(layer, _NORMS)
        for name, parameter in layer.named_parameters(recurse=False)
    }


def normalising_by_batch(network: M, prior: float = 0.0) -> M:
    """A copy whose layers that normalise by the batch do so with the statistics of each batch, in evaluation mode too.

        m = a m_B + (1 - a) m_S      v = a v_B + (1 - a) v_S      a = n / (n + prior)

    with means ``m_B`` and biased variances ``v_B`` of the batch's n images, at all places of a map, and the running
    ones ``m_S`` and ``v_S`` that the layer had. Gradients flow through both. What a layer does after it has normalised
    (scales, shifts, an activation) stays as it is; running statistics give way to 0 and 1, in place of which its input
    comes normalised.

    Args:
        network: Stays as it is; the copy has modules of its own, and the same weights.
        prior: How many images the running statistics count as.
    """
    network = copy.deepcopy(network, {id(own): own for own in (*network.parameters(), *network.buffers())})
    for layer in by_batch(network):
        if layer.running_mean is None or layer.running_var is None:
            continue  # it normalises by the batch as it is
        mean, variance = layer.running_mean.clone(), layer.running_var.clone()
        layer.running_mean = torch.zeros_like(mean)
        layer.running_var = torch.full_like(variance, 1 - layer.eps)
        layer.register_forward_pre_hook(partial(_normalised, mean=mean, variance=variance, prior=prior))
    return network


def _normalised(layer: Any, given: tuple[Tensor, ...], mean: Tensor, variance: Tensor, prior: float) -> tuple[Tensor]:
    x = given[0].float()
    share = len(x) / (len(x) + prior)
    places = [axis for axis in range(x.dim()) if axis != 1]
    seen = x.mean(places), x.var(places, unbiased=False)
    m, v = (share * now + (1 - share) * before for now, before in zip(seen, (mean, variance), strict=True))
    shape = [-1 if axis == 1 else 1 for axis in range(x.dim())]
    return (((x - m.view(shape)) * (v + layer.eps).rsqrt().view(shape)).to(given[0].dtype),)
