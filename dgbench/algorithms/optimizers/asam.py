"""ASAM: SAM with a neighbourhood that scales with each weight.

Kwon, Kim, Park, Choi: ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of Deep Neural Networks.
ICML 2021. arXiv 2102.11600. Code: SamsungLabs/ASAM.

    min_w  max_{||e / T|| <= rho} L(w + e)          T = |w| + eta
    g = grad L(w)       e = rho T^2 g / ||T g||     descend along grad L(w + e)

A layer scaled by k and the next by 1/k then see the same neighbourhood (exactly so for eta = 0). As in the released
code biases have T = 1. Deviation: there, T = 1 for every tensor whose name lacks "weight", which leaves out position
embeddings and the factors of LoRA as well; here every tensor but the biases has T = |w| + eta.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Network, Tensor, nn, torch
from dgbench.algorithms.optimizers.sam import SAM, TINY
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class ASAM(SAM):
    """Descend along the gradient at the worst point nearby, in units of the weights.

    Attributes:
        rho: Radius of the neighbourhood; about ten times SAM's, for it is relative to the weights.
        eta: Added to each weight's magnitude, so that a weight at 0 can move.
        scale_bias: Whether biases have T = |w| + eta, too.
    """

    rho: NonNegative = 0.5
    eta: NonNegative = 0.01
    scale_bias: bool = False

    def ascent(self, network: Network, weights: list[Tensor], slopes: list[Tensor]) -> tuple[Tensor, ...]:
        """The perturbation ``e``, a tensor for each weight tensor."""
        biases = {id(p) for name, p in network.named_parameters() if "bias" in name}
        scaled = [self.scale_bias or id(w) not in biases for w in weights]
        T = [w.detach().abs() + self.eta if s else torch.ones_like(w) for w, s in zip(weights, scaled, strict=True)]
        Tg = torch._foreach_mul(T, slopes)
        return torch._foreach_mul(torch._foreach_mul(T, Tg), self.rho / (nn.utils.get_total_norm(Tg) + TINY))
