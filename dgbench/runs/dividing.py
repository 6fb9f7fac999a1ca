"""Whether the trainings of a plan can be divided as somebody asks, before any of them is begun."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dgbench.core.elsewhere import PREFIX
from dgbench.core.errors import DGBenchError, RecipeError
from dgbench.core.processes import cores
from dgbench.runs.device import default_workers, kind_of
from dgbench.runs.parts import elsewhere, on_features, parts_of
from dgbench.runs.plan import Plan
from dgbench.train.division import Division
from dgbench.train.elsewhere import UNDIVIDED
from dgbench.train.looks import BY_BATCH
from dgbench.train.spec import TrainingSpec


def divides(training: TrainingSpec) -> bool:
    """Whether a training has anything to divide: it takes steps, and images go through a network in them."""
    return training.merged is None and training.steps > 0 and not on_features(parts_of(training))


def first_devices(devices: Sequence[str], division: Division) -> tuple[str, ...]:
    """The devices whose workers start other processes on those that follow.

    Raises:
        DGBenchError: there are fewer devices than processes, or those of a training do not follow each other.
    """
    if division.processes == 1 or kind_of(devices[0]) != "cuda":
        return tuple(devices)
    numbers = [int(device.partition(":")[2] or 0) for device in devices]
    groups = [numbers[at : at + division.processes] for at in range(0, len(numbers), division.processes)]
    whole = [group for group in groups if len(group) == division.processes]
    if not whole or any(group != list(range(group[0], group[0] + len(group))) for group in whole):
        raise DGBenchError(
            f"a training in {division.processes} processes (--processes-per-training) takes as many devices, whose "
            f"numbers follow each other, and there are {', '.join(devices)}"
        )
    return tuple(f"cuda:{group[0]}" for group in whole)


def workers_for(devices: Sequence[str], division: Division) -> int:
    """How many workers there are by default, each of which has a whole training at work."""
    if division.processes == 1:
        return default_workers(devices)
    return max(1, cores() // division.processes) if kind_of(devices[0]) == "cpu" else len(devices)


def check_division(
    division: Division, plan: Plan, trainings: Iterable[TrainingSpec], device: str, launcher: str = "local"
) -> None:
    """Refuse what cannot be divided so.

    Args:
        division: As asked for.
        plan: Says what backbones are like.
        trainings: Those that are to be done.
        device: The kind of device that does the work.
        launcher: Who has it done.

    Raises:
        RecipeError: a training is one of a whole algorithm from elsewhere, or its network normalises by the batch and
            there are micro-batches.
        DGBenchError: a pass has fewer images than there are processes, or the device is the only one of its kind.
    """
    if division.processes > 1 and launcher != "local":
        raise DGBenchError(
            "a training in several processes (--processes-per-training) runs beside a worker of this machine, and the "
            f"launcher is '{launcher}'; leave one of them out, or take micro-batches (--micro-batch)"
        )
    if division.processes > 1 and device == "mps":
        raise DGBenchError("a training in several processes needs a device for each, and there is one 'mps'")
    by_batch = {one.backbone for one in plan.starts.values() if "batch_statistics" in one.provides}
    for training in filter(divides, trainings):
        parts = parts_of(training)
        if (whole := elsewhere(parts)) is not None:
            raise RecipeError(UNDIVIDED.format(f"{PREFIX}{whole.algorithm}"))
        if division.processes > training.batch_per_domain:
            raise DGBenchError(
                f"a step of this board sees {training.batch_per_domain} images of a domain, which are too few for "
                f"{division.processes} processes (--processes-per-training)"
            )
        moves = training.norm_mode == "train" and not parts.adapter.freezes_backbone()
        inside = moves and "side" not in parts.adapter.provides()
        if division.micro_batch is not None and inside and training.backbone in by_batch:
            raise RecipeError(BY_BATCH.format(training.backbone))
