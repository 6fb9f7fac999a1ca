"""UDIM as its released code computes it, for comparison; :mod:`~dgbench.algorithms.optimizers.udim` is the sane form.

Shin, Bae, Na, Kim, Moon: Unknown Domain Inconsistency Minimization for Domain Generalization. ICLR 2024.
arXiv 2403.07329. Code: SJShin-AI/UDIM.

    v = grad of L(w) + rho ||g|| in the inputs, all examples'          x~_ip = x_ip + input_rho v_ip / ||v_.p||
    descend along grad L(w + e) + inconsistency_weight M grad I(w)     I as there, a mean over the M domains

``p`` numbers the values of an input, and ``||v_.p||`` runs over the batch: at ``input_rho = 10`` a value moves by
10 / sqrt(n) in the root mean square, which destroys images of small batches. ``rho ||g||`` takes a double backward of
the whole network: three forward and about six backward passes in all. Two things are not brought back: the released
code removes the running statistics of batch normalisation, so that test images are normalised with each other, which
is no business of an optimizer's; and its style variant, whose images equal their sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.optimizers.sam import TINY
from dgbench.algorithms.optimizers.udim import UDIM
from dgbench.algorithms.step import Closure
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class UDIMReleased(UDIM):
    """SAM, then SAM with matched gradient statistics on inputs that moved together.

    Attributes:
        input_rho: Length of the step in the inputs: an L2 norm over the batch, for each value of an input.
    """

    input_rho: NonNegative = 10.0
    passes: ClassVar[float] = 5.2

    def direction(self, closure: Closure, parameters: Sequence[Tensor]) -> Tensor:
        """As there; attention by a kernel that can be differentiated twice."""
        closure.twice = True
        return super().direction(closure, parameters)

    def uphill(self, loss: Tensor, parameters: Sequence[Tensor], x: Tensor) -> tuple[Sequence[Tensor | None], Tensor]:
        """The gradients in the weights, and the step of the inputs."""
        gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
        lengths = [torch.linalg.vector_norm(g) for g in gradients if g is not None]
        length = torch.linalg.vector_norm(torch.stack(lengths))
        (slope,) = torch.autograd.grad(loss + self.rho * length, x, retain_graph=True)
        step = self.input_rho * slope / (torch.linalg.vector_norm(slope, dim=0) + TINY)
        return [None if g is None else g.detach() for g in gradients], step

    def strength(self, domains: int) -> float:
        """The released code sums over domains."""
        return self.inconsistency_weight * domains
