"""In what a board's numbers are, in words: what is called accuracy, in which unit, and what is predicted."""

from __future__ import annotations

from dgbench.board.leaderboard import Leaderboard
from dgbench.board.render.figures import Figures
from dgbench.selection.measure import Measure
from dgbench.selection.measures import RULE

GAP = "Gap: accuracy on held-out source images minus accuracy on the target, for the same models, in points."
_GAP_OF_ERRORS = "Gap: accuracy on the target minus accuracy on held-out source images, for the same models, in points."


def figures(board: Leaderboard) -> Figures:
    """How the numbers of a board are shown."""
    return Figures.of(board.info)


def in_units(board: Leaderboard, sentence: str) -> str:
    """A sentence about shares, of a board's own numbers."""
    show = figures(board)
    if show.shares:
        return sentence
    named = sentence.replace("Accuracy in per cent", f"Accuracy{show.within}")
    return named.replace(", in per cent", show.within).replace(", in points", show.apart)


def gap(board: Leaderboard) -> str:
    """What the gap is."""
    return in_units(board, GAP if board.info.headline.rises else _GAP_OF_ERRORS)


def predicted(board: Leaderboard) -> str:
    """What is predicted: ``10 classes``, ``a value (angle, in degrees)``."""
    info = board.info
    if not info.value:
        return f"{info.classes} classes"
    return f"a value ({info.value}{f', in {info.unit}' if info.unit else ''})"


def meant(board: Leaderboard) -> list[str]:
    """What accuracy stands for where something else ranks; nothing where it ranks itself."""
    return stands_for(board.info.headline)


def stands_for(headline: Measure) -> list[str]:
    """The same, of a measure."""
    if headline == RULE:
        return []
    more = (
        ""
        if headline.rises
        else (
            ", of which less is better. Where a step is shown in four decimals it is minus that, as records hold it, "
            "so that more is better of every score"
        )
    )
    said = f"Accuracy stands for {headline.title} wherever this board's numbers are spoken of{more}."
    return [f"{said} {headline.description}"]
