"""The parts that specs describe."""

from __future__ import annotations

from typing import Any

from dgbench.core.errors import RecipeError
from dgbench.core.recipe import build_part
from dgbench.core.registry import Slot
from dgbench.core.spec import Spec
from dgbench.train.loop import Parts
from dgbench.train.spec import TrainingSpec


def part_of(slot: Slot, spec: Spec, where: str) -> Any:
    """The part that a spec describes, of the version that it was described with.

    Raises:
        RecipeError: the part has changed since.
    """
    hyperparameters = {key: value for key, value in spec.items() if key not in ("part", "version")}
    part = build_part(slot, spec["part"], hyperparameters, where)
    if part.version != spec["version"]:
        raise RecipeError(
            f"{where}: {slot} '{spec['part']}' is version {part.version}, the spec asks for {spec['version']}"
        )
    return part


def parts_of(training: TrainingSpec) -> Parts:
    """The parts that shape a training."""
    return Parts(**{slot: part_of(slot, part, f"training {training.id}") for slot, part in training.parts.items()})


def on_features(parts: Parts) -> bool:
    """Whether neither the backbone nor the images change in a training, so that its head needs features alone."""
    return parts.adapter.freezes_backbone() and not parts.sampler.augments()
