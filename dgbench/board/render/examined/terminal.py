"""An examination in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from dgbench.board.render.diagnosed.terminal import grid
from dgbench.board.render.examined import words
from dgbench.core.visible import visible
from dgbench.diagnostics.examined import Examined


def show(found: Examined, console: Console) -> None:
    """Print its tables, and how to read them."""
    console.print(grid(words.CURVE, words.curve(found), words.title(found)))
    console.print(grid(words.MIXED, words.mixed(found), "Halfway"))
    console.print(grid(words.SHARPNESS, words.sharpness(found), "Sharpness"))
    console.print(grid(words.BY_LAYER, words.layers(found), "Layers"))
    for line in words.notes(found):
        console.print(Text(visible(line), style="dim"))
