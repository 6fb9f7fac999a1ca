"""UDIM: a loss landscape that looks the same on the source domains and on domains crafted from them.

Shin, Bae, Na, Kim, Moon: Unknown Domain Inconsistency Minimization for Domain Generalization. ICLR 2024.
arXiv 2403.07329.

A share of the steps is plain SAM. Then training returns to its best checkpoint so far, and each step does

    g, v = grad of L(w) in the weights, in the inputs       e = rho g / ||g||
    x~_i = x_i + input_rho v_i / ||v_i||                    an unknown domain, held constant
    descend along grad L(w + e) + inconsistency_weight grad I(w)

where, with G_i the gradient of example i's cross-entropy in the head's C (D + 1) weights, E over a domain's examples
and m = E[G] on the source images,

    I = mean over domains of   1/4 mean_j ( E[(G~ - m)^2] - E[(G - m)^2] )_j^2
                             + E||G~_W||^2 / (C D) + E||G~_b||^2 / C

Everything in I has a closed form in residuals and features, so there is no double backward, and the source pass for g
and v is the one that I needs: three forward and four backward passes in all.

Deviations from the released code, each of which undoes a fault or a scale that depends on the batch:
* The input step has the length ``input_rho`` for every example; there, it is normalised over the batch for each pixel,
  so its length depends on the batch size. There the style variant never reaches the images.
* Inputs ascend the loss alone; there, the loss plus rho ||g||, which costs a double backward of the whole network.
* I is the mean over domains; there, the sum.
* Normalisation layers keep their statistics; there, they are removed, and test batches normalise themselves.
The first two and the sum over domains are what :mod:`~dgbench.algorithms.optimizers.udim_released` brings back.

The paper combines the same I with SAGM and with GAM: both phases then descend as these do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.head_statistics import gradient_moments, squared_norms
from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.gam import GAM
from dgbench.algorithms.optimizers.sagm import SAGM
from dgbench.algorithms.optimizers.sam import SAM, TINY
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.step import Closure, Forward
from dgbench.core.units import Fraction, NonNegative


@dataclass(frozen=True)
class UDIM(SAM):
    """SAM, then SAM with matched gradient statistics on perturbed inputs.

    Attributes:
        rho: Radius of the neighbourhood in the weights, an L2 norm over all weights.
        input_rho: Length of the step in the inputs: an L2 norm over one normalised input.
        inconsistency_weight: Weight of I.
        sam_phase: Share of the steps that are plain SAM.
    """

    input_rho: NonNegative = 1.0
    inconsistency_weight: NonNegative = 1.0
    sam_phase: Fraction = 0.2
    passes: ClassVar[float] = 3.6

    def serves(self) -> frozenset[Targets]:
        """The statistics are those of the gradients of a cross-entropy."""
        return frozenset({"classes"})

    def restart(self, steps: int) -> int | None:
        """Where the SAM phase ends, if there is one."""
        return round(self.sam_phase * steps) or None

    def direction(self, closure: Closure, parameters: Sequence[Tensor]) -> Tensor:
        """SAM's direction, and after the SAM phase the gradient of the inconsistency; the loss is that at ``w``."""
        if closure.step < round(self.sam_phase * closure.steps):
            return super().direction(closure, parameters)
        x = closure.batch.x.detach().requires_grad_()
        source = closure.forward(closure.batch.replace(x=x))
        loss = closure.loss(source)
        gradients, step = self.uphill(loss, parameters, x)
        unknown = closure.forward(closure.batch.replace(x=x.detach() + step))
        matching = torch.autograd.grad(inconsistency(source, unknown), parameters, allow_unused=True)
        moving = [(p, g) for p, g in zip(parameters, gradients, strict=True) if g is not None]
        self.descend(closure, [p for p, _ in moving], [g for _, g in moving])
        for parameter, extra in zip(parameters, matching, strict=True):
            if extra is not None:
                # The gradient's memory is laid out as the weight's, which `extra` need not be.
                descent = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                parameter.grad = descent.add_(extra, alpha=self.strength(source.domains))
        return loss.detach()

    def uphill(self, loss: Tensor, parameters: Sequence[Tensor], x: Tensor) -> tuple[Sequence[Tensor | None], Tensor]:
        """The gradients of the loss in the weights, and the step of the inputs that makes an unknown domain of them."""
        *gradients, slope = torch.autograd.grad(loss, [*parameters, x], retain_graph=True, allow_unused=True)
        return gradients, self.input_rho * _unit(slope)

    def strength(self, domains: int) -> float:
        """What weighs I."""
        return self.inconsistency_weight


@dataclass(frozen=True)
class UDIMSAGM(UDIM, SAGM):
    """SAGM, then SAGM with matched gradient statistics: the paper's combination with SAGM."""


@dataclass(frozen=True)
class UDIMGAM(UDIM, GAM):
    """GAM, then GAM with matched gradient statistics: the paper's combination with GAM."""

    passes: ClassVar[float] = 5.6


def inconsistency(source: Forward, unknown: Forward) -> Tensor:
    """I of the module's docstring: a scalar, at least 0."""
    mean, square = gradient_moments(source)
    unknown_mean, unknown_square = gradient_moments(unknown)
    # The difference of the variances around m, in the form that is exactly 0 for x~ = x.
    mismatch = (unknown_square - square) - 2 * mean * (unknown_mean - mean)
    in_weight, in_bias = squared_norms(unknown)
    classes, dim = unknown.logits.shape[1], unknown.features.shape[1]
    norms = unknown.domain_means(in_weight / (classes * dim) + in_bias / classes)
    return (mismatch.square().mean((1, 2)) / 4 + norms).mean()


def _unit(slope: Tensor) -> Tensor:
    """Each example's slope at length 1; a zero slope stays 0."""
    lengths = slope.flatten(1).square().sum(1).sqrt()
    return slope / (lengths + TINY).view(-1, *[1] * (slope.ndim - 1))
