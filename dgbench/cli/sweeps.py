"""``dgbench import``: tables of what others have run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from dgbench.cli.output import Json, Quiet, new_table, print_json, screen

if TYPE_CHECKING:
    import polars as pl

    from dgbench.board.leaderboard import Leaderboard
    from dgbench.sweeps.domainbed import Table
    from dgbench.sweeps.wilds import Cell


class Protocol(StrEnum):
    """By whose rules."""

    dgbench = "dgbench"
    domainbed = "domainbed"


def add(app: typer.Typer) -> None:
    """Add the verb that reads sweeps."""
    verbs = typer.Typer(help="Tables of what other benchmarks have run.", no_args_is_help=True)
    verbs.callback()(_group)
    verbs.command("domainbed")(domainbed)
    verbs.command("wilds")(wilds)
    app.add_typer(verbs, name="import")


def _group() -> None:
    pass


def domainbed(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="what DomainBed's sweep.py had as --output_dir")],
    protocol: Annotated[
        Protocol,
        typer.Option(help="dgbench: ranks and intervals; domainbed: its own three tables, digit by digit"),
    ] = Protocol.dgbench,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="write the numbers as a table")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read a sweep of DomainBed, and print its tables.

    Read are the results.jsonl of all jobs, as data; models are not opened, and nothing is put into a store.
    """
    from dgbench.board.render.files import comma_separated
    from dgbench.core.files import whole
    from dgbench.sweeps.read import read_sweep

    sweep = read_sweep(folder)
    if protocol == Protocol.domainbed:
        from dgbench.sweeps import domainbed as reference
        from dgbench.sweeps import notes

        tables = reference.tables(sweep)
        lines = [
            *notes.found(sweep, unfinished="they count with what they have, as in DomainBed"),
            *notes.repeated(sweep.jobs),
            *notes.unused(sweep.jobs, 2, "no criterion reads them"),
            *notes.uneven(tables),
        ]
        rows = _cells(tables)
        if not as_json and not quiet:
            _show_reference(tables)
    else:
        from dgbench.sweeps import leaderboard, notes

        boards = leaderboard.leaderboards(sweep)
        lines = [
            leaderboard.PROTOCOL,
            *notes.found(sweep, unfinished="left out"),
            *notes.unused(sweep.jobs, 1, "they serve leave-one-domain-out cross-validation, and nothing here"),
            *(
                f"No finished job on {board.info.dataset}: {', '.join(board.absent)}."
                for board in boards
                if board.absent
            ),
        ]
        rows = _entries(boards)
        if not as_json and not quiet:
            _show_boards(boards)
    if csv is not None:
        with whole(csv) as temporary:
            temporary.write_text(comma_separated(rows), encoding="utf-8")
    if as_json:
        print_json({"protocol": protocol.value, "notes": lines, "rows": [_plain(row) for row in rows.to_dicts()]})
    elif not quiet:
        _say(lines, "yellow")
        if csv is not None:
            print(f"csv  {csv.resolve()}")


def wilds(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="holds files of predictions, or folders that do")],
    epoch: Annotated[str | None, typer.Option(help="which of several epochs counts: best, last or a number")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="write the numbers as a table")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge predictions that are written as for the leaderboards of WILDS, by the official measures.

    Files are read as data, against the labels of the dataset on this machine; nothing is put into a store.
    """
    from dgbench.board.render.files import comma_separated
    from dgbench.core.files import whole
    from dgbench.sweeps.wilds import notes, read_predictions

    found = read_predictions(folder, epoch)
    lines, rows = [*notes(found)], _judged(found.cells)
    if csv is not None:
        with whole(csv) as temporary:
            temporary.write_text(comma_separated(rows), encoding="utf-8")
    if as_json:
        print_json({"notes": lines, "rows": rows.to_dicts()})
    elif not quiet:
        _show_judged(found.cells)
        _say(lines, "yellow")
        if csv is not None:
            print(f"csv  {csv.resolve()}")


def _judged(cells: Iterable[Cell]) -> pl.DataFrame:
    """A row for each method, split and measure; shares in [0, 1], unrounded."""
    import polars as pl

    rows = []
    for cell in cells:
        for name in cell.values:
            mean = cell.estimate(name)
            rows.append(
                {
                    "dataset": cell.dataset,
                    "method": cell.method,
                    "split": cell.split,
                    "measure": name,
                    "mean": None if mean is None else mean.mean,
                    "low": None if mean is None else mean.low,
                    "high": None if mean is None else mean.high,
                    "deviation": cell.deviation(name),
                    "seeds": len(cell.seeds),
                    "examples": cell.examples,
                }
            )
    numbers = dict.fromkeys(("mean", "low", "high", "deviation"), pl.Float64())
    return pl.DataFrame(rows, schema_overrides=numbers)


def _show_judged(cells: Sequence[Cell]) -> None:
    from dgbench.board.render import text
    from dgbench.core.dataset_card import dataset_card
    from dgbench.sweeps.wilds import measures_of

    console = screen()
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        card = dataset_card(dataset)
        asked = measures_of(card)
        console.print(Text(f"{card.title}, by {asked[0].title}", style="bold"))
        table = new_table()
        for heading in ("Method", "Split"):
            table.add_column(heading)
        for heading in ("Images", "Seeds", *(each.title[0].upper() + each.title[1:] for each in asked)):
            table.add_column(heading, justify="right")
        for cell in cells:
            if cell.dataset == dataset:
                means = [cell.estimate(each.name) for each in asked]
                values = ["–" if mean is None else text.with_margin(mean) for mean in means]
                row = (cell.method, cell.split, f"{cell.examples:,}", str(len(cell.seeds)), *values)
                table.add_row(*map(Text, row))
        console.print(table)
        console.print()
    _say(["In per cent: mean over seeds, ± half of its 95 % t-interval."], "dim")


def _cells(tables: Iterable[Table]) -> pl.DataFrame:
    """A row for each cell of the reference's tables, in per cent; ``shown`` is what it prints."""
    import polars as pl

    rows = [
        {
            "criterion": table.rule.name,
            "table": table.name,
            "algorithm": algorithm,
            "column": column,
            "accuracy": None if cell is None else cell.mean,
            "error": None if cell is None else cell.error,
            "trials": None if cell is None else cell.trials,
            "shown": _text(cell),
        }
        for table in tables
        for algorithm, row in table.rows.items()
        for column, cell in zip(table.columns, row, strict=True)
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _entries(boards: Sequence[Leaderboard]) -> pl.DataFrame:
    """A row for each dataset and algorithm; accuracies are shares. What no sweep says has no column."""
    import polars as pl

    from dgbench.board.render.files import table

    unknown = {"nll", "backbone", "pretrained_on", "train_seconds", "run_seconds", "passes", "level"}
    unknown |= {"same_predictions_as", "without_effect", "families", "held_out", "contaminated", "part", "title"}
    rows = [
        table(board).drop(unknown).insert_column(0, pl.lit(board.info.dataset).alias("dataset")) for board in boards
    ]
    return pl.concat(rows, how="diagonal")


def _show_reference(tables: Iterable[Table]) -> None:
    console = screen()
    for table in tables:
        console.print(Text(f"{table.name}, model selection: {table.rule.title}", style="bold"))
        shown = new_table()
        shown.add_column("Algorithm")
        for column in table.columns:
            shown.add_column(Text(column), justify="right")
        for algorithm, row in table.rows.items():
            shown.add_row(Text(algorithm), *map(_text, row))
        console.print(shown)
        console.print()


def _text(cell: object) -> str:
    return "X" if cell is None else str(cell)


def _show_boards(boards: Iterable[Leaderboard]) -> None:
    from dgbench.board.render import terminal, text

    console = screen()
    for board in boards:
        console.print(Text(board.info.title, style="bold"))
        terminal.show_tables(board, console)
    _say([text.RANKING, text.ADJUSTED, text.ACCURACY, text.GAP, f"* {text.CEILING}"], "dim")


def _say(lines: Iterable[str], style: str) -> None:
    console = screen()
    for line in lines:
        console.print(Text(line, style=style))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON has it, which knows no NaN."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
