"""How verbs answer: tables for people, a record a line in a pipe, JSON for programs."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

_WIDE = 120
"""Characters in a line that goes to a file or a pipe, which have no width of their own."""

Json = Annotated[bool, typer.Option("--json", help="print JSON in place of tables")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="print errors and warnings only")]


def for_people() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def screen(*, highlight: bool = False) -> Console:
    """Where tables are printed, as wide as the terminal."""
    there = Console(highlight=highlight)
    return there if there.is_terminal else Console(width=_WIDE, highlight=highlight)


def new_table() -> Table:
    """A table without lines; its columns are to be added."""
    return Table(box=None, pad_edge=False, header_style="dim")


def print_json(content: Any) -> None:
    """Plain data as JSON; paths and the like as their text."""
    print(json.dumps(content, ensure_ascii=False, indent=1, default=str))


def print_records(rows: Iterable[Mapping[str, Any]], *, first: str | None = None) -> None:
    """A line for each row, cells between tabs: what ``grep``, ``cut`` and ``awk`` want.

    Args:
        rows: By column.
        first: A cell before each row's own.
    """
    for row in rows:
        cells = [] if first is None else [first]
        print("\t".join([*cells, *(" ".join(str(cell).split()) for cell in row.values())]))


@contextmanager
def unsaid() -> Iterator[None]:
    """The store warns of what is damaged; not inside the block, since it is said otherwise."""
    log = logging.getLogger("dgbench.runs.store")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
