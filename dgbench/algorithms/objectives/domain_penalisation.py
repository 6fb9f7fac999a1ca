"""Domain penalisation: domains count as much as the losses that they had say.

Jena, Rajendran, Seemakurthy, Sasithradevi, Vijayalakshmi, Poornachari: Domain penalisation for improved
Out-of-Distribution Generalisation. 2024. arXiv 2408.01746.

    loss = mean_e w_e L_e,  with w = 1 at first, and after each epoch
    w_e = N exp(L_e / t) / sum over all N domains of exp(L_f / t)        L_e = mean loss of domain e in that epoch

Group DRO moves its weights every step and remembers all losses; this forgets. The paper has no factor N, so from the
second epoch on its loss, and with it each step of SGD, is N times smaller: ``total = "sum"`` does that. It has t = 1; a
large t is ERM, a small one learns from the worst domain alone. The paper detects objects; here losses are
cross-entropies, and an epoch is a share of the steps, since domains are gone through at different speeds.

Cost: one forward and one backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dgbench.algorithms.head_statistics import slopes
from dgbench.algorithms.later import Network, Tensor, torch
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import Count, Positive


@dataclass(frozen=True)
class DomainPenalisation(Objective):
    """Risks of the domains, weighted by the losses of the epoch before.

    Attributes:
        temperature: t, in nats.
        epochs: How many epochs a training has.
        total: Whether weights have a mean or a sum of 1.
    """

    temperature: Positive = 1.0
    epochs: Count = 10
    total: Literal["mean", "sum"] = "mean"

    def serves(self) -> frozenset[Targets]:
        """Risks are of any loss."""
        return frozenset({"classes", "values"})

    def acts_on(self) -> frozenset[Ground]:
        """A single domain has all the weight."""
        return frozenset({"several domains"})

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """Weights of all domains, and of this epoch the sum of their losses and how often they were seen, ``[N]``."""
        for name, start in (("weights", 1.0), ("sums", 0.0), ("counts", 0.0)):
            network.auxiliary.register_buffer(name, network.head.weight.new_full((len(examples),), start))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        return (self._weights(forward) * forward.domain_risks()).mean()

    def slopes(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """Every domain has its weight's share."""
        shares = forward.mean_shares(self._weights(forward) / forward.domains)
        return self.loss(forward), slopes(forward, shares)

    def remember(self, forward: Forward) -> None:
        """Add up losses, and weigh by them where the epoch ends; a domain that was not seen has the mean of all."""
        weights, sums, counts = (forward.network.auxiliary.get_buffer(n) for n in ("weights", "sums", "counts"))
        risks = forward.domain_risks()
        sums.index_add_(0, forward.present, risks)
        counts.index_add_(0, forward.present, torch.ones_like(risks))
        ends = {round(forward.steps * number / self.epochs) for number in range(1, self.epochs + 1)}
        if forward.step + 1 in ends:
            losses = torch.where(counts > 0, sums / counts.clamp(min=1), sums.sum() / counts.sum())
            shares = (losses / self.temperature).softmax(0)
            weights.copy_(shares * len(shares) if self.total == "mean" else shares)
            sums.zero_()
            counts.zero_()

    def _weights(self, forward: Forward) -> Tensor:
        """Of the domains that the step sees, ``[M]``."""
        return forward.network.auxiliary.get_buffer("weights")[forward.present]
