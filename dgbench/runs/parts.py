"""The parts that specs describe."""

from __future__ import annotations

from typing import Any

from dgbench.core.elsewhere import Whole
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import build_part
from dgbench.core.registry import Slot
from dgbench.core.spec import Spec, canonical
from dgbench.train.parts import Parts
from dgbench.train.spec import TRAININGS, TrainingSpec

_MADE: dict[tuple[Slot, str], Any] = {}
"""Parts hold no state, and a plan asks for the same few thousands of times."""


def part_of(slot: Slot, spec: Spec, where: str) -> Any:
    """The part that a spec describes, of the version that it was described with.

    Raises:
        RecipeError: the part has changed since.
    """
    key = (slot, canonical(spec))
    if key not in _MADE:
        hyperparameters = {name: value for name, value in spec.items() if name not in ("part", "version", TRAININGS)}
        _MADE[key] = build_part(slot, spec["part"], hyperparameters, where)
    part = _MADE[key]
    if part.version != spec["version"]:
        raise RecipeError(
            f"{where}: {slot} '{spec['part']}' is version {part.version}, the spec asks for {spec['version']}"
        )
    return part


def parts_of(training: TrainingSpec) -> Parts:
    """The parts that shape a training."""
    return Parts(**{slot: part_of(slot, part, f"training {training.id}") for slot, part in training.parts.items()})


def networks(training: TrainingSpec) -> int:
    """How many networks its last weights are: several only of a merge that lets its members predict together."""
    if training.merged is None or not part_of("averaging", training.merged, f"training {training.id}").several:
        return 1
    return len(training.reads())


def elsewhere(parts: Parts) -> Whole | None:
    """The class that is a whole algorithm from elsewhere, where a training is one of it."""
    return parts.objective if isinstance(parts.objective, Whole) else None


def on_features(parts: Parts) -> bool:
    """Whether neither the backbone nor the images change in a training, so that its head needs features alone."""
    return parts.adapter.freezes_backbone() and not parts.sampler.augments()
