"""One training step as the parts see it: a batch, a forward pass over it, and a closure that evaluates it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from dgbench.algorithms.later import F, Network, Tensor, nn, torch

Phase = Literal["ascent", "descent"]
NormMode = Literal["train", "frozen"]


@dataclass(frozen=True)
class Batch:
    """The source domains' minibatches, concatenated, on the device of the network.

    Attributes:
        x: Inputs as the backbone wants them (scaled, augmented, normalised), float ``[n, ...]``.
        y: Class numbers, int64 ``[n]``.
        domain: Number of the source domain, 0 to M - 1, int64 ``[n]``.
        index: Row of the example in its domain, int64 ``[n]``.
        target: Class probabilities where labels are soft (mixup, label smoothing), float ``[n, C]``.
    """

    x: Tensor
    y: Tensor
    domain: Tensor
    index: Tensor
    target: Tensor | None = None

    def __len__(self) -> int:
        return len(self.y)

    def replace(self, **fields: Any) -> Batch:
        """The same batch with some fields changed."""
        return replace(self, **fields)


@dataclass(frozen=True)
class Forward:
    """One forward pass over the concatenated batch.

    Attributes:
        network: With the weights that made this pass.
        batch: What went in, n examples of M source domains.
        features: ``[n, d]``, before the head.
        logits: ``[n, C]`` of the shared head.
        step, steps: The step this is (from 0) and how many there will be.
        domains: M, the number of source domains.
    """

    network: Network
    batch: Batch
    features: Tensor
    logits: Tensor
    step: int
    steps: int
    domains: int

    @cached_property
    def cross_entropy(self) -> Tensor:
        """Cross-entropy of each example against its label, or its soft target, ``[n]``, in nats."""
        target = self.batch.y if self.batch.target is None else self.batch.target
        return F.cross_entropy(self.logits, target, reduction="none")

    def domain_means(self, values: Tensor) -> Tensor:
        """Mean of ``values [n, ...]`` over the examples of each domain, ``[M, ...]``; a domain without any gives 0."""
        member = F.one_hot(self.batch.domain, self.domains).to(values.dtype)
        sums = torch.einsum("nm,n...->m...", member, values)
        return sums / member.sum(0).clamp(min=1).view(-1, *[1] * (values.ndim - 1))

    def domain_risks(self) -> Tensor:
        """Mean cross-entropy of each source domain, ``[M]``."""
        return self.domain_means(self.cross_entropy)

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
    ) -> None:
        self.network = network
        self.loss = loss
        self.batch = batch
        self.step = step
        self.steps = steps
        self.domains = domains
        self.norm_mode = norm_mode
        self.passes = 0

    def forward(self, batch: Batch | None = None) -> Forward:
        """A forward pass with a graph; on ``batch`` in place of the step's own where one is given."""
        batch = self.batch if batch is None else batch
        moving = self.norm_mode == "train" and self.passes == 0
        with _norm_statistics(self.network, moving=moving):
            features = self.network.features(batch.x)
        self.passes += 1
        logits = self.network.head(features)
        return Forward(self.network, batch, features, logits, self.step, self.steps, self.domains)

    def __call__(self, phase: Phase) -> Tensor:
        """Gradients of the loss at the current weights replace what is in ``.grad``; the loss, detached."""
        self.network.zero_grad(set_to_none=True)
        loss = self.loss(self.forward())
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


@contextmanager
def _norm_statistics(network: Network, *, moving: bool) -> Iterator[None]:
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
