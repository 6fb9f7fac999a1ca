"""SAM: weights around which the loss is low, too.

Foret, Kleiner, Mobahi, Neyshabur: Sharpness-Aware Minimization for Efficiently Improving Generalization. ICLR 2021.
arXiv 2010.01412.

    min_w  max_{||e|| <= rho} L(w + e)
    g = grad L(w)       e = rho g / ||g||       descend along grad L(w + e)

``||g||`` runs over all trainable weights at once, and the batch holds all source domains, so there is one ``e`` for all
of them. ``e`` counts as a constant. Weight decay belongs to the base optimizer and plays no part in the ascent.
Deviations from the code in common use: weights are put back from a copy, bit for bit, where adding and subtracting
``e`` leaves them adrift; the norm has 1e-12 added, so a zero gradient gives ``e = 0`` and no NaN; running statistics
move on the first pass only. Dropout draws a fresh mask on each pass, as there.

Variants differ in one of three things: in what says where uphill is (``look``), in how far they go there (``ascent``),
or in what they make of the gradients that they find (``descend``). So they combine, as DISAM does with GSAM.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.later import Network, Tensor, nn, torch
from dgbench.algorithms.optimizers.based import Based, Tensors, gradients
from dgbench.algorithms.step import Closure
from dgbench.core.units import NonNegative

TINY = 1e-12


@dataclass(frozen=True)
class SAM(Based):
    """Descend along the gradient at the worst point nearby.

    Attributes:
        rho: Radius of the neighbourhood, an L2 norm over all weights.
    """

    rho: NonNegative = 0.05
    passes: ClassVar[float] = 2.0

    def direction(self, closure: Closure, parameters: Sequence[Tensor]) -> Tensor:
        """The gradient at ``w + e``, or what a variant makes of gradients nearby; the loss is that at ``w``."""
        loss = self.look(closure)
        weights = [p for p in parameters if p.grad is not None]
        self.descend(closure, weights, gradients(weights))
        return loss

    def look(self, closure: Closure) -> Tensor:
        """The pass at ``w``, whose gradients say where uphill is; the loss, detached."""
        return closure("ascent")

    def descend(self, closure: Closure, weights: list[Tensor], at_w: list[Tensor]) -> None:
        """Leave in ``.grad`` the direction to descend.

        Args:
            closure: Evaluates the loss wherever the weights are.
            weights: Those that have a gradient.
            at_w: Their gradients at ``w``.
        """
        with moved(weights, self.ascent(closure.network, weights, at_w)):
            closure("descent")

    def ascent(self, network: Network, weights: list[Tensor], slopes: list[Tensor]) -> tuple[Tensor, ...]:
        """The perturbation ``e``, a tensor for each weight tensor."""
        return of_length(self.rho, slopes)


def of_length(rho: float | Tensor, slopes: Tensors) -> tuple[Tensor, ...]:
    """A step along the slopes whose L2 norm over all of them is ``rho``; a zero slope gives none."""
    return torch._foreach_mul(slopes, rho / (nn.utils.get_total_norm(slopes) + TINY))


def inner(a: Tensors, b: Tensors) -> Tensor:
    """The inner product over all tensors at once, a scalar."""
    return torch.stack([product.sum() for product in torch._foreach_mul(a, b)]).sum()


@contextmanager
def moved(weights: Tensors, shifts: Tensors) -> Iterator[None]:
    """Inside, the weights are elsewhere; afterwards they are back, bit for bit."""
    before = [w.detach().clone() for w in weights]
    with torch.no_grad():
        torch._foreach_add_(weights, shifts)
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(weights, before)
