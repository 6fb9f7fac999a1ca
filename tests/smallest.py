"""The smallest network on which the steps of a recipe do all that they do."""

from dgbench.core.recipe import compose

LOOK_INTO_BLOCKS = {"itta", "miro"}
"""Objectives that do; most adapters change them."""


def smallest(algorithm: str) -> str:
    """A transformer for what knows of blocks; for all else three convolutions, a step of which is a third as long."""
    slots = compose(algorithm).slots
    blocks = "adapter" in slots or ("objective" in slots and slots["objective"].part in LOOK_INTO_BLOCKS)
    return "dgbench:vit-micro" if blocks else "dgbench:convnet-small"
