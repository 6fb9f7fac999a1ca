"""A network that goes on learning at test time, from what it says itself: shared by Tent, PL and SHOT."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar, Literal

from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.predictors.descent import Descent
from dgbench.algorithms.predictors.learning_head import Timing
from dgbench.algorithms.slots import Predictor, Stream
from dgbench.core.errors import RecipeError
from dgbench.core.units import Count

Loss = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""Of logits ``[b, C]``: a scalar, and whether a step is wanted (a boolean scalar; None where it always is)."""


class NetworkLearner(Predictor):
    """A predictor whose stream is a :class:`LearningNetwork`: with hyperparameters ``steps`` and ``timing``."""

    steps: Count
    timing: Timing
    scores: ClassVar[Literal["logits", "probabilities", "values"]] = "logits"
    sees: ClassVar[Literal["features", "images"]] = "images"

    @property
    def passes(self) -> float:
        """One forth and one back for each step."""
        return 3.0 * self.steps + (self.timing == "after")


class LearningNetwork(Stream):
    """Logits of a network, some of whose weights take steps on every batch.

    These are private, and stand in for the network's own while it computes: that one stays as it is.

    Args:
        network: In evaluation mode.
        moves: Names of the parameters that move.
        loss: What they descend.
        lr: Of Adam.
        steps: Updates a batch.
        timing: Which logits are given.
    """

    def __init__(
        self, network: Network, moves: Iterable[str], loss: Loss, lr: float, steps: int, timing: Timing
    ) -> None:
        self.network = network
        self.names = list(moves)
        if not self.names:
            raise RecipeError(f"backbone '{network.info.name}' freezes all that a predictor is to move at test time")
        own = dict(network.named_parameters())
        self.descent = Descent([own[name] for name in self.names], lr)
        self.loss = loss
        self.steps = steps
        self.timing = timing

    def reset(self, seed: int) -> None:
        """The network as it was trained."""
        self.descent.reset()

    def observe(self, images: Tensor) -> Tensor:
        """Logits ``[b, C]`` of normalised images ``[b, 3, h, w]``."""
        for _ in range(self.steps):
            with torch.enable_grad():
                weights = [weight.clone().requires_grad_() for weight in self.descent.weights]
                logits = self._logits(weights, images)
                loss, wanted = self.loss(logits)
                slopes = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
            self.descent.step(slopes, wanted)
        return self._logits(self.descent.weights, images) if self.timing == "after" else logits.detach()

    def _logits(self, weights: Iterable[Tensor], images: Tensor) -> Tensor:
        mine = dict(zip(self.names, weights, strict=True))
        found: Tensor = torch.func.functional_call(self.network, mine, (images,))
        return found


def movable(network: Network) -> list[str]:
    """Names of the parameters that logits have a gradient in, but for those that the backbone's name freezes.

    A backbone beside a side network computes without gradients.
    """
    from dgbench.models.effective import BESIDE

    others = ("domain_heads.", *BESIDE, *(() if network.side is None else ("backbone.",)))
    frozen = (f"backbone.{name}" for name, _ in network.backbone.named_parameters() if network.info.freezes(name))
    left = {*frozen}
    return [n for n, _ in network.named_parameters() if n not in left and not n.startswith(others)]


def entropy(logits: Tensor) -> Tensor:
    """Mean entropy of softmax predictions, in nats; a scalar."""
    logs = F.log_softmax(logits, 1)
    return -(logs.exp() * logs).sum(1).mean()


def of_the_sure(logits: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of those whose largest probability exceeds a threshold, to their own class; are there any?

    Both scalars; the loss of none is 0.
    """
    logs = F.log_softmax(logits, 1)
    best = logs.max(1).values  # of its own class
    sure = (best.detach().exp() > threshold).to(best)
    return -(sure * best).sum() / sure.sum().clamp(min=1), sure.sum() > 0
