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
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from dgbench.algorithms.later import Network, Tensor, nn, torch
from dgbench.algorithms.optimizers.adamw import AdamW
from dgbench.algorithms.optimizers.descent import Descent
from dgbench.algorithms.optimizers.sgd import SGD
from dgbench.algorithms.step import Closure
from dgbench.core.units import NonNegative

TINY = 1e-12
_BASES: dict[str, type[Descent]] = {"adamw": AdamW, "sgd": SGD}


@dataclass(frozen=True)
class SAM(Descent):
    """Descend along the gradient at the worst point nearby.

    Attributes:
        rho: Radius of the neighbourhood, an L2 norm over all weights.
        base: The optimizer that takes the step.
    """

    rho: NonNegative = 0.05
    base: Literal["adamw", "sgd"] = "adamw"
    passes: ClassVar[float] = 2.0

    def build(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        """The base optimizer with this part's rate, weight decay and momentum."""
        shared = {field.name: getattr(self, field.name) for field in fields(Descent)}
        return _BASES[self.base](**shared).build(parameters)

    def direction(self, closure: Closure, parameters: Sequence[Tensor]) -> Tensor:
        """The gradient at ``w + e``; the loss is that at ``w``."""
        loss = closure("ascent")
        with self.uphill(closure.network, parameters, [p.grad for p in parameters]):
            closure("descent")
        return loss

    @contextmanager
    def uphill(
        self, network: Network, parameters: Sequence[Tensor], gradients: Sequence[Tensor | None]
    ) -> Iterator[None]:
        """Inside, the weights are at ``w + e``; weights that have no gradient stay where they are."""
        pairs = [(p, g) for p, g in zip(parameters, gradients, strict=True) if g is not None]
        weights, slopes = [p for p, _ in pairs], [g for _, g in pairs]
        before = [w.detach().clone() for w in weights]
        with torch.no_grad():
            torch._foreach_add_(weights, self.ascent(network, weights, slopes))
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(weights, before)

    def ascent(self, network: Network, weights: list[Tensor], slopes: list[Tensor]) -> tuple[Tensor, ...]:
        """The perturbation ``e``, a tensor for each weight tensor."""
        return torch._foreach_mul(slopes, self.rho / (nn.utils.get_total_norm(slopes) + TINY))
