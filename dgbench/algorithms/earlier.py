"""Trainings that come before others: which ones a part asks for, and what it hears of them.

A part of a slot that shapes a training may read other trainings: it says how these differ from its own, and a plan has
them done first. They are trainings like any other, so whoever asks for the same ones shares them, and their ids are
part of what identifies the part in the training that it shapes. They are read while that is done, and never after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dgbench.algorithms.later import Tensor
from dgbench.core.registry import Slot

Said = Sequence[Tensor]
"""What a finished training says of the images that train: the logits of its last weights, without augmentation, float32
``[n_d, C]`` on the CPU for each source domain, as the pools have their rows; to an objective that needs an unlabelled
target it then says the same of those images of it that steps see, as they are numbered."""


@dataclass(frozen=True)
class Earlier:
    """A training that comes before, as it differs from the one that reads it.

    All else is the same, down to the seeds.

    Attributes:
        parts: By slot, the name and the hyperparameters of a part in place of the one that is there; it may ask for
            earlier trainings in turn.
        steps: How many it takes, as a share of those of the one that reads it; if not 1, its end is its one checkpoint.
    """

    parts: Mapping[Slot, tuple[str, Mapping[str, Any]]]
    steps: float = 1.0


class Follower:
    """A part that reads no other training, unless its methods say otherwise."""

    def earlier(self) -> tuple[Earlier, ...]:
        """The trainings that come before the one which the part shapes."""
        return ()
