"""Layers that normalise by the batch, where the batch lies in several processes.

Each process has the mean and the variance of its own rows; those of all follow from these and from how many there are.
They are exchanged with their gradients, so what is learnt is what one process learns from the whole batch. torch's
``SyncBatchNorm`` does likewise, on accelerators alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dgbench.models.norms import by_batch
from dgbench.train.division import Division
from dgbench.train.exchange import lent, together


def normalise_together(network: nn.Module, among: Division) -> None:
    """Let layers that normalise by the batch do so by the rows of all processes, from now on, in place.

    Evaluation, and running statistics that are held, are as ever.
    """
    for layer in by_batch(network):
        layer.register_forward_pre_hook(partial(_normalised, among))
        layer.register_forward_hook(_back, always_call=True)


def _normalised(among: Division, layer: Any, given: tuple[Tensor, ...]) -> tuple[Tensor] | None:
    """The layer's input, normalised; for this pass the layer evaluates, with statistics that change nothing."""
    if not layer.training:
        return None
    x = given[0].to(torch.promote_types(given[0].dtype, torch.float32))
    places = [axis for axis in range(x.dim()) if axis != 1]
    mean, variance, count = _statistics(among, x, places)
    _move(layer, mean.detach(), variance.detach(), count)
    layer.aside = layer.running_mean, layer.running_var
    layer.running_mean, layer.running_var = torch.zeros_like(mean), torch.full_like(mean, 1 - layer.eps)
    layer.training = False
    shape = [-1 if axis == 1 else 1 for axis in range(x.dim())]
    return (((x - mean.view(shape)) * (variance + layer.eps).rsqrt().view(shape)).to(given[0].dtype),)


def _back(layer: Any, given: Any, made: Any) -> None:
    """Put back what :func:`_normalised` has put aside."""
    if hasattr(layer, "aside"):
        layer.running_mean, layer.running_var = layer.aside
        del layer.aside
        layer.training = True


def _statistics(among: Division, x: Tensor, places: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance of each channel, ``[C]``, over the rows of all processes, and of how many values."""
    own = x.mean(places), x.var(places, unbiased=False), x.new_full((1,), x.numel() / x.shape[1])
    (everyone,) = lent(among, [together(among, torch.cat(own)[None], among.processes)])
    means, variances, counts = torch.split(everyone, [x.shape[1], x.shape[1], 1], 1)
    count = counts.detach().sum()
    shares = counts.detach() / count
    mean = (shares * means).sum(0)
    return mean, (shares * (variances + (means - mean).square())).sum(0), count


@torch.no_grad()
def _move(layer: Any, mean: Tensor, variance: Tensor, count: Tensor) -> None:
    """Move running statistics as the layer itself does; what :class:`Closure` holds stays."""
    if layer.running_mean is None:
        return
    if layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
    rate = 1 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
    layer.running_mean.lerp_(mean, rate)
    layer.running_var.lerp_(variance * (count / (count - 1)), rate)
