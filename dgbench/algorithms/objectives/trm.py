"""TRM: features on which what is learnt in one source domain helps most in the others.

Xu, Jaakkola: Learning Representations that Support Robust Transfer of Predictors. 2021. arXiv 2110.09940.

    h_Q: a head of domain Q's own, which takes k steps of gradient descent on L_Q in every step of the network
    P_Q = sum_{i != Q} a_Qi L_i(h_Q)        T_Q = P_Q - c v_Q . grad_W L_Q(h_Q)        v_Q = H_Q^-1 grad_W P_Q
    loss = mean_i CE_i + mean_Q T_Q         a_Qi <- a_Qi exp(eta L_i(h_Q)), rows then sum to what they did

with ``H_Q`` the Hessian of L_Q in h_Q's weights W; heads and ``v_Q`` are constants to the gradient, so T moves features
alone. Before the switch the loss is the cross-entropy. The inverse is a sum of ten powers of I - H, which ends where a
power has an entry above 10; gradients and the Hessian are closed forms on the features of the pass, so all of this
costs no pass of the network: one forward and one backward pass. Deviations from the released code: its sum of powers
shares memory with its first term and so counts that twice and others not at all; its exponent has the loss weighted by
``a`` once more; its heads and weights are lost where a training is gone on with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.slots import Ground, Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import Count, Fraction, NonNegative, Positive

POWERS, LARGEST = 10, 10.0


@dataclass(frozen=True)
class TRM(Objective):
    """Cross-entropy plus how each domain's head does on the others.

    Attributes:
        alignment: c, the weight of the second term of T.
        anneal: Share of the steps before the switch.
        adversary_rate: eta, how fast weights move to the domains on which a head errs.
        head_rate: The learning rate of the domains' heads.
        head_steps: k.
    """

    most_domains: ClassVar[int | None] = 32

    alignment: NonNegative = 1e-4
    anneal: Fraction = 0.04
    adversary_rate: Positive = 1e-2
    head_rate: Positive = 0.1
    head_steps: Count = 30

    def acts_on(self) -> frozenset[Ground]:
        """T has a gradient in the features alone, and compares domains."""
        return frozenset({"moving features", "several domains"})

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """Heads of the N domains, ``[N, C, d + 1]``, the bias last: at first the network's; and ``a``, ``[N, N]``."""
        count, head = len(examples), network.head
        whole = torch.cat([head.weight, head.bias[:, None]], 1).detach()
        network.auxiliary.register_buffer("heads", whole.expand(count, -1, -1).clone())
        network.auxiliary.register_buffer("weights", torch.ones_like(whole[0, 0]) - torch.eye(count).to(whole))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar."""
        risk = forward.cross_entropy.mean()
        if not self._begun(forward):
            return risk
        heads = self._descended(forward)
        return risk + transfer(heads, self._weights(forward), forward, self.alignment).mean()

    def remember(self, forward: Forward) -> None:
        """The heads that the step has used, and where they err."""
        if not self._begun(forward):
            return
        heads, present, auxiliary = self._descended(forward), forward.present, forward.network.auxiliary
        weights = auxiliary.get_buffer("weights")
        before = weights[present[:, None], present]
        after = before * (self.adversary_rate * risks_under(heads, forward)).exp()
        # Domains that the step did not see keep their share: it moves weight among those that it saw.
        after *= before.sum(1, keepdim=True) / after.sum(1, keepdim=True).clamp(min=1e-12)
        auxiliary.get_buffer("heads").index_copy_(0, present, heads)
        weights[present[:, None], present] = after

    def _begun(self, forward: Forward) -> bool:
        return forward.step >= round(self.anneal * forward.steps)

    def _descended(self, forward: Forward) -> Tensor:
        """The heads of the step's domains, ``[M, C, d + 1]``, after the step's first pass: all its passes see these."""
        auxiliary = forward.network.auxiliary

        def descend() -> Tensor:
            heads = auxiliary.get_buffer("heads")[forward.present]
            return descended(heads, forward.detached(), self.head_rate, self.head_steps)

        return forward.batch.once(("trm", id(auxiliary)), descend)

    def _weights(self, forward: Forward) -> Tensor:
        """``a`` between the step's domains, ``[M, M]``; rows sum to 1, or to 0 where there is one domain."""
        weights = forward.network.auxiliary.get_buffer("weights")[forward.present[:, None], forward.present]
        return weights / weights.sum(1, keepdim=True).clamp(min=1e-12)


def transfer(heads: Tensor, weights: Tensor, forward: Forward, alignment: float) -> Tensor:
    """T of each domain, ``[M]``, for heads ``[M, C, d + 1]`` and weights ``[M, M]``; its gradient is the features'."""
    others = (weights * risks_under(heads, forward)).sum(1)
    shares = forward.domain_shares()
    with torch.no_grad():
        probabilities = _scores(heads, forward).softmax(2)
        across = weights @ shares
        solved = inverse(_gradient(heads, across, forward), probabilities, shares, forward.features)
    return others - alignment * (solved * _gradient(heads, shares, forward)).sum((1, 2))


def risks_under(heads: Tensor, forward: Forward) -> Tensor:
    """Mean cross-entropy of each domain (columns) under each head (rows), ``[M, M]``."""
    losses = -(_scores(heads, forward).log_softmax(2) * forward.batch.targets(heads.shape[1])).sum(2)
    return losses @ forward.domain_shares().t()


def descended(heads: Tensor, forward: Forward, rate: float, steps: int) -> Tensor:
    """Heads after steps of gradient descent, each on its own domain's mean cross-entropy."""
    shares, phi = forward.domain_shares(), F.pad(forward.features, (0, 1), value=1.0)
    for _ in range(steps):
        heads = heads - rate * torch.einsum("mn,mnc,nd->mcd", shares, _residuals(heads, forward), phi)
    return heads


def inverse(start: Tensor, probabilities: Tensor, shares: Tensor, features: Tensor) -> Tensor:
    """``sum_k (I - H)^k start`` for k = 0 to 10, ``[M, C, d]``: H is the Hessian of ``sum_n shares_mn CE_n`` in W.

    Args:
        start: ``[M, C, d]``.
        probabilities: Of each class, ``[M, n, C]``.
        shares: ``[M, n]``.
        features: ``[n, d]``.
    """
    total = power = start
    going = torch.ones_like(start[:, :1, :1])
    for _ in range(POWERS):
        along = torch.einsum("mcd,nd->mnc", power, features)
        curved = probabilities * (along - (probabilities * along).sum(2, keepdim=True))
        power = power - torch.einsum("mn,mnc,nd->mcd", shares, curved, features)
        total = total + going * power
        going = going * (power.abs().amax((1, 2), keepdim=True) <= LARGEST)
    return total


def _scores(heads: Tensor, forward: Forward) -> Tensor:
    """Logits of every example under every head, ``[M, n, C]``."""
    return torch.einsum("mcd,nd->mnc", heads[..., :-1], forward.features) + heads[:, None, :, -1]


def _residuals(heads: Tensor, forward: Forward) -> Tensor:
    return _scores(heads, forward).softmax(2) - forward.batch.targets(heads.shape[1])


def _gradient(heads: Tensor, shares: Tensor, forward: Forward) -> Tensor:
    """Of each head's ``sum_n shares_mn CE_n`` in its weights without the bias, ``[M, C, d]``."""
    return torch.einsum("mn,mnc,nd->mcd", shares, _residuals(heads, forward), forward.features)
