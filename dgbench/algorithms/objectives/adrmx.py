"""ADRMX: what tells domains apart is taken off the features, and put back from other domains.

Demirel, Aptoula, Ozkan: ADRMX: Additive Disentanglement of Domain Features with Remix Loss. 2023. arXiv 2308.06624.

Beside the network with features ``f`` there is a second one with features ``g``, and ``r = f - g``:

    network:         mean CE(h f, y) + c S(f) + T                T = mean CE(h' r, y) + c S(r) + q R - w mean CE(D r, e)
    second network:  u mean CE(h'' g, e) + T                     R = mean_i CE(h (r_i + g_j), y_i)
    discriminator:   mean CE(D r, e)

``e`` is an example's domain, ``j`` a random example of the class of i from another domain, and R a mean over those that
have one. ``S`` draws examples of a class together: with p_ij the softmax of cosines over .07, over all but i,

    S = mean_i mean_{j of i's class} -log(p_ij + 1e-5)

The heads h' and h'' and the discriminator learn with the second network, which leaves with them: a prediction is h f.
Cost: two forward and two backward passes, since the second network sees the batch once, whatever the optimizer does.
Memory for a second network and its optimizer. It normalises by the statistics that it began with.

Deviations from DomainBed: all players move in every step, where there one in three is the network's; partners come from
the class and another domain, where there one pair for each class comes from the first rows of the batch, whichever
class these are of; R and S are divided by what they sum; heads are linear, where there they have three layers; weights
decay as the recipe says.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from dgbench.algorithms.later import F, Network, Tensor, nn, torch
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Batch, Forward
from dgbench.core.units import Count, NonNegative

TEMPERATURE, FLOOR = 0.07, 1e-5


@dataclass(frozen=True)
class ADRMX(Objective):
    """Cross-entropy with and without what tells domains apart.

    Attributes:
        adversary_weight: w, how much it counts that the discriminator errs.
        contrastive_weight: c.
        remix_weight: q.
        domain_weight: u.
        layers, width: The discriminator's linear maps, and the width of what is between them.
    """

    adversary_weight: NonNegative = 0.75
    contrastive_weight: NonNegative = 1.0
    remix_weight: NonNegative = 1.0
    domain_weight: NonNegative = 1.0
    layers: Count = 9
    width: Count = 256

    def acts_on(self) -> frozenset[Ground]:
        """Domains are taken off features that learn."""
        return frozenset({"moving features", "several domains"})

    @property
    def further_passes(self) -> float:
        """The second network sees the batch, and learns."""
        return 1.0

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """The second network, which starts as the first, with the head h''; h' and the discriminator."""
        from dgbench.models.perceptron import perceptron

        like, dim, domains = network.head.weight, network.info.dim, len(examples)
        second = copy.deepcopy(network)
        second.head, second.domain_heads, second.texts = nn.Linear(dim, domains).to(like), None, None
        widths = [dim, *[self.width] * (self.layers - 1), domains]
        network.auxiliary.add_module("second", second)
        network.auxiliary.add_module("residual", nn.Linear(dim, network.classes).to(like))
        network.auxiliary.add_module("discriminator", perceptron(widths, like))

    def prepare(self, batch: Batch, classes: int, generator: torch.Generator) -> Batch:
        """Draw the partners, int64 ``[n]``; -1 for an example without any."""
        n, device = len(batch), batch.y.device
        other = (batch.y[:, None] == batch.y) & (batch.domain[:, None] != batch.domain)
        drawn = torch.where(other, torch.rand(n, n, generator=generator).to(device), -1.0)
        return batch.replace(drawn=(torch.where(other.any(1), drawn.argmax(1), -1),))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar without lower bound: the discriminator can err as much as it likes."""
        own = forward.cross_entropy.mean() + self.contrastive_weight * drawn_together(forward.features, forward.batch.y)
        shared, residual = self._shared(forward, seen_by_second(forward).detach())
        return own + shared - self.adversary_weight * _told_apart(forward, residual)

    def auxiliary_loss(self, forward: Forward) -> Tensor:
        """Of the second network, which ascends what the discriminator descends; a scalar."""
        said = seen_by_second(forward)
        shared, residual = self._shared(forward, said)
        # The value is the residual's, and so is the discriminator's gradient; the second network's is turned around.
        turned = (1 + self.adversary_weight) * residual.detach() - self.adversary_weight * residual
        domains = F.cross_entropy(_second(forward).head(said), forward.batch.source)
        return shared + self.domain_weight * domains + _told_apart(forward, turned)

    def _shared(self, forward: Forward, said: Tensor) -> tuple[Tensor, Tensor]:
        """What T has but for the discriminator, and the residual ``[n, d]``."""
        residual, y = forward.features - said, forward.batch.y
        classified = F.cross_entropy(forward.network.auxiliary.get_submodule("residual")(residual), y)
        together = self.contrastive_weight * drawn_together(residual, y)
        return classified + together + self.remix_weight * remixed(forward, residual, said), residual


def seen_by_second(forward: Forward) -> Tensor:
    """Features of the second network on the batch, ``[n, d]``, with their graph: one pass in a step."""

    def look() -> Tensor:
        with torch.enable_grad():
            return _second(forward).features(forward.batch.x)

    return forward.batch.once(("second", id(forward.network.auxiliary)), look)


def remixed(forward: Forward, residual: Tensor, said: Tensor) -> Tensor:
    """R, a scalar; 0 where nobody has a partner."""
    (partners,) = forward.batch.drawn
    there = partners >= 0
    logits = forward.network.head(residual + said[partners.clamp(min=0)])
    losses = F.cross_entropy(logits, forward.batch.y, reduction="none")
    return (losses * there).sum() / there.sum().clamp(min=1)


def drawn_together(features: Tensor, y: Tensor) -> Tensor:
    """S of features ``[n, d]`` of classes ``[n]``, a scalar; 0 where every class has one example."""
    unit = F.normalize(features, dim=1)
    oneself = torch.eye(len(y), dtype=torch.bool, device=y.device)
    shares = F.softmax((unit @ unit.T / TEMPERATURE).masked_fill(oneself, -1e4), 1)
    alike = (y[:, None] == y) & ~oneself
    counts = alike.sum(1)
    losses = -(alike * (shares + FLOOR).log()).sum(1) / counts.clamp(min=1)
    return losses.sum() / (counts > 0).sum().clamp(min=1)


def _second(forward: Forward) -> Network:
    return cast("Network", forward.network.auxiliary.get_submodule("second").eval())


def _told_apart(forward: Forward, residual: Tensor) -> Tensor:
    """Mean cross-entropy of the discriminator on domains, in nats."""
    return F.cross_entropy(forward.network.auxiliary.get_submodule("discriminator")(residual), forward.batch.source)
