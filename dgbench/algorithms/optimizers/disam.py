"""DISAM: perturbations that do not side with the domain whose loss is high.

Zhang, Fan, Yao, Zhang, Wang: Domain-Inspired Sharpness-Aware Minimization Under Domain Shifts. ICLR 2024.
arXiv 2405.18861. Code: MediaBrain-SJTU/DISAM.

    g = grad ( L - variance_weight V )(w)         V = 1/M sum_e (L_e - mean L)^2, over the domains of the batch
    e = rho g / ||g||       descend along grad L(w + e)

Uphill is where the loss rises while the domains' risks ``L_e`` come together: in ``g`` a domain of M weighs
``1/M - 2 variance_weight (L_e - mean L) / M``, which is below 0 for one whose risk is far above the others'. What is
descended is the plain loss. So it goes with any variant of SAM that begins with ``g``; the paper has it with GSAM and
SAGM, where ``g`` also stands for the gradient here in what these descend along. Two forward and two backward passes.

Deviations from the released code: there, the variance runs over examples as if each were a domain, and the run command
trains by plain SGD.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from dgbench.algorithms.later import Tensor
from dgbench.algorithms.optimizers.gsam import GSAM
from dgbench.algorithms.optimizers.sagm import SAGM
from dgbench.algorithms.optimizers.sam import SAM
from dgbench.algorithms.slots import Ground
from dgbench.algorithms.step import Closure, Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class DISAM(SAM):
    """SAM, uphill on the loss less the variance of the domains' risks.

    Attributes:
        variance_weight: Weight of the variance (the paper's lambda); 0 is SAM.
        plain: What is left of it on one domain.
    """

    variance_weight: NonNegative = 0.1
    plain: ClassVar[type[SAM]] = SAM

    def acts_on(self) -> frozenset[Ground]:
        """A single risk has no variance."""
        return frozenset({"several domains"})

    def reduced(self) -> SAM:
        """The variant of SAM that it goes with."""
        return self.plain(**{field.name: getattr(self, field.name) for field in fields(self.plain)})

    def look(self, closure: Closure) -> Tensor:
        """The pass at ``w``; the loss is without the variance."""
        forward = closure.forward()
        loss = closure.loss(forward)
        closure.network.zero_grad(set_to_none=True)
        (loss - self.variance_weight * variance(forward)).backward()  # type: ignore[no-untyped-call]
        return loss.detach()


@dataclass(frozen=True)
class GSAMDISAM(DISAM, GSAM):
    """The same with GSAM."""

    plain: ClassVar[type[SAM]] = GSAM


@dataclass(frozen=True)
class SAGMDISAM(DISAM, SAGM):
    """The same with SAGM."""

    plain: ClassVar[type[SAM]] = SAGM


def variance(forward: Forward) -> Tensor:
    """V of the module's docstring, over the domains that the batch has."""
    _, counts = forward.batch.membership(forward.domains)
    there = (counts > 0).to(forward.logits.dtype)
    risks = forward.domain_risks()
    mean = (there * risks).sum() / there.sum()
    return (there * (risks - mean).square()).sum() / there.sum()
