"""``dgbench statistics``: what there is to say of a board, or of a published table, beside the ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dgbench.api import boards, measuring
from dgbench.cli.output import Json, Quiet, print_json, screen
from dgbench.cli.present import submitted_to
from dgbench.cli.work import Backbone, By, Draws, On, Only, StorePath, Trials
from dgbench.core.errors import DGBenchError


def add(app: typer.Typer) -> None:
    """Add the verb that has the statistics beside the ranks."""
    app.command()(statistics)


def statistics(
    board: Annotated[
        str | None, typer.Argument(metavar="[BOARD]", help="a board's name, or the path of a board.toml")
    ] = None,
    published: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="in place of a board, the tables of a publication, as in 'domainbed'"),
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="what the others are held against, in place of ERM: --control 'sam + t3a'")
    ] = None,
    dataset: On = None,
    algorithm: Only = None,
    trials: Trials = None,
    draws: Draws = None,
    backbone: Backbone = None,
    criterion: By = None,
    store: StorePath = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="write a page, such as statistics.html")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the statistics beside the ranks.

    Tests by ranks over datasets or targets (Friedman, Nemenyi, Wilcoxon with Holm) with their diagram, what accuracies
    vary by, and accuracy on the line with effective robustness. Nothing is run, and nothing of it ranks.
    """
    from dgbench.board.render.report import page, terminal

    if (board is None) == (published is None):
        raise DGBenchError("name a board, or a publication: dgbench statistics quick, or --published domainbed")
    if published is not None:
        from dgbench.literature import statistics as literature

        told = measuring.published_statistics(published, control=control)
        report, data = literature.report(told), literature.as_data(told)
    else:
        from dgbench.board.render.statistics.data import as_data
        from dgbench.board.render.statistics.sections import report as report_of

        assert board is not None
        rules = boards.rules(
            board, datasets=dataset, algorithms=algorithm, trials=trials, draws=draws, backbone=backbone
        )
        asked = submitted_to(board, rules)
        found = measuring.statistics(asked, criterion=criterion, control=control, store=store)
        report, data = report_of(found), as_data(found)
    if out is not None:
        page.write(report, out)
    if as_json:
        print_json(data | {"page": out and out.resolve()})
    elif not quiet:
        terminal.show(report, screen())
        if out is not None:
            print(f"\nhtml  {out.resolve()}")
