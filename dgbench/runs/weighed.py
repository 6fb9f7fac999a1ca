"""What is measured of weights beside what they predict, where a board's criterion asks for it.

Flatness is how little the loss rises near the weights. J. Cha et al., "SWAD: Domain Generalization by Seeking Flat
Minima", NeurIPS 2021, bound the risk on a new domain by the highest risk on the sources near the weights. It is taken
where P. Foret, A. Kleiner, H. Mobahi, B. Neyshabur, "Sharpness-Aware Minimization for Efficiently Improving
Generalization", ICLR 2021, look for it, one step up the gradient g. With L the mean over source domains of the mean
cross-entropy on clean validation images, in nats, and r = 0.05::

    rise = L(w + r g / ||g||) - L(w),    g = dL/dw        flatness = -rise

w is what training moved of the weights, with adapters merged: all of a network, a head on stored features; of a whole
algorithm from elsewhere what is not frozen when it is made. Where the loss has no gradient in them (a class whose
``predict`` computes without) there is no rise, and the criterion says that it lacks one. Statistics
of normalisation stay. It is computed in float32, whatever the training computed in: such steps are lost in bfloat16.
As all such measures it depends on the scale of the weights, and compares networks of one architecture at most. Cost: a
pass forth and back and a pass forth over the validation images, for each candidate.

The discrepancy of features is that of :mod:`dgbench.selection.indicators.discrepancy`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import polars as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.models.elsewhere import Elsewhere
from dgbench.models.network import Network
from dgbench.runs.finished import BESIDE
from dgbench.runs.plan import RunSpec
from dgbench.runs.predict import Bench
from dgbench.selection.indicators.discrepancy import discrepancy
from dgbench.train.evaluate import CHUNK
from dgbench.train.sources import Held

RADIUS = 0.05
"""Of the ball in which the loss rises: SAM's own."""


def weighed(bench: Bench, run: RunSpec) -> pl.DataFrame:
    """What is measured of each candidate of a run, as :data:`dgbench.runs.finished.BESIDE`."""
    held, moved = bench.sources.validating, bench.trajectory.moved
    chunk = min(CHUNK, bench.training.batch)  # a step of the training has as many in memory
    found = []
    for step in bench.each(run):
        apart = discrepancy([part.float().cpu().numpy() for part in bench.clean(run, step)])
        higher = rise(bench.network, held, moved, chunk)
        found.append((step, None if higher is None else 0.0 - higher, apart))
    return pl.DataFrame(found, BESIDE, orient="row")


def rise(network: Network, held: Sequence[Held], moved: frozenset[str], chunk: int = CHUNK) -> float | None:
    """By how much the loss is higher one step up its gradient, in nats; the network is left as it was.

    It is no number where the loss or its gradient is none, and None where no gradient reaches the weights.

    Args:
        network: With the weights that are looked at.
        held: The source domains, each with validation images.
        moved: The names of the weights that training moved.
        chunk: Images at once.
    """
    with alone(network, moved) as weights:
        before = loss_of(network, held, chunk, backward=True)
        if all(one.grad is None for one in weights):
            return None
        slopes = [torch.zeros_like(one) if one.grad is None else one.grad for one in weights]
        length = float(torch.stack([slope.norm() for slope in slopes]).norm())
        if not length:
            return 0.0
        if not math.isfinite(length):
            return math.nan
        kept = [one.detach().clone() for one in weights]
        with torch.no_grad():
            for one, slope in zip(weights, slopes, strict=True):
                one.add_(slope, alpha=RADIUS / length)
            after = loss_of(network, held, chunk)
            for one, old in zip(weights, kept, strict=True):
                one.copy_(old)
    return after - before


@contextmanager
def alone(network: Network, moved: frozenset[str]) -> Iterator[list[Tensor]]:
    """The parameters that moved, as the only ones with gradients, of a network that evaluates in float32."""
    modes = [(module, module.training) for module in network.modules()]
    asked = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    precision = network.precision
    network.eval()
    network.precision = "float32"
    weights: list[Tensor] = []
    for name, parameter in network.named_parameters():
        taken = name in moved and parameter.is_floating_point()
        if isinstance(network, Elsewhere):
            taken &= parameter.requires_grad  # of what it keeps, nobody else knows what moves
        parameter.grad = None
        if taken:
            weights.append(parameter)
        if parameter.is_floating_point():
            parameter.requires_grad_(taken)
    try:
        yield weights
    finally:
        network.precision = precision
        for parameter, required in asked:
            parameter.requires_grad_(required)
            parameter.grad = None
        for module, training in modes:
            module.training = training


def loss_of(network: Network, held: Sequence[Held], chunk: int, *, backward: bool = False) -> float:
    """The mean over domains of their mean cross-entropy; with its gradient added to that of the weights."""
    total = 0.0
    for domain in held:
        for rows in torch.split(domain.validation, chunk):
            labels = domain.labels[rows.to(domain.labels.device)]
            loss = F.cross_entropy(network(domain.inputs.ready(rows)), labels, reduction="sum")
            loss = loss / (len(domain.validation) * len(held))
            if backward and loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
    return total
