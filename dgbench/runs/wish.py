"""What is wanted of the weights of one training, in pieces of its way."""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.slots import Averaging
from dgbench.core.errors import DGBenchError
from dgbench.core.pieces import candidate, checkpoint, every
from dgbench.core.spec import Spec
from dgbench.runs.parts import part_of
from dgbench.train.spec import TrainingSpec


@dataclass(frozen=True)
class Wish:
    """What is wanted of the weights of one training.

    Attributes:
        everything: Whether a board keeps all.
        last: Whether another training starts from its last weights.
        reads: The averaging parts, as they are described, of runs that are to come.
        candidates: Those that stay: an averaging part's, at a step.
    """

    everything: bool
    last: bool
    reads: tuple[Spec, ...]
    candidates: tuple[tuple[Spec, int], ...]

    def __bool__(self) -> bool:
        return self.everything or self.last or bool(self.reads) or bool(self.candidates)


def to_write(wish: Wish, training: TrainingSpec) -> frozenset[str]:
    """The pieces that a training has to write."""
    steps = training.checkpoint_steps()
    wanted = set(training.pieces()) if wish.everything else set()
    if wish.last:
        wanted.add(checkpoint(steps[-1]))
    for averaging in wish.reads:
        wanted |= made_of(averaging, training)
    for averaging, step in wish.candidates:
        wanted |= made_of(averaging, training, step)
    return frozenset(wanted)


def lost(wish: Wish, training: TrainingSpec, have: frozenset[str]) -> bool:
    """Whether weights that are to stay are not there."""
    return (wish.everything and not training.pieces() <= have) or any(
        candidate(averaging, step) not in have and not made_of(averaging, training, step) <= have
        for averaging, step in wish.candidates
    )


def made_of(averaging: Spec, training: TrainingSpec, step: int | None = None) -> frozenset[str]:
    """The pieces that the candidates of an averaging part are made of, or its candidate of one step."""
    part = averaging_part(averaging)
    steps = training.checkpoint_steps()
    return every(steps) if part is None else part.reads(steps, step)


def averaging_part(averaging: Spec) -> Averaging | None:
    """The part of a description; None where there is no such part (of that version): nobody knows what it reads."""
    try:
        part: Averaging = part_of("averaging", averaging, "the store")
    except DGBenchError:
        return None
    return part
