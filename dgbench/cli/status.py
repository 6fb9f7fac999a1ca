"""``dgbench status``: how far the boards of a store are."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dgbench.cli.output import Json, new_table, print_json, screen
from dgbench.cli.work import StorePath, there
from dgbench.core.errors import DGBenchError

if TYPE_CHECKING:
    from dgbench.runs.status import StoreStatus

_EVERY = 10.0
"""Seconds between looks."""


def add(app: typer.Typer) -> None:
    """Add the verb that says how far a store is."""
    app.command()(status)


def status(
    place: Annotated[str | None, typer.Argument(metavar="[STORE]", help="the same as --store STORE")] = None,
    store: StorePath = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="look again and again, until Ctrl-C")] = False,
    every: Annotated[
        float | None, typer.Option(min=0.1, help="with --watch: seconds between looks, 10 by default")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="write a page of it, too; with --watch at every look")] = None,
    as_json: Json = False,
) -> None:
    """Show how far the boards of a store are.

    What is done, at work, failed and left, how fast it goes, and what it took. It is read from the store alone, so any
    machine that sees the store sees the same; nothing that is at work is disturbed.
    """
    from dgbench.runs import status as found

    if watch and as_json:
        raise DGBenchError("--watch shows a table again and again; leave out --watch or --json")
    if every is not None and not watch:
        raise DGBenchError("--every says how often --watch looks again; add --watch, or leave it out")
    if place and store and place != store:
        raise DGBenchError(f"which store is it, {place} or {store}? Leave out one of them")

    def look() -> StoreStatus:
        seen = found.status(there(store or place))
        if html is not None:
            from dgbench.board.render.state import write

            write(seen, html)
        return seen

    if as_json:
        print_json(dataclasses.asdict(look()))
    elif watch:
        _watch(look, every or _EVERY)
    else:
        _print(look())


def _watch(look: Callable[[], StoreStatus], every: float) -> None:
    """Look again and again: on a terminal in the same place, in a file or a pipe one below the other."""
    console = screen()
    if not console.is_terminal:
        while True:
            _print(look())
            time.sleep(every)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            seen = look()
            live.update(Group(_table(seen), *map(Text, _damage(seen))), refresh=True)
            time.sleep(every)


def _print(seen: StoreStatus) -> None:
    screen().print(_table(seen))
    for line in _damage(seen):
        print(line, flush=True)


def _damage(seen: StoreStatus) -> Iterator[str]:
    for path in seen.unreadable:
        yield f"{path} is damaged, or of another version of dgbench; 'dgbench store verify' tells"


def _table(seen: StoreStatus) -> Table:
    from dgbench.board.render.state import HEADINGS, row

    table = new_table()
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "board" else "right")
    for board in seen.boards:
        table.add_row(*row(board))
    return table
