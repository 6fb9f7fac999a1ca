"""MTL: a classifier that is also told the mean of the domain that an image is of.

Blanchard, Deshmukh, Dogan, Lee, Scott: Domain Generalization by Marginal Transfer Learning. JMLR 22, 2021.
arXiv 1711.07910.

    m_e <- (1 - memory) mean_{i in e} phi_i + memory m_e         in every step, for each domain e
    loss = mean_i CE(W phi_i + b + V (m_{e(i)} - m0), y_i)       m0 = mean_i m_{e(i)}

The paper learns kernels on examples and the marginals of their domains; this is its form in DomainBed, where features
and their means stand for the two. Means are corrected for their start at 0, as Adam's moments are, and what the step's
batch adds to them has a gradient. ``V`` is the adapter's (``adapters/mtl.py``), and the predictor ``mtl`` takes the
mean of the images that it is shown. One forward and one backward pass, and d numbers kept for each domain.

Deviations: DomainBed overwrites the means by noise just before they are used, in training and in evaluation, so it
tells its classifier nothing; its loss is a sum over domains, M times that of ERM, and here a mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from dgbench.algorithms.adapters.mtl import moved
from dgbench.algorithms.later import Network, Tensor, torch
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward


@dataclass(frozen=True)
class MTL(Objective):
    """Cross-entropy of a head that sees means of domains.

    Attributes:
        memory: What share of a domain's mean stays from step to step.
    """

    memory: Annotated[float, Field(ge=0, lt=1)] = 0.01

    def needs(self) -> frozenset[str]:
        """Weights on the means."""
        return frozenset({"mean_head"})

    def acts_on(self) -> frozenset[Ground]:
        """Means differ between domains."""
        return frozenset({"several domains"})

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """Means of the N domains, ``[N, d]``, and what share of each is of images that were seen, ``[N]``: none yet."""
        like = network.head.weight
        network.auxiliary.register_buffer("means", like.new_zeros(len(examples), network.info.dim))
        network.auxiliary.register_buffer("seen", like.new_zeros(len(examples)))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        means, seen = self.marginals(forward)
        of_examples = (means / seen.clamp(min=1e-12)[:, None])[forward.batch.domain]
        logits = forward.logits + moved(forward.network, of_examples, of_examples.mean(0))
        return replace(forward, logits=logits).cross_entropy.mean()

    def remember(self, forward: Forward) -> None:
        """The means that the step has used."""
        means, seen = self.marginals(forward)
        forward.network.auxiliary.get_buffer("means").index_copy_(0, forward.present, means)
        forward.network.auxiliary.get_buffer("seen").index_copy_(0, forward.present, seen)

    def marginals(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """Means of the step's domains with its batch in them, ``[M, d]``, to be divided by the other, ``[M]``."""
        auxiliary, (_, counts) = forward.network.auxiliary, forward.batch.membership(forward.domains)
        means, seen = (auxiliary.get_buffer(name)[forward.present] for name in ("means", "seen"))
        share = torch.where(counts > 0, 1 - self.memory, 0.0).to(seen)  # a domain without examples stays as it is
        now = forward.domain_means(forward.features)
        return means.lerp(now, share[:, None]), seen.lerp(torch.ones_like(seen), share)
