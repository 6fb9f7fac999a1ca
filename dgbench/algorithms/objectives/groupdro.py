"""Group DRO: the risk of the worst domain, by weights that lean towards it.

Sagawa, Koh, Hashimoto, Liang: Distributionally Robust Neural Networks for Group Shifts: On the Importance of
Regularization for Worst-Case Generalization. ICLR 2020. arXiv 1911.08731.

    q_e <- q_e exp(eta L_e)      q <- q / sum q      loss = sum_e q_e L_e

The weights start equal and are carried from step to step; a step uses them, as constants, after they have moved. A
domain without examples in a batch has risk 0 there. One forward and one backward pass. Domains are the groups, as in
DomainBed; the paper's adjustment for the size of a group is left out there, too. Logarithms of the weights are kept,
which underflow to no 0 that a risk could not bring back. Where a step sees M of N domains, these alone gain weight, and
their sum is taken N / M times: drawn uniformly, it is that over all domains on average. (The code of WILDS leaves the
factor out.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.head_statistics import slopes
from dgbench.algorithms.later import Network, Tensor, torch
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class GroupDRO(Objective):
    """Risks of the domains, weighted by how large they have been.

    Attributes:
        eta: How fast weights move; at 0 all domains count the same.
    """

    eta: NonNegative = 0.01

    def serves(self) -> frozenset[Targets]:
        """Risks are of any loss."""
        return frozenset({"classes", "values"})

    def acts_on(self) -> frozenset[Ground]:
        """A single domain has all the weight."""
        return frozenset({"several domains"})

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """The logarithm of the weight of each of the N domains of the training, ``[N]``."""
        network.auxiliary.register_buffer("log_weights", network.head.weight.new_zeros(len(examples)).log_softmax(0))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        risks = forward.domain_risks()
        return (self._weights(forward, risks) * risks).sum()

    def slopes(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """Every domain has its weight's share."""
        risks = forward.domain_risks()
        weights = self._weights(forward, risks)
        return (weights * risks).sum(), slopes(forward, forward.mean_shares(weights))

    def remember(self, forward: Forward) -> None:
        """The weights that the step has used."""
        forward.network.auxiliary.get_buffer("log_weights").copy_(self._moved(forward, forward.domain_risks()))

    def _weights(self, forward: Forward, risks: Tensor) -> Tensor:
        """What each of the step's M domains counts, ``[M]``."""
        weights = self._moved(forward, risks).exp()
        if forward.batch.present is None:
            return weights
        return weights[forward.present] * (len(weights) / forward.domains)

    def _moved(self, forward: Forward, risks: Tensor) -> Tensor:
        """Logarithms of all weights after this pass, ``[N]``; those of absent domains only give way."""
        before, gains = forward.network.auxiliary.get_buffer("log_weights"), self.eta * risks.detach()
        if forward.batch.present is not None:
            gains = torch.zeros_like(before).index_add(0, forward.present, gains)
        return (before + gains).log_softmax(0)
