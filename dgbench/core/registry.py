"""Which parts exist. Names map to lazy targets, so knowing a part costs no import of torch.

Parts of other packages join through the entry-point group ``dgbench.parts``; the entry's name is ``slot.name``::

    [project.entry-points."dgbench.parts"]
    "objective.focal" = "my_package.focal:Focal"
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from typing import Any, Literal, get_args

from dgbench.core.errors import RecipeError, UnknownNameError

Slot = Literal["sampler", "adapter", "objective", "optimizer", "averaging", "predictor"]
SLOTS: tuple[Slot, ...] = get_args(Slot)

_HERE = "dgbench.algorithms"
BUILT_IN: dict[Slot, dict[str, str]] = {
    "sampler": {
        "balanced": f"{_HERE}.samplers.balanced:Balanced",
    },
    "adapter": {
        "full": f"{_HERE}.adapters.full:Full",
        "linear_probe": f"{_HERE}.adapters.linear_probe:LinearProbe",
        "lora": f"{_HERE}.adapters.lora:LoRA",
        "pego": f"{_HERE}.adapters.pego:PEGO",
        "domain_heads": f"{_HERE}.adapters.domain_heads:DomainHeads",
    },
    "objective": {
        "cross_entropy": f"{_HERE}.objectives.cross_entropy:CrossEntropy",
        "irm": f"{_HERE}.objectives.irm:IRM",
        "vrex": f"{_HERE}.objectives.vrex:VREx",
        "coral": f"{_HERE}.objectives.coral:CORAL",
        "drm": f"{_HERE}.objectives.drm:DRM",
    },
    "optimizer": {
        "adamw": f"{_HERE}.optimizers.adamw:AdamW",
        "sgd": f"{_HERE}.optimizers.sgd:SGD",
        "sam": f"{_HERE}.optimizers.sam:SAM",
        "asam": f"{_HERE}.optimizers.asam:ASAM",
        "udim": f"{_HERE}.optimizers.udim:UDIM",
    },
    "averaging": {
        "last": f"{_HERE}.averaging.last:Last",
        "best": f"{_HERE}.averaging.best:Best",
        "ema": f"{_HERE}.averaging.ema:EMA",
        "swad": f"{_HERE}.averaging.swad:SWAD",
        "wise_ft": f"{_HERE}.averaging.wise_ft:WiSEFT",
    },
    "predictor": {
        "argmax": f"{_HERE}.predictors.argmax:Argmax",
        "drm": f"{_HERE}.predictors.drm:DRMSteering",
        "adanpc": f"{_HERE}.predictors.adanpc:AdaNPC",
        "t3a": f"{_HERE}.predictors.t3a:T3A",
    },
}


@functools.cache
def targets(slot: Slot) -> dict[str, str]:
    """Name -> ``module:Class`` of every part of a slot, built in or installed."""
    found = dict(BUILT_IN[slot])
    for entry in _installed():
        entry_slot, _, name = entry.name.partition(".")
        if entry_slot not in SLOTS or not name:
            raise RecipeError(
                f"entry point '{entry.name}' of group dgbench.parts must be named 'slot.name', "
                f"with a slot of {', '.join(SLOTS)}"
            )
        if entry_slot == slot:
            if name in found:
                raise RecipeError(f"two packages register {slot} '{name}': {found[name]} and {entry.value}")
            found[name] = entry.value
    return found


@functools.cache
def _installed() -> importlib.metadata.EntryPoints:
    """Parts of other packages; looking through all that is installed takes a while, so it is done once."""
    return importlib.metadata.entry_points(group="dgbench.parts")


@functools.cache
def load(slot: Slot, name: str) -> type[Any]:
    """The class of a part.

    Raises:
        UnknownNameError: no part of that slot has that name.
        RecipeError: the target cannot be imported or is not a part of that slot.
    """
    known = targets(slot)
    if name not in known:
        raise UnknownNameError(f"{slot} part", name, known)
    module, _, attribute = known[name].partition(":")
    try:
        part = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RecipeError(f"{slot} '{name}' is registered as {known[name]}, which cannot be loaded: {error}") from error
    if getattr(part, "slot", None) != slot:
        raise RecipeError(f"{slot} '{name}' ({known[name]}) does not fill that slot: derive it from the slot's class")
    return part  # type: ignore[no-any-return]
