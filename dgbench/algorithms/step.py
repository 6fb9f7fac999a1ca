"""One training step as the parts see it: a batch, a forward pass over it, and a closure that evaluates it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, Literal, TypeVar

from dgbench.algorithms.later import F, Network, Tensor, nn, torch
from dgbench.algorithms.look import Look, Seen, at_once

Phase = Literal["ascent", "descent"]
NormMode = Literal["train", "frozen"]
T = TypeVar("T")


@dataclass(frozen=True)
class Unlabelled:
    """Images of the target that a step sees without their labels, on the device of the network.

    Attributes:
        x: As those of the source domains, float ``[u, ...]``.
        index: Which of the images each one is that the training may see of the target, from 0, int64 ``[u]``.
    """

    x: Tensor
    index: Tensor


@dataclass(frozen=True)
class Batch:
    """The source domains' minibatches, concatenated, on the device of the network.

    Attributes:
        x: Inputs as the backbone wants them (scaled, augmented, normalised), float ``[n, ...]``.
        y: Class numbers, int64 ``[n]``; or values, float32 ``[n]``, standardised over the source domains.
        domain: Number of the domain among the M that the step sees, 0 to M - 1, int64 ``[n]``.
        index: Row of the example in its domain, int64 ``[n]``.
        target: Class probabilities where labels are soft (mixup, label smoothing), float ``[n, C]``; or mixed values,
            ``[n, 1]``.
        sizes: How many examples each domain has, M numbers: a batch is taken apart without asking the device.
        drawn: What an objective drew at random for this step, the same for all its passes.
        present: Where the step sees some of the training's source domains, their numbers among all, int64 ``[M]``;
            None where it sees all.
        unlabelled: Images of the target, where the objective learns from them; :meth:`of` leaves them out.
    """

    x: Tensor
    y: Tensor
    domain: Tensor
    index: Tensor
    target: Tensor | None = None
    sizes: tuple[int, ...] = ()
    drawn: tuple[Tensor, ...] = ()
    present: Tensor | None = None
    unlabelled: Unlabelled | None = None
    _known: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.y)

    def replace(self, **fields: Any) -> Batch:
        """The same batch with some fields changed."""
        return replace(self, **fields)

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """What follows from the batch alone: made when it is first asked for, kept for all who see the batch."""
        if what not in self._known:
            self._known[what] = make()
        found: T = self._known[what]
        return found

    def of(self, domains: Sequence[int]) -> Batch:
        """The examples of some source domains, which are numbered from 0 in the order given; made once."""

        def make() -> Batch:
            ends = tuple(accumulate(self.sizes))
            numbers = torch.arange(len(ends), device=self.domain.device) if self.present is None else self.present
            blocks = [slice(ends[d] - self.sizes[d], ends[d]) for d in domains]

            def some(values: Tensor) -> Tensor:
                return torch.cat([values[block] for block in blocks])

            return Batch(
                some(self.x),
                some(self.y),
                torch.cat([torch.full_like(self.domain[block], new) for new, block in enumerate(blocks)]),
                some(self.index),
                None if self.target is None else some(self.target),
                sizes=tuple(self.sizes[d] for d in domains),
                present=torch.cat([numbers[d : d + 1] for d in domains]),
            )

        return self.once(("of", *domains), make)

    def targets(self, classes: int) -> Tensor:
        """Class probabilities that labels stand for, ``[n, C]``, or values, ``[n, 1]``; mixed ones where there are."""
        if self.target is not None:
            return self.target
        if self.y.is_floating_point():
            return self.y[:, None]
        return self.once(("target", classes), lambda: F.one_hot(self.y, classes).to(self.x.dtype))

    def places(self, domains: int) -> Tensor:
        """Which of its domain's examples each one is, from 0, int64 ``[n]``."""
        seen = F.one_hot(self.domain, domains).cumsum(0)
        return seen.gather(1, self.domain[:, None]).squeeze(1) - 1

    @property
    def source(self) -> Tensor:
        """Number of each example's domain among all source domains of the training, int64 ``[n]``."""
        return self.domain if self.present is None else self.present[self.domain]

    def membership(self, domains: int) -> tuple[Tensor, Tensor]:
        """Which example is of which domain, 0 or 1 ``[n, M]``, and how many each has, ``[M]``; both float32."""

        def make() -> tuple[Tensor, Tensor]:
            member = F.one_hot(self.domain, domains).float()
            return member, member.sum(0)

        return self.once(("membership", domains), make)


@dataclass(frozen=True)
class Forward:
    """One forward pass over the concatenated batch.

    Attributes:
        network: With the weights that made this pass.
        batch: What went in, n examples of the M source domains that the step sees.
        features: ``[n, d]``, before the head.
        logits: ``[n, C]`` of the shared head; ``[n, 1]`` where values are predicted.
        step, steps: The step this is (from 0) and how many there will be.
        domains: M. What a domain has in this step (a mean, a risk) is numbered from 0 to M - 1; what is kept of it
            between steps (a head, a weight) by :attr:`present`.
        inner: What the backbone gave out at the network's levels, where the objective has named some.
        unlabelled: Features of the batch's unlabelled images, ``[u, d]``, in its order; of a pass of their own, which
            normalises them by their own statistics, and moves none.
    """

    network: Network
    batch: Batch
    features: Tensor
    logits: Tensor
    step: int
    steps: int
    domains: int
    inner: tuple[Tensor, ...] = ()
    unlabelled: Tensor | None = None

    @property
    def present(self) -> Tensor:
        """Numbers of the step's domains among all source domains of the training, int64 ``[M]``."""
        if self.batch.present is not None:
            return self.batch.present
        return torch.arange(self.domains, device=self.batch.domain.device)

    @cached_property
    def log_probabilities(self) -> Tensor:
        """Of each class for each example, ``[n, C]``."""
        return F.log_softmax(self.logits, 1)

    @cached_property
    def cross_entropy(self) -> Tensor:
        """Cross-entropy of each example against its label, or its soft target, ``[n]``, in nats."""
        if self.batch.target is None:
            return F.nll_loss(self.log_probabilities, self.batch.y, reduction="none")
        return -(self.log_probabilities * self.batch.target).sum(1)

    @cached_property
    def losses(self) -> Tensor:
        """Loss of each example, ``[n]``: its cross-entropy, or the squared error of its value."""
        if self.batch.y.is_floating_point():
            return (self.logits - self.batch.targets(1)).square().sum(1)
        return self.cross_entropy

    def domain_means(self, values: Tensor) -> Tensor:
        """Mean of ``values [n, ...]`` over the examples of each domain, ``[M, ...]``; a domain without any gives 0."""
        member, counts = self.batch.membership(self.domains)
        sums = torch.einsum("nm,n...->m...", member.to(values.dtype), values)
        return sums / counts.to(values.dtype).clamp(min=1).view(-1, *[1] * (values.ndim - 1))

    def mean_shares(self, of_domains: Tensor) -> Tensor:
        """The gradient of :meth:`domain_means`: what each example has of a gradient in the M means, ``[n]``."""
        _, counts = self.batch.membership(self.domains)
        return (of_domains / counts.clamp(min=1))[self.batch.domain]

    def domain_shares(self) -> Tensor:
        """Share of each example in the mean of each domain, ``[M, n]``: rows sum to 1, or to 0 without examples."""
        member, counts = self.batch.membership(self.domains)
        return (member / counts.clamp(min=1)).t().to(self.features.dtype)

    def domain_risks(self) -> Tensor:
        """Mean loss of each source domain, ``[M]``."""
        return self.domain_means(self.losses)

    def detached(self) -> Forward:
        """The same numbers without their graph."""
        inner = tuple(values.detach() for values in self.inner)
        unlabelled = None if self.unlabelled is None else self.unlabelled.detach()
        features, logits = self.features.detach(), self.logits.detach()
        return replace(self, features=features, logits=logits, inner=inner, unlabelled=unlabelled)

    def split(self, values: Tensor) -> list[Tensor]:
        """``values [n, ...]`` taken apart by domain: M tensors."""
        return [values[self.batch.domain == d] for d in range(self.domains)]


class Closure:
    """Evaluates the loss at the current weights of the network and leaves its gradients in ``.grad``.

    Every pass of a step sees the same prepared and augmented batch. Normalisation statistics move on the first
    pass only, and only in mode ``train``.

    Attributes:
        loss: What is minimised, a scalar: the objective of a pass, and the adapter's penalty on its own parameters.
        passes: How many forward passes were made.
        seen: The first pass over all of the step's examples, without its graph; None before there is one.
        twice: Whether passes must be twice differentiable: fused kernels for attention are not.
        look: How images go through the network: all of them at once, or divided.
    """

    def __init__(
        self,
        network: Network,
        loss: Callable[[Forward], Tensor],
        batch: Batch,
        *,
        step: int,
        steps: int,
        domains: int,
        norm_mode: NormMode = "train",
        twice: bool = False,
        look: Look = at_once,
    ) -> None:
        self.network = network
        self.loss = loss
        self.batch = batch
        self.step = step
        self.steps = steps
        self.domains = domains
        self.norm_mode = norm_mode
        self.twice = twice
        self.look = look
        self.passes = 0
        self.seen: Forward | None = None

    def forward(self, batch: Batch | None = None) -> Forward:
        """A forward pass with a graph; on ``batch`` in place of the step's own where one is given."""
        batch = self.batch if batch is None else batch
        moving = self.norm_mode == "train" and self.passes == 0
        with norm_statistics(self.network, moving=moving):
            features, inner = self.look(self._run, batch.x)
        unlabelled = None
        if batch.unlabelled is not None:
            with norm_statistics(self.network, moving=False):
                unlabelled, _ = self.look(self._run, batch.unlabelled.x)
        self.passes += 1
        logits = self.network.head(features)
        about = (self.step, self.steps, self.domains)
        forward = Forward(self.network, batch, features, logits, *about, inner, unlabelled)
        if self.seen is None and batch.index is self.batch.index:
            self.seen = forward.detached()
        return forward

    def _run(self, x: Tensor) -> Seen:
        with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH) if self.twice else nullcontext():
            return self.network.looked_into(x)

    def whole(self) -> Forward:
        """The step's first pass over all its examples, without a graph; made now, if passes were over parts of them."""
        if self.seen is None:
            with torch.no_grad(), norm_statistics(self.network, moving=False):
                self.forward()
        assert self.seen is not None
        return self.seen

    def of(self, *domains: int) -> Closure:
        """The closure of some source domains alone, as if there were no others; its passes are its own.

        Normalisation layers see these domains alone, and their statistics move on its first pass.
        """
        part = copy.copy(self)
        part.batch, part.domains, part.passes, part.seen = self.batch.of(domains), len(domains), 0, None
        return part

    def __call__(self, phase: Phase) -> Tensor:
        """Gradients of the loss at the current weights replace what is in ``.grad``; the loss, detached."""
        self.network.zero_grad(set_to_none=True)
        loss = self.loss(self.forward())
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


class HeadClosure(Closure):
    """The closure where nothing but the linear head is trained: its gradient follows from that in the logits.

    For logits ``Z = X W' + b`` the gradient of the loss in ``W`` is ``G' X`` and in ``b`` the sum of G's rows, with G
    the gradient in Z. An objective that has G in closed form spares the graph, most of what such a step takes.

    Args:
        slopes: Gives the loss of a pass, and G, as ``Objective.slopes`` does.
    """

    def __init__(self, *given: Any, slopes: Callable[[Forward], tuple[Tensor, Tensor] | None], **named: Any) -> None:
        super().__init__(*given, **named)
        self.slopes = slopes

    def __call__(self, phase: Phase) -> Tensor:
        """As every closure, to the bit what its graph would give."""
        network, batch, head = self.network, self.batch, self.network.head
        with torch.no_grad():
            kind = ("features", network.unit_features, network.activation)
            features = batch.once(kind, lambda: network.features(batch.x))
            logits = F.linear(features, head.weight, head.bias)
            forward = Forward(network, batch, features, logits, self.step, self.steps, self.domains)
            found = self.slopes(forward)
            assert found is not None
            loss, slopes = found
            head.weight.grad, head.bias.grad = slopes.t() @ features, slopes.sum(0)
        self.passes += 1
        self.seen = self.seen or forward
        return loss


@contextmanager
def norm_statistics(network: Network, *, moving: bool) -> Iterator[None]:
    """Let running statistics move, or hold them, counters included, while the batch's own still normalise."""
    if moving:
        yield
        return
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    held = [(m.momentum, m.num_batches_tracked) for m in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, counter) in zip(norms, held, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, counter
