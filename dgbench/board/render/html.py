"""The leaderboard as one HTML file that needs no network: styles, script, pictures and plots are inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from dgbench.board.leaderboard import Entry, Leaderboard
from dgbench.board.rankings import Rankings
from dgbench.board.render import text
from dgbench.board.render.axes import Scale
from dgbench.board.render.bibtex import cards
from dgbench.board.render.candidates import look, mark, panels
from dgbench.board.render.chosen import Chosen, chosen
from dgbench.board.render.comparisons import matrix
from dgbench.board.render.compiled import Compiled
from dgbench.board.render.diagram import diagram
from dgbench.board.render.figures import SHARES
from dgbench.board.render.frame import ALONE, Frame
from dgbench.board.render.measures import heading, switched
from dgbench.board.render.scatter import by_cost, on_the_line
from dgbench.core.registry import SLOTS
from dgbench.core.visible import visible
from dgbench.selection.measures import MEASURES


def render(board: Leaderboard, frame: Frame = ALONE, others: Rankings | None = None) -> str:
    """The whole leaderboard as one page.

    Args:
        board: What is shown.
        frame: What stands around it.
        others: The same by other measures than accuracy, to which its tables can be switched.
    """
    reference = next((entry for entry in board.entries if entry.algorithm == board.info.reference), None)
    picked, pictures = chosen(board), board.pictures
    return environment().get_template("leaderboard.html").render(
        frame=frame,
        board=board,
        info=board.info,
        show=text.figures(board),
        entries=board.entries,
        reference=reference,
        scale=Scale.over([entry.accuracy for entry in board.entries]),
        ranges=_ranges(board),
        others=others,
        switched=switched(others, board) if others and others.known else "",
        chosen=picked,
        filters=_filters(board, picked),
        cited=any(cards(entry.algorithm) for entry in board.entries),
        pictures={name: data_uri(pictures[name]) for name in board.info.domains if name in pictures},
    )  # fmt: skip


@cache
def environment(*packages: str) -> jinja2.Environment:
    """The templates of some packages, and of boards after them; all is escaped, and nothing in a name acts."""
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(each) for each in (*packages, "dgbench.board.render")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.bytecode_cache = Compiled(Path(__file__).with_name("templates") / "__pycache__", made)
    made.globals.update(
        text=text,
        panels=panels,
        matrix=matrix,
        diagram=diagram,
        by_cost=by_cost,
        on_the_line=on_the_line,
        look=look,
        mark=mark,
        heading=heading,
        SHARES=SHARES,
        MEASURES=MEASURES,
        SLOTS=SLOTS,
    )
    return made


def data_uri(png: bytes) -> str:
    """A picture as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _finalize(value: Any) -> Any:
    """What an expression of the template comes to, before it is escaped."""
    return visible(value) if type(value) is str else value


def _ranges(board: Leaderboard) -> dict[str, tuple[float, float]]:
    """The lowest and the highest mean on each target."""
    found = {}
    for domain in board.info.domains:
        means = [entry.targets[domain].mean for entry in board.entries if domain in entry.targets]
        if means:
            found[domain] = (min(means), max(means))
    return found


def _filters(board: Leaderboard, picked: Mapping[str, Chosen]) -> dict[str, tuple[str, list[str]]]:
    """By attribute of a row: what it is called, and its values; only what tells algorithms apart."""

    def pretrained(entry: Entry) -> str:
        return entry.pretrained_on or "nothing: random weights"

    asked: dict[str, tuple[str, list[str]]] = {
        "track": ("Track", [track.name for track in board.tracks]),
        **{slot: (slot.capitalize(), [c.parts[slot] for c in picked.values() if slot in c.parts]) for slot in SLOTS},
        "level": ("Level", [entry.level or "run here" for entry in board.entries]),
        "backbone": ("Backbone", [entry.backbone for entry in board.entries]),
        "pretrained": ("Pretrained on", [pretrained(entry) for entry in board.entries]),
    }
    return {key: (title, sorted(set(values))) for key, (title, values) in asked.items() if len(set(values)) > 1}
