"""IRM: features on which one and the same classifier is optimal in every domain.

Arjovsky, Bottou, Gulrajani, Lopez-Paz: Invariant Risk Minimization. 2019. arXiv 1907.02893.

IRMv1 penalises the gradient of each domain's risk in a scalar ``s`` that multiplies the logits, at ``s = 1``:

    g_i = sum_c (softmax(z_i) - y_i)_c z_ic
    loss = mean_e L_e + w mean_e (mean_{even i in e} g_i) (mean_{odd i in e} g_i)

The product over two halves of a domain's batch estimates the squared gradient without bias. It can be negative, so the
loss has no lower bound when ``w`` is huge. As in DomainBed, ``w`` is 1 before the switch, and the loss is never divided
by ``w`` (the authors' ColoredMNIST code divides). ``g`` is exact, with no double backward.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dgbench.algorithms.head_statistics import residuals, slopes
from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.objectives.annealed import Annealed
from dgbench.algorithms.step import Batch, Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class IRM(Annealed):
    """Mean risk plus the invariance penalty. A domain with fewer than two examples in the batch has no penalty."""

    penalty_weight: NonNegative = 100.0

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, possibly negative."""
        g = (residuals(forward) * forward.logits).sum(1)
        halves = _halves(forward).domain_means(g).view(-1, 2)
        return self.penalised(forward, halves.prod(1).mean())

    def slopes(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """The gradient of ``g_i`` in ``z_i`` is ``r + p * (z - p.z)``, with ``p = softmax(z)`` and ``r = p - y``.

        The order of sums is that of a graph, so that the bits are.
        """
        r, p, z, domains = residuals(forward), forward.logits.softmax(1), forward.logits, forward.domains
        split = _halves(forward)
        halves = split.domain_means((r * z).sum(1)).view(-1, 2)
        products = halves.prod(1)
        others = products[:, None] / halves if halves.all() else halves.flip(1)
        of_halves = (self.weight(forward) / domains) * others
        shares = split.mean_shares(of_halves.flatten())[:, None]
        risk = slopes(forward, forward.mean_shares(z.new_full((domains,), 1 / domains)))
        through_p = torch._softmax_backward_data(shares * z, p, 1, z.dtype)
        return self.penalised(forward, products.mean()), risk + shares * r + through_p


def _halves(forward: Forward) -> Forward:
    """The same pass with every other example of a domain counted as a domain of its own: 2M domains in all."""
    batch, domains = forward.batch, forward.domains

    def make() -> Batch:
        half = (batch.places(domains) + 1) % 2
        return batch.replace(domain=2 * batch.domain + half)

    return replace(forward, batch=batch.once(("halves", domains), make), domains=2 * domains)
