"""The smallest network on which the steps of a recipe do all that they do."""

from dgbench.core.recipe import compose

LOOK_INTO_BLOCKS = {"itta", "miro"}
"""Objectives that do."""
CHANGE_BLOCKS = {"clip_lora", "last_blocks", "levi", "lora", "pego", "soma"}
"""Adapters that do; others are about heads."""


def smallest(algorithm: str) -> str:
    """A transformer for what knows of blocks; for all else three convolutions, a step of which is a third as long."""
    slots = compose(algorithm).slots
    parts = {slots[slot].part for slot in ("adapter", "objective") if slot in slots}
    return "dgbench:vit-micro" if parts & (CHANGE_BLOCKS | LOOK_INTO_BLOCKS) else "dgbench:convnet-small"
