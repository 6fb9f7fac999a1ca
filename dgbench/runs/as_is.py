"""What is planned of a model as it is: a training that takes no step, of which nothing says how steps are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dgbench.core.recipe import Resolved, build_part, describe
from dgbench.core.registry import Slot
from dgbench.core.spec import identity
from dgbench.train.spec import OWN_HEAD, TrainingSpec

PLAIN: dict[Slot, tuple[str, dict[str, str]]] = {
    "sampler": ("balanced", {"augmentation": "none"}),
    "objective": ("cross_entropy", {}),
    "optimizer": ("adamw", {}),
    "averaging": ("last", {}),
}
"""What stands in the slots that say how steps are taken, where none is: the same, whatever a board sets or searches."""


def bare(resolved: Resolved) -> tuple[Resolved, str]:
    """A recipe without what says how steps are taken, where none is, and a sentence about parts that go."""
    if resolved.parts["adapter"].takes_steps:
        return resolved, ""
    named = resolved.recipe.slots
    said = [
        f"the {slot} '{named[slot].part}' acts on training, and nothing is trained" for slot in PLAIN if slot in named
    ]
    parts = {slot: build_part(slot, name, dict(values), slot) for slot, (name, values) in PLAIN.items()}
    specs = {slot: describe(slot, PLAIN[slot][0], part) for slot, part in parts.items()}
    return replace(resolved, parts=resolved.parts | parts, specs=resolved.specs | specs), "; ".join(said)


def without_steps(base: TrainingSpec) -> TrainingSpec:
    """What trainings have in common, of one that takes no step: no board's schedule and no batches are part of it."""
    return replace(
        base,
        steps=0,
        checkpoints=1,
        norm_mode="frozen",
        batch_per_domain=1,
        domains_per_step=None,
        domains_drawn="uniform",
    )


def own_head(backbone: str, classes: Sequence[str]) -> str:
    """The reference to a backbone's own head, for classes of a dataset; none where the data is not on this machine.

    Raises:
        DGBenchError: it has no rows for them.
    """
    from dgbench.models.own_head import rows

    return OWN_HEAD + identity({"rows": list(rows(backbone, tuple(classes))) if classes else None})
