"""The synthesis episode of RFC (Bonsai): one network with the features of several.

Zhang, Lopez-Paz, Bottou: Rich Feature Construction for the Optimization-Generalization Dilemma. ICML 2022.
arXiv 2203.15516.

    loss = 1/2 sum over two strata of mean_{i in stratum} 1/K sum_k CE(h_k(phi(x_i)), y_ik)

``y_ik`` is the class that the k-th network of the construction predicts of image i, right or wrong, and h_k a head of
its own on the features of a fresh network. The strata are images on which the K networks are all right or all wrong,
and those on which some are (``mixed``, what the authors' code does on ColoredMNIST), or images on which all are right,
and the rest (``wrong``; Camelyon17). The code draws as many images of each stratum; here each counts as much as the
other, whatever the batch has of it, and where it has but one, that is the loss. Labels themselves are not seen. One
forward and one backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dgbench.algorithms.earlier import Earlier, Said
from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.objectives import by_image
from dgbench.algorithms.objectives.rfc_discovery import discovered, right
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import Count


@dataclass(frozen=True)
class RFCSynthesis(Objective):
    """What several networks predict, each by a head of its own.

    Attributes:
        networks: How many there are (K).
        apart: Which images count as much as all others: those on which the networks do not agree in being right
            (``mixed``), or those on which any is wrong (``wrong``).
    """

    networks: Count = 2
    apart: Literal["mixed", "wrong"] = "mixed"

    def needs(self) -> frozenset[str]:
        """A head for each network."""
        return frozenset({"rfc_heads"})

    def earlier(self) -> tuple[Earlier, ...]:
        """The networks."""
        return discovered(self.networks)

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """What each network predicts of each image, int64 ``[N, K]``, and which images count apart, bool ``[N]``."""
        like = network.head.weight
        by_image.number(network, examples)
        network.auxiliary.register_buffer("said", like.new_zeros(sum(examples), self.networks, dtype=torch.int64))
        network.auxiliary.register_buffer("apart", like.new_zeros(sum(examples), dtype=torch.bool))

    def hear(self, network: Network, pools: Sequence[Tensor], labels: Sequence[Tensor], said: Sequence[Said]) -> None:
        """What the networks say."""
        predicted = [torch.stack([one.argmax(1) for one in of_domain], 1) for of_domain in zip(*said, strict=True)]
        by_image.keep(network, "said", pools, predicted)
        were_right = right(labels, said)
        lone = [~one.all(1) & (one.any(1) if self.apart == "mixed" else True) for one in were_right]
        by_image.keep(network, "apart", pools, lone)

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        kept, places = forward.network.auxiliary, by_image.places(forward)
        logits = forward.network.domain_logits(forward.features)
        losses = F.cross_entropy(logits.flatten(0, 1), kept.get_buffer("said")[places].flatten(), reduction="none")
        apart = kept.get_buffer("apart")[places]
        member = torch.stack([apart, ~apart]).to(losses.dtype)
        counts = member.sum(1)
        means: Tensor = member @ losses.view(len(places), -1).mean(1) / counts.clamp(min=1)
        return means.sum() / (counts > 0).sum().clamp(min=1)
