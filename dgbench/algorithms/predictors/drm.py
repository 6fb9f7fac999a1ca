"""DRM, the predicting side: domain heads vote, the sure ones more.

Zhang, Wang, Liang, Zhang, Yu, Wang, Tao, Xie: Domain-Specific Risk Minimization for Domain Generalization. KDD 2023.
arXiv 2208.08661.

    H_k = entropy of p_k(. | x)      w_k = H_k^-gamma / sum_j H_j^-gamma      P = sum_k w_k p_k,   k = 1..K domain heads

Deviations from the released code: its weights are normalised with the shared head among them, which then does not
vote, so P sums to less than 1 there; the class it predicts is the same. Its hard choice may fall on the shared head.
H has 1e-8 added and powers are taken as a softmax, so a head without doubt gives no division by zero. Each prediction
depends on its own example alone; on test batches the part ``drm_retrain`` trains the heads further, ``drm_full`` all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.slots import Predictor, Source, Stream
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class DRMSteering(Predictor):
    """Mixture of the domain heads, weighted by their certainty.

    Attributes:
        gamma: 0 weighs all heads alike, more favours the sure ones; ``hard`` takes the surest alone.
    """

    gamma: NonNegative | Literal["hard"] = 1.0
    scores: ClassVar[Literal["logits", "probabilities"]] = "probabilities"

    def needs(self) -> frozenset[str]:
        """A head for each source domain."""
        return frozenset({"domain_heads"})

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream that remembers nothing."""
        return _Steering(network, self.gamma)


class _Steering(Stream):
    def __init__(self, network: Network, gamma: float | Literal["hard"]) -> None:
        self.network = network
        self.gamma = gamma

    def reset(self, seed: int) -> None:
        """There is no state."""

    def observe(self, features: Tensor) -> Tensor:
        """Probabilities ``[b, C]``."""
        return mixture(F.softmax(self.network.domain_logits(features), -1), self.gamma)


def mixture(p: Tensor, gamma: float | Literal["hard"]) -> Tensor:
    """P ``[b, C]`` of what K heads say, ``[b, K, C]``."""
    return torch.einsum("bk,bkc->bc", steering_weights(torch.special.entr(p).sum(-1), gamma), p)


def steering_weights(entropy: Tensor, gamma: float | Literal["hard"]) -> Tensor:
    """Weights of the heads from their entropies, both ``[b, K]``; rows sum to 1."""
    if gamma == "hard":
        return F.one_hot(entropy.argmin(1), entropy.shape[1]).to(entropy)
    return F.softmax(-gamma * torch.log(entropy + 1e-8), 1)
