"""``dgbench compare``: does one algorithm beat another?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dgbench.api import boards
from dgbench.cli.output import Json, Quiet, print_json, screen
from dgbench.cli.work import Backbone, By, Draws, On, StorePath, Trials


def add(app: typer.Typer) -> None:
    """Add the verb that compares."""
    app.command()(compare)


def compare(
    algorithms: Annotated[
        list[str],
        typer.Argument(metavar="FIRST SECOND [MORE]...", help="recipes such as 'sam + adanpc', submissions as sam@1"),
    ],
    board: Annotated[str, typer.Option("--board", help="a board's name, or the path of a board.toml")] = "quick",
    dataset: On = None,
    trials: Trials = None,
    draws: Draws = None,
    backbone: Backbone = None,
    criterion: By = None,
    store: StorePath = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="write a page, such as compared.html")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare algorithms with the first of them.

    Paired differences on every target with their intervals, cells won and lost, image by image who was right, and what
    they cost. Nothing is run: where runs are missing, the message says which, and the command that does them.
    """
    from dgbench.api import comparing
    from dgbench.board.pictures import class_names
    from dgbench.board.render.compared import data, terminal

    rules = boards.rules(board, datasets=dataset, trials=trials, draws=draws, backbone=backbone)
    own = rules == boards.rules(board)  # what is submitted keeps to a board as it is
    compared = comparing.compare(board if own else rules, algorithms, criterion=criterion, store=store, file=board)
    if out is not None:
        compared.write(out)
    if as_json:
        print_json(data.as_data(compared) | {"page": out and out.resolve()})
    elif not quiet:
        terminal.show(compared, screen(), {name: class_names(name) for name in compared.manifests})
        if out is not None:
            print(f"html  {out.resolve()}")
