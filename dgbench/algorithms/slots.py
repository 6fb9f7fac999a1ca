"""The six slots of a recipe, and what a part in each of them does.

A part is a frozen dataclass whose fields are its hyperparameters. It holds no state: what changes during a training
lives in the network, the base optimizer and the stored trajectory, all of which the loop saves and restores.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, Protocol

from dgbench.algorithms.descend import descend
from dgbench.algorithms.earlier import Earlier, Follower, Said
from dgbench.algorithms.heads import NEEDS, OFFERS, Head
from dgbench.algorithms.keeper import Keeper
from dgbench.algorithms.later import Network, Normal, Tensor, nn, torch
from dgbench.algorithms.serving import Serving, Targets
from dgbench.algorithms.source import Source as Source
from dgbench.algorithms.step import Batch, Closure, Forward
from dgbench.core.pieces import every
from dgbench.core.registry import Track as Track
from dgbench.core.units import Activation

Ground = Literal["moving features", "several domains", "batch statistics", "several draws", "normalisation",
                 "normalisation by batch"]  # fmt: skip
"""What a part may act on, and a training may lack: features that training changes, several source domains, statistics
that move, draws that are trained apart; and of its backbone layers that normalise, and such that do so by the batch."""
State = dict[str, Tensor]
"""Effective weights by canonical name: adapters are merged, so any two states of one network can be averaged."""


class Part(Follower, Serving, ABC):
    """What all parts share.

    Attributes:
        slot: The slot that the part fills.
        version: Raised by one whenever a change of code changes numbers; it is part of a training's identity.
        most_domains: Where the part keeps weights of its own for each source domain, up to how many it serves.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    version: ClassVar[int] = 1
    most_domains: ClassVar[int | None] = None

    def needs(self) -> frozenset[str]:
        """What a backbone (``low_rank``), other parts (``domain_heads``) or a track (``unlabelled_target``) provide."""
        return frozenset()

    def provides(self) -> frozenset[str]:
        """What this part provides to the others."""
        return frozenset()

    def acts_on(self) -> frozenset[Ground]:
        """What must be there for the part to have an effect; where some of it is missing, :meth:`reduced` is left."""
        return frozenset()

    def reduced(self) -> Part | None:
        """What is left of it where it has no effect: itself set otherwise, another registered one, or the plain one."""
        return None


class Sampler(Part):
    """What does a step see?"""

    slot = "sampler"
    views: ClassVar[int] = 1  # of each image that a step takes; all of them go through the network together

    @abstractmethod
    def rows(self, pools: Sequence[Tensor], size: int, step: int, seeds: Sequence[int]) -> list[Tensor]:
        """The rows that a step takes from each source domain that it sees.

        Args:
            pools: Training rows of each of them, int64 ``[n_d]``.
            size: How many rows to take from each domain.
            step: From 0. The answer depends on nothing before it, so a training resumes anywhere.
            seeds: One seed for each domain.

        Returns:
            One int64 tensor ``[size]`` for each domain.
        """

    def labelled_rows(
        self, pools: Sequence[Tensor], labels: Sequence[Tensor], size: int, step: int, seeds: Sequence[int]
    ) -> list[Tensor]:
        """:meth:`rows`, for a part that looks at the classes of the pools' rows, too: int64 ``[n_d]`` each."""
        return self.rows(pools, size, step, seeds)

    def resampled(self, pools: Sequence[Tensor], labels: Sequence[Tensor], said: Sequence[Said]) -> list[Tensor]:
        """The pools that steps take rows from, by what earlier trainings say of them: rows may be there more than once.

        Args:
            pools, labels: As for :meth:`labelled_rows`.
            said: By each of the trainings that :meth:`earlier` asks for, in their order.
        """
        return list(pools)

    def augments(self) -> bool:
        """Whether :meth:`augment` does anything; where not, a frozen backbone's features are computed once."""
        return True

    @abstractmethod
    def augment(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Training augmentation, on the device of the images; every random number comes from the CPU's generator.

        Args:
            x: uint8 ``[n, 3, h, w]``.
            generator: On the CPU.

        Returns:
            ``[views * n, 3, h, w]``, all images in one view after the other, new: uint8, or float32 in [0, 1].
        """

    def augmented(self, x: Tensor, generator: torch.Generator, normal: Normal) -> Tensor:
        """:meth:`augment`, and then as a network wants it, float32; for a part that does both at once to override."""
        return normal(self.augment(x, generator))

    @abstractmethod
    def families(self) -> frozenset[str]:
        """The shift families that training images are drawn from: `strict` validation holds these out."""

    def without(self, families: frozenset[str]) -> Sampler | None:
        """The same but for some families, for cross-validated augmented validation; None where there is none."""
        return None if self.families() & families else self


class Adapter(Part):
    """What is trainable, starting from where?"""

    slot = "adapter"
    takes_steps: ClassVar[bool] = True  # else a model is evaluated as it is

    def needs(self) -> frozenset[str]:
        """A text tower, where the head is made of class names; a classifier, where it is that."""
        return frozenset({NEEDS[self.initial_head()]} if self.initial_head() in NEEDS else ())

    def serves(self) -> frozenset[Targets]:
        """Class names and classifiers make a head of classes."""
        return frozenset({"classes"}) if self.initial_head() in NEEDS else super().serves()

    def provides(self) -> frozenset[str]:
        """Initial weights that predict, unless the head is random; a head of class names, where it starts as one."""
        return frozenset(OFFERS[self.initial_head()])

    def initial_head(self) -> Head:
        """What the head starts from."""
        return "random"

    def starts_after(self) -> Earlier | None:
        """The training whose last weights are those before the first step: its backbone, and the mean of its heads."""
        return None

    def freezes_backbone(self) -> bool:
        """Whether no weight of the backbone moves, so that a training needs its features alone."""
        return False

    def activation(self) -> Activation:
        """What features go through on their way to the head, while the network trains and when it predicts."""
        return "identity"

    @abstractmethod
    def attach(self, network: Network, domains: int) -> None:
        """Choose what is trainable (``requires_grad``) and add what is new, in place.

        The function of the network stays, unless its head is made of other texts. torch's global generator is seeded.
        """

    def penalty(self, network: Network) -> Tensor:
        """A loss on the adapter's own parameters, added on every pass; a scalar."""
        return torch.zeros((), device=network.head.bias.device)


class Objective(Keeper, Part):
    """What is minimised?"""

    slot = "objective"

    def prepare(self, batch: Batch, classes: int, generator: torch.Generator) -> Batch:
        """Change the batch once before the step's passes (mixup, soft targets); of values ``classes`` is 1."""
        return batch

    @property
    def passes(self) -> float:
        """Forward-and-backward passes of the network that :meth:`loss` takes, of each that the optimizer takes."""
        return 1.0

    @abstractmethod
    def loss(self, forward: Forward) -> Tensor:
        """A scalar, differentiable in the network's weights."""

    def slopes(self, forward: Forward) -> tuple[Tensor, Tensor] | None:
        """The loss and its gradient in the logits, ``[n, C]``, in closed form, with no graph; None where there is none.

        Heads on features that do not change are trained by it, many times as fast. It must be the very gradient of
        :meth:`loss`, through nothing but the logits.
        """
        return None

    def resets_optimizer(self, step: int, steps: int) -> bool:
        """Whether the base optimizer starts afresh before this step (a penalty that sets in)."""
        return False

    def differentiates_twice(self) -> bool:
        """Whether :meth:`loss` takes gradients through the backbone, which must then have second derivatives."""
        return False

    def compares_domains(self) -> bool:
        """Whether the loss is more than the mean of what it is on each domain alone: a pass must see them all."""
        return "several domains" in self.acts_on() or bool(self.needs())


class Optimizer(Part):
    """How does a step descend?"""

    slot = "optimizer"
    passes: ClassVar[float] = 1.0  # forward and backward, that a step costs
    #: Whether its passes see some source domains at a time, so that no objective can compare all of them.
    takes_apart: ClassVar[bool] = False

    @abstractmethod
    def build(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        """The base optimizer, over the trainable parameters."""

    @abstractmethod
    def rate(self, step: int, steps: int) -> float:
        """The learning rate at a step."""

    def clip(self) -> float | None:
        """Largest allowed L2 norm of the descent direction, or None."""
        return None

    def direction(self, closure: Closure, parameters: Sequence[Tensor]) -> Tensor:
        """Leave in ``.grad`` the direction that the base optimizer descends; return the loss, detached.

        The weights are, on return, bit for bit what they were.
        """
        return closure("descent")

    def step(self, closure: Closure, parameters: Sequence[Tensor], base: torch.optim.Optimizer) -> Tensor:
        """Move the weights: mostly by one step of the base optimizer along :meth:`direction`; the loss, detached."""
        loss = self.direction(closure, parameters)
        if (norm := self.clip()) is not None:
            nn.utils.clip_grad_norm_(parameters, norm)
        descend(base)
        return loss

    def restart(self, steps: int) -> int | None:
        """The step before which weights and base optimizer return to the best checkpoint so far, if there is one."""
        return None


class Trajectory(Protocol):
    """What a finished training keeps of its way, so that averaging parts work after the fact."""

    steps: tuple[int, ...]
    """Steps after which a checkpoint was taken, ascending; the last is the end of training."""

    def initial(self) -> State:
        """Weights before the first step, the head included."""

    def at(self, step: int) -> State:
        """Weights at a checkpoint."""

    def segment(self, step: int) -> State:
        """Mean of the weights after every step since the checkpoint before, up to this one."""

    def ema(self, decay: float) -> State:
        """Bias-corrected exponential average of the weights after every step, for one of ``DECAYS``."""

    def validation_loss(self, step: int) -> float:
        """Mean loss on clean source validation images at a checkpoint: in nats, or a square of standardised values."""


class Averaging(Part):
    """Which weights are kept?"""

    slot = "averaging"

    @abstractmethod
    def candidates(self, trajectory: Trajectory) -> Iterator[tuple[int, State]]:
        """The weights to predict with, each with the step it belongs to.

        Where there are several, the board's criterion chooses among them.
        """

    def candidate(self, trajectory: Trajectory, step: int) -> State:
        """The candidate of one step; it reads no more than :meth:`reads` says of it alone."""
        return next(state for at, state in self.candidates(trajectory) if at == step)

    def reads(self, steps: Sequence[int], candidate: int | None = None) -> frozenset[str]:
        """What the candidates are made of, by the names of :mod:`dgbench.core.pieces`; a training keeps no more.

        The initial weights and the validation losses are always there. A part that does not say gets everything.

        Args:
            steps: Those after which a checkpoint is taken.
            candidate: The step of one candidate, to ask of it alone.
        """
        return every(steps)

    def recomputes(self) -> bool:
        """Whether statistics of batch normalisation are estimated again, on training images, for every candidate."""
        return False

    def count(self, checkpoints: int) -> int:
        """How many candidates there are of a training with so many checkpoints."""
        return 1


class Stream(ABC):
    """A predictor at work on one stream of unlabelled batches. All that it comes to know is in it: a copy goes on."""

    @abstractmethod
    def reset(self, seed: int) -> None:
        """Back to the prepared state, bit for bit."""

    @abstractmethod
    def observe(self, features: Tensor) -> Tensor:
        """Scores ``[b, C]``, or values, of a batch: features ``[b, d]``, or images. No labels, no domain, no length."""


class Predictor(Part):
    """How is a prediction made?"""

    slot = "predictor"

    #: Whether scores are ``logits``, ``probabilities``, or ``values``, standardised.
    scores: ClassVar[Literal["logits", "probabilities", "values"]]
    needs_source: ClassVar[bool | Literal["validation"]] = False  # labelled source features, in :meth:`prepare`
    #: Whether its streams are shown features, or the images, normalised ``[b, 3, h, w]``, which go through a network of
    #: its own: a private copy, or private weights. It opens gradients itself.
    sees: ClassVar[Literal["features", "images"]] = "features"

    @property
    def track(self) -> Track:
        """``inductive`` when each prediction depends on its own example alone, else ``online``."""
        return "inductive"

    @property
    def passes(self) -> float:
        """Forward passes of the network that an image costs, where images are seen; a backward pass counts as two."""
        return 1.0

    @abstractmethod
    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream on trained weights. The network is shared and frozen: never change it."""
