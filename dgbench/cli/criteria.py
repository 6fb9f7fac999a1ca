"""``dgbench criteria``: which criterion chooses well?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dgbench.api import boards
from dgbench.cli.output import Json, Quiet, print_json, screen
from dgbench.cli.present import submitted_to
from dgbench.cli.work import Backbone, BoardName, Draws, On, Only, StorePath, Trials
from dgbench.core.judges import JUDGES, asked_for
from dgbench.runs.store import Store


def add(app: typer.Typer) -> None:
    """Add the verb that judges criteria."""
    app.command()(criteria)


def criteria(
    board: BoardName,
    dataset: On = None,
    algorithm: Only = None,
    trials: Trials = None,
    draws: Draws = None,
    criterion: Annotated[
        str | None,
        typer.Option("--criterion", help=f"judge also one that has judges of its own: {', '.join(JUDGES)}"),
    ] = None,
    backbone: Backbone = None,
    store: StorePath = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="a folder for the page and the tables; by default in the store")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank the criteria of a board by what they choose.

    How good are the models that each would choose: of the draws of hyperparameters, of the methods, of both? By how
    much is that better than source validation, and what does a longer search bring? Every number has an interval, and
    ranks are corrected for comparing every pair. A page with plots, and tables, are written. Nothing is run.
    """
    from dgbench.api import judging
    from dgbench.board.render.criteria import data, terminal

    rules = boards.rules(
        board,
        datasets=dataset,
        algorithms=algorithm,
        trials=trials,
        draws=draws,
        criterion=asked_for(criterion),
        backbone=backbone,
    )
    made = judging.criteria(submitted_to(board, rules), store=store)
    paths = made.write(out or Store.at(store).index(rules).with_suffix("") / "criteria")
    if as_json:
        print_json(data.as_data(made) | {"files": [path.resolve() for path in paths]})
    elif not quiet:
        terminal.show(made, screen())
        print()
        for path in paths:
            print(f"{path.suffix.removeprefix('.'):<5} {path.resolve()}")
