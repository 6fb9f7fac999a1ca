"""A discovery episode of RFC (Bonsai): learn what earlier networks have not.

Zhang, Lopez-Paz, Bottou: Rich Feature Construction for the Optimization-Generalization Dilemma. ICML 2022.
arXiv 2203.15516.

Each of the k earlier networks parts the images that train into those that it classifies rightly and those that it does
not, 2k groups in all. A fresh network minimises the risk of the worst of them:

    loss = sum_g q_g L_g      q_g <- q_g exp(eta L_g)      q <- q / sum q      L_g = mean CE over the batch's part of g

With what an earlier network relies on it can do no better than that network where that one is wrong. The first network
is plain cross-entropy, which is ERM's own training; each one after it reads all before it. The authors' code takes the
exact maximum where a step sees all images (ColoredMNIST) and these weights, of group DRO, where it sees a batch
(Camelyon17), drawn with as many images of each group; here batches are those of the recipe, and a group without images
in one has risk 0 there. One forward and one backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.earlier import Earlier, Said
from dgbench.algorithms.head_statistics import slopes
from dgbench.algorithms.later import Network, Tensor, torch
from dgbench.algorithms.objectives import by_image
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import Count, NonNegative


@dataclass(frozen=True)
class RFCDiscovery(Objective):
    """The risk of the worst group that earlier networks leave.

    Attributes:
        known: How many earlier networks there are (k).
        eta: How fast weights of groups move.
    """

    known: Count = 1
    eta: NonNegative = 0.01

    def earlier(self) -> tuple[Earlier, ...]:
        """Those networks, each trained from the start."""
        return discovered(self.known, self.eta)

    def compares_domains(self) -> bool:
        """Groups reach over domains."""
        return True

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """Who was right of each image, bool ``[N, k]``, and the logarithms of the groups' weights, ``[2k]``."""
        like = network.head.weight
        by_image.number(network, examples)
        network.auxiliary.register_buffer("right", like.new_zeros(sum(examples), self.known, dtype=torch.bool))
        network.auxiliary.register_buffer("log_weights", like.new_zeros(2 * self.known).log_softmax(0))

    def hear(self, network: Network, pools: Sequence[Tensor], labels: Sequence[Tensor], said: Sequence[Said]) -> None:
        """Who was right."""
        by_image.keep(network, "right", pools, right(labels, said))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        risks = self._shares(forward) @ forward.cross_entropy
        return (self._moved(forward, risks).exp() * risks).sum()

    def slopes(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """Every group has its weight's share."""
        shares = self._shares(forward)
        risks = shares @ forward.cross_entropy
        weights = self._moved(forward, risks).exp()
        return (weights * risks).sum(), slopes(forward, weights @ shares)

    def remember(self, forward: Forward) -> None:
        """The weights that the step has used."""
        moved = self._moved(forward, self._shares(forward) @ forward.cross_entropy)
        forward.network.auxiliary.get_buffer("log_weights").copy_(moved)

    def _shares(self, forward: Forward) -> Tensor:
        """Share of each example in the risk of each group, ``[2k, n]``: rows sum to 1, or to 0 without examples."""
        was_right = forward.network.auxiliary.get_buffer("right")[by_image.places(forward)]
        member = torch.cat([was_right, ~was_right], 1).to(forward.logits.dtype)
        return (member / member.sum(0).clamp(min=1)).t()

    def _moved(self, forward: Forward, risks: Tensor) -> Tensor:
        """Logarithms of the weights after this pass, ``[2k]``."""
        return (forward.network.auxiliary.get_buffer("log_weights") + self.eta * risks.detach()).log_softmax(0)


def discovered(count: int, eta: float = 0.01) -> tuple[Earlier, ...]:
    """The first so many networks of a construction, each trained from the start on what those before it leave."""
    objectives: list[tuple[str, dict[str, float]]] = [("cross_entropy", {})]
    objectives += [("rfc_discovery", {"known": known, "eta": eta}) for known in range(1, count)]
    return tuple(Earlier({"adapter": ("full", {}), "objective": objective}) for objective in objectives)


def right(labels: Sequence[Tensor], said: Sequence[Said]) -> list[Tensor]:
    """Whether each network classified each image rightly: bool ``[n_d, k]`` for each domain."""
    return [
        torch.stack([logits.argmax(1) == label for logits in of_domain], 1)
        for label, *of_domain in zip(labels, *said, strict=True)
    ]
