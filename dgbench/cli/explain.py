"""``dgbench explain``: how a number of a board was computed."""

from __future__ import annotations

from typing import Annotated

import typer

from dgbench.api import boards, measuring
from dgbench.cli.output import Json, print_json, screen
from dgbench.cli.present import submitted_to
from dgbench.cli.work import Backbone, BoardName, By, Draws, On, StorePath, Trials


def add(app: typer.Typer) -> None:
    """Add the verb that explains."""
    app.command()(explain)


def explain(
    board: BoardName,
    algorithm: Annotated[str, typer.Argument(help="a recipe such as 'sam + t3a', or a submission as sam@1")],
    target: Annotated[list[str] | None, typer.Option(help="only this one; repeat for several")] = None,
    trial: Annotated[list[int] | None, typer.Option(min=0, help="only this one; repeat for several")] = None,
    dataset: On = None,
    trials: Trials = None,
    draws: Draws = None,
    backbone: Backbone = None,
    criterion: By = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Explain a number of a board.

    Every step from stored predictions, which are counted again, to the accuracy of an algorithm, its interval and its
    rank. With one target and one trial every candidate and every stream of images is shown. The exit code is 1 where
    predictions do not give what was recorded.
    """
    from dgbench.board.render.explained import as_data, report
    from dgbench.board.render.report import terminal

    rules = boards.rules(board, datasets=dataset, trials=trials, draws=draws, backbone=backbone)
    found = measuring.explain(
        submitted_to(board, rules), algorithm, targets=target, trials=trial, criterion=criterion, store=store
    )
    if as_json:
        print_json(as_data(found))
    else:
        terminal.show(report(found), screen())
    if found.differs:
        raise typer.Exit(1)
