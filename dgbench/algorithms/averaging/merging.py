"""What averaging parts share whose weights no single training's way can give: those that merge trainings.

A merge is planned and kept as a training that takes no step: it waits for the trainings that it reads, its one set of
weights stays when theirs go, and runs read it as the last weights of any other. So it may look at what other averaging
parts never see: the weights of several trainings, what any weights are worth on source validation images, and their
gradients. Weights are effective ones, of which a mean is one of networks, whatever the adapter.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple, Protocol

from dgbench.algorithms.earlier import Earlier
from dgbench.algorithms.later import torch
from dgbench.algorithms.slots import Averaging, State, Trajectory
from dgbench.core.pieces import checkpoint


class Validated(NamedTuple):
    """What weights are worth on clean source validation images: means over domains, or over all images.

    Attributes:
        accuracy: In [0, 1].
        nll: Cross-entropy, in nats.
    """

    accuracy: float
    nll: float


class Members(Protocol):
    """The trainings that are merged, and whoever looks at weights for them."""

    @property
    def trajectories(self) -> Sequence[Trajectory]:
        """In the order in which the part asked for them."""

    def validated(self, state: State) -> Validated:
        """What weights are worth, the head included."""

    def squared_gradients(self, state: State, images: int) -> State:
        """The diagonal of the Fisher information at some weights, for each that has a gradient.

        Mean over so many images that train, as many of each source domain, of the squared gradient of the logarithm of
        the probability of a class that is drawn from what the network predicts of the image.
        """

    def generator(self) -> torch.Generator:
        """Random numbers of this merge, on the CPU; the same at each call."""


class Merging(Averaging):
    """One candidate, made once for all runs.

    Attributes:
        several: Whether what it leaves are the weights of several networks, which predict together.
    """

    several: ClassVar[bool] = False

    def members(self, draw: int, draws: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Which trainings are merged: each with the number of its draw, and of its order of batches.

        Args:
            draw: The candidate's.
            draws: All that there are.
        """
        return ((draw, 0),)

    def earlier(self) -> tuple[Earlier, ...]:
        """Further trainings that are merged, each as it differs from that of the candidate; they come after members."""
        return ()

    @abstractmethod
    def merge(self, members: Members) -> State:
        """The weights, by the names of all that moves in any of the members, or of more.

        Of several networks as :func:`dgbench.models.effective.beside` has them.
        """

    def candidates(self, trajectory: Trajectory) -> Iterator[tuple[int, State]]:
        """What the merge left as its last weights."""
        yield trajectory.steps[-1], trajectory.at(trajectory.steps[-1])

    def reads(self, steps: Sequence[int], candidate: int | None = None) -> frozenset[str]:
        """The last weights."""
        return frozenset({checkpoint(steps[-1])})
