"""EQRM: the risk that a new domain exceeds with a small probability only.

Eastwood, Robey, Singh, von Kügelgen, Hassani, Pappas, Schölkopf: Probable Domain Generalization via Quantile Risk
Minimization. NeurIPS 2022. arXiv 2207.09944.

    loss = k with (1/M) sum_e Phi((k - L_e) / h) = quantile        h = 1.06 s M^(-1/5)

the quantile of a Gaussian kernel density of the M risks, s being their unbiased standard deviation; before the switch
the mean loss. k is found by bisection, and its gradient follows from its equation: with u_e = (k - L_e) / h
and p_e the normal density at u_e,

    dk/dL_e = (p_e + sum_f p_f u_f  dh/dL_e) / sum_f p_f        dh/dL_e = 1.06 M^(-1/5) (L_e - mean L) / ((M - 1) s)

The released code differentiates the bisection's end points, which gives the best domain and the worst all of the
weight, and can give it the wrong sign. Its default run drops the learning rate to 1e-6 at the switch, its random search
never does; here the optimizer starts afresh at the rate that it has. One forward and one backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated

from pydantic import Field

from dgbench.algorithms.head_statistics import slopes
from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import Fraction

HALVINGS = 40
TINY = 1e-12


@dataclass(frozen=True)
class EQRM(Objective):
    """A quantile of the domains' risks.

    Attributes:
        quantile: Which; 0.5 is about the median, and near 1 the worst domain and beyond it.
        anneal: Share of the steps before the switch.
    """

    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.75
    anneal: Fraction = 0.5

    def serves(self) -> frozenset[Targets]:
        """Risks are of any loss."""
        return frozenset({"classes", "values"})

    def acts_on(self) -> frozenset[Ground]:
        """A single risk has no distribution."""
        return frozenset({"several domains"})

    def resets_optimizer(self, step: int, steps: int) -> bool:
        """At the switch, where another loss begins."""
        return step == round(self.anneal * steps)

    def loss(self, forward: Forward) -> Tensor:
        """A scalar; beyond the worst risk where the quantile is."""
        if forward.step < round(self.anneal * forward.steps):
            return forward.losses.mean()
        risks = forward.domain_risks()
        value, weights = quantile(risks.detach(), self.quantile)
        return value + (weights * (risks - risks.detach())).sum()

    def slopes(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """Every domain has the quantile's gradient in its risk as its share."""
        if forward.step < round(self.anneal * forward.steps):
            n = len(forward.batch)
            return forward.losses.mean(), slopes(forward, forward.logits.new_full((n,), 1 / n))
        value, weights = quantile(forward.domain_risks(), self.quantile)
        return value, slopes(forward, forward.mean_shares(weights))


def quantile(risks: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The quantile of a kernel density of ``risks [M]``, a scalar, and its gradient in them, ``[M]``; it sums to 1."""
    n = len(risks)
    apart = risks - risks.mean()
    deviation = (apart.square().sum() / max(n - 1, 1)).sqrt().clamp(min=TINY)
    scale = 1.06 * n**-0.2
    width, edge = scale * deviation, NormalDist().inv_cdf(share)
    low, high = risks.min() + width * edge, risks.max() + width * edge
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = torch.special.ndtr((middle - risks) / width).mean() < share
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    value = (low + high) / 2
    u = (value - risks) / width
    density = torch.exp(-u.square() / 2)
    widening = scale * apart / (max(n - 1, 1) * deviation)
    return value, (density + (density * u).sum() * widening) / density.sum()
