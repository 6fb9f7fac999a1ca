"""A report: tables with what they show and how to read them, the same for the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dgbench.board.render.diagram import Diagram
from dgbench.board.render.scatter import Plot


@dataclass(frozen=True)
class Section:
    """One table with what is said of it.

    Attributes:
        name: An anchor.
        title: Its heading.
        header, rows: The table; nothing where there is none. The first column is text, the others are numbers.
        said: What it shows, in sentences.
        notes: How to read it.
        diagram: Who differs by ranks.
        plot: Points on a line.
    """

    name: str
    title: str
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    said: Sequence[str] = ()
    notes: Sequence[str] = ()
    diagram: Diagram | None = None
    plot: Plot | None = None


@dataclass(frozen=True)
class Report:
    """All that is said.

    Attributes:
        kind: What it is.
        title: What it is about.
        by: What selected the models, and more of all of it.
        sections: In order.
        provenance: Where the numbers come from.
    """

    kind: str
    title: str
    by: str
    sections: tuple[Section, ...]
    provenance: Mapping[str, str]
