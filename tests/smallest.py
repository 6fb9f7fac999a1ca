"""The smallest network on which the steps of recipes do all that they do."""

from dgbench.core.elsewhere import PREFIX as ELSEWHERE
from dgbench.core.recipe import compose

LOOK_INTO_BLOCKS = {"itta", "miro"}
"""Objectives that do."""
CHANGE_BLOCKS = {"clip_lora", "last_blocks", "levi", "lora", "pego", "soma"}
"""Adapters that do; others are about heads."""


def smallest(*algorithms: str) -> str:
    """A transformer for what knows of blocks; for all else three convolutions, a step of which is a third as long."""
    slots = [compose(name).slots for name in algorithms if not name.startswith(ELSEWHERE)]
    parts = {found[slot].part for found in slots for slot in ("adapter", "objective") if slot in found}
    return "dgbench:vit-micro" if parts & (CHANGE_BLOCKS | LOOK_INTO_BLOCKS) else "dgbench:convnet-small"
