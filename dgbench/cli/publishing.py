"""``dgbench published``: what others have published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from dgbench import publishing as public
from dgbench.cli.output import Json, for_people, new_table, print_json, print_records, screen

if TYPE_CHECKING:
    from dgbench.literature.table import Table


def publishing(app: typer.Typer) -> None:
    """Add the verbs of what is published."""
    app.command()(published)


def published(
    dataset: Annotated[
        str | None, typer.Argument(metavar="[DATASET]", help="of this one alone, with its targets")
    ] = None,
    algorithm: Annotated[
        str | None, typer.Option("--algorithm", "-a", help="of methods by the idea of this one alone")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print numbers that others published.

    It says how they came about. None was computed here, and none is ever ranked with what was. In a pipe each figure is
    one line, its cells between tabs.
    """
    found = public.published(dataset, algorithm=algorithm)
    if as_json:
        print_json(found.to_dicts())
    elif not for_people():
        import polars as pl

        brief = ("source", "table", "method", "algorithm", "dataset", "target", "measure", "value", "spread")
        print_records(found.select(brief).cast(pl.String).fill_null("").iter_rows(named=True))
    else:
        from dgbench.literature.table import WARNING, tables

        print(WARNING)
        for one in tables([dataset] if dataset else (), algorithm):
            _show(one, screen())


def _show(one: Table, console: Console) -> None:
    """A table with all that is said of it."""
    console.print(f"\n[bold]{escape(one.heading)}[/]", soft_wrap=True)
    console.print(one.about, style="dim", markup=False, soft_wrap=True)
    table = new_table()
    table.add_column("", style="cyan")
    for column in one.columns:
        table.add_column(escape(column), justify="right")
    for row in one.rows:
        table.add_row(escape(row.method), *row.cells)
    console.print(table)
    for note in one.notes:
        console.print(note, style="yellow", markup=False, soft_wrap=True)
