"""The weights that a finished training offers to an averaging part, and what they are made of.

A candidate that is made of one piece of the training's way (a checkpoint, an exponential average) is kept as that
piece. One that is made of many (SWAD's mean) can be kept itself, so that the many need not be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dgbench.algorithms.slots import Averaging, State
from dgbench.core.errors import StoreError
from dgbench.core.pieces import candidate, step_of
from dgbench.core.spec import Spec

if TYPE_CHECKING:
    from dgbench.train.trajectory import StoredTrajectory


def candidates(averaging: Averaging, spec: Spec, trajectory: StoredTrajectory) -> Iterator[tuple[int, State]]:
    """The weights to predict with, each with its step, as :meth:`Averaging.candidates` gives them.

    Args:
        averaging: The part.
        spec: How it is described: its name, version and hyperparameters.
        trajectory: Of the training.

    Raises:
        DamagedError: weights that it reads are not what was written, or were not kept.
    """
    made = kept_itself(averaging, spec, trajectory.steps, trajectory.pieces)
    if made is None:
        yield from averaging.candidates(trajectory)
    else:
        yield step_of(made), trajectory.piece(made)


def candidate_at(averaging: Averaging, spec: Spec, trajectory: StoredTrajectory, step: int) -> State:
    """The candidate of one step, which may be the only one whose weights were kept.

    Raises:
        StoreError: they were not.
    """
    itself = candidate(spec, step)
    if itself in trajectory.pieces:
        return trajectory.piece(itself)
    if lost := averaging.reads(trajectory.steps, step) - trajectory.pieces:
        raise StoreError(
            f"{trajectory.folder}: the weights of step {step} were not kept ({', '.join(sorted(lost))}): boards keep "
            "what their criterion chose. 'dgbench run BOARD --keep shown' trains again for what any criterion chose, "
            "'--keep all' for everything"
        )
    return averaging.candidate(trajectory, step)


def kept_itself(averaging: Averaging, spec: Spec, steps: Sequence[int], pieces: frozenset[str]) -> str | None:
    """The piece that is the one candidate of an averaging part, where that was kept itself."""
    if averaging.count(len(steps)) != 1:
        return None
    return next((name for step in steps if (name := candidate(spec, step)) in pieces), None)


def lacking(averaging: Averaging, spec: Spec, steps: Sequence[int], pieces: frozenset[str]) -> frozenset[str]:
    """What an averaging part would read and is not among the pieces of a training with checkpoints after ``steps``."""
    if kept_itself(averaging, spec, steps, pieces) is not None:
        return frozenset()
    return averaging.reads(steps) - pieces
