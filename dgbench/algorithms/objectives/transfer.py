"""Transfer: features on which a head nearby serves no source domain much better than another.

Zhang, Zhao, Yu, Poupart: Quantifying and Improving Transferability in Domain Generalization. NeurIPS 2021.
arXiv 2106.03632.

    gap(a) = max_e L_e(a) - min_e L_e(a), with the head a in place of h        loss = mean_i CE_i + w gap(a)

After each step ``a`` starts from h and ascends ``w gap(a)``, k times by the rate r, and stays within the distance
``radius`` of h, over all weights of the head. The next step takes the gap's gradient in the features alone. The head's
gradients are closed forms on the features of the step's pass, so the adversary costs no pass of the network: one
forward and one backward pass in all. Deviations from DomainBed: one step descends both terms; there, two steps of Adam.
Its default, and every random search, hands the optimizer the adversary's weights in place of the network's, which never
learns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dgbench.algorithms.head_statistics import residuals
from dgbench.algorithms.later import F, Network, Tensor, nn, torch
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import Count, NonNegative, Positive


@dataclass(frozen=True)
class Transfer(Objective):
    """Cross-entropy plus the gap between domains under the worst head nearby.

    Attributes:
        penalty_weight: w.
        radius: How far from the network's head the adversary may go, an L2 norm over its weights and biases.
        ascent_rate: r, how fast it goes.
        ascent_steps: k, how many steps it takes.
    """

    penalty_weight: NonNegative = 1.0
    radius: NonNegative = 2.0
    ascent_rate: Positive = 1e-3
    ascent_steps: Count = 10

    def acts_on(self) -> frozenset[Ground]:
        """The gap has a gradient in the features alone, and compares domains."""
        return frozenset({"moving features", "several domains"})

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """The adversary ``[C, d + 1]``, the bias last: at first the network's head."""
        network.auxiliary.register_buffer("adversary", _whole(network.head))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        risks = _seen_by(forward, forward.network.auxiliary.get_buffer("adversary")).domain_risks()
        return forward.cross_entropy.mean() + self.penalty_weight * (risks.max() - risks.min())

    def remember(self, forward: Forward) -> None:
        """The adversary around the head that the step has left."""
        head = _whole(forward.network.head)
        adversary = head
        for _ in range(self.ascent_steps):
            away = adversary + self.ascent_rate * self.penalty_weight * _slope(forward, adversary) - head
            adversary = head + away * (self.radius / away.norm().clamp(min=1e-12)).clamp(max=1)
        forward.network.auxiliary.get_buffer("adversary").copy_(adversary)


def _whole(head: nn.Linear) -> Tensor:
    """A copy of weight and bias, ``[C, d + 1]``."""
    return torch.cat([head.weight, head.bias[:, None]], 1).detach()


def _seen_by(forward: Forward, head: Tensor) -> Forward:
    """The same features under another head."""
    return replace(forward, logits=F.linear(forward.features, head[:, :-1], head[:, -1]))


def _slope(forward: Forward, head: Tensor) -> Tensor:
    """Gradient of the gap in the head, ``[C, d + 1]``."""
    seen = _seen_by(forward, head)
    risks = seen.domain_risks()
    worst_less_best = F.one_hot(risks.argmax(), forward.domains) - F.one_hot(risks.argmin(), forward.domains)
    shares = forward.mean_shares(worst_less_best.to(risks.dtype))
    return (shares[:, None] * residuals(seen)).t() @ F.pad(forward.features, (0, 1), value=1.0)
