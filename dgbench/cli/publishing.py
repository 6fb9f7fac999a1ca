"""``dgbench published`` and ``dgbench publish``: what others have published, and what goes out from here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from dgbench.api import publishing as functions
from dgbench.cli.output import Json, Quiet, for_people, new_table, print_json, print_records, screen
from dgbench.cli.work import BoardName, By, StorePath

if TYPE_CHECKING:
    from dgbench.literature.table import Table

Out = Annotated[Path, typer.Option("--out", "-o", help="the folder to write")]
Push = Annotated[
    str | None,
    typer.Option(metavar="OWNER/NAME", help="send the folder to this repository; nothing is sent without it"),
]
Public = Annotated[bool, typer.Option("--public", help="a new repository is for everybody, not for its owner alone")]


def add(app: typer.Typer) -> None:
    """Add the verbs of what is published."""
    app.command()(published)
    verbs = typer.Typer(help="Make folders for the Hugging Face Hub.", no_args_is_help=True)
    verbs.command("board")(board)
    verbs.command("model")(model)
    app.add_typer(verbs, name="publish")


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
    found = functions.published(dataset, algorithm=algorithm)
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


def board(
    board: BoardName,
    out: Out,
    criterion: By = None,
    store: StorePath = None,
    licence: Annotated[str, typer.Option(help="of the numbers, as the Hub calls it")] = "mit",
    push: Push = None,
    public: Public = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a leaderboard a repository of data.

    Tables as Parquet, the records that they follow from, the page, and a card that datasets.load_dataset() reads.
    """
    sent = functions.publish_board(
        board, out, criterion=criterion, store=store, licence=licence, push=push, public=public
    )
    _said(out, sent, as_json=as_json, quiet=quiet)


def model(
    model: Annotated[Path, typer.Argument(metavar="DIR", help="the folder of an exported model")],
    out: Out,
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME", help="the board's repository on the Hub, to which the model's result points"
        ),
    ] = None,
    push: Push = None,
    public: Public = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make an exported model a repository.

    Its files are compared with its card, and copied.
    """
    sent = functions.publish_model(model, out, benchmark=benchmark, push=push, public=public)
    _said(out, sent, as_json=as_json, quiet=quiet)


def _said(folder: Path, sent: str | None, *, as_json: bool, quiet: bool) -> None:
    """Where it lies, here and there."""
    if as_json:
        print_json({"folder": folder.resolve(), "commit": sent})
    elif not quiet:
        print(folder.resolve())
        print(sent or "nothing was sent; --push OWNER/NAME sends it")


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
