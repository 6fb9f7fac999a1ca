"""``dgbench power``: how many trials does a comparison need?"""

from __future__ import annotations

from typing import Annotated

import typer

from dgbench.api import boards
from dgbench.cli.output import Json, print_json, screen
from dgbench.cli.present import submitted_to
from dgbench.cli.work import Backbone, BoardName, By, Draws, Looks, On, StorePath, Trials


def add(app: typer.Typer) -> None:
    """Add the verb that says how many trials it takes."""
    app.command()(power)


def power(
    board: BoardName,
    algorithm: Annotated[
        list[str] | None,
        typer.Option("--algorithm", "-a", help="every two of these; repeat: -a erm -a 'sam + t3a'"),
    ] = None,
    dataset: On = None,
    trials: Trials = None,
    looks: Looks = None,
    draws: Draws = None,
    backbone: Backbone = None,
    criterion: By = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Show how many trials comparisons need.

    From the variances that were measured: how many trials in all would separate two algorithms if the true difference
    were what was measured, or at an end of its interval, and the smallest difference that is found today. By default
    every algorithm against the reference, and those that may be the best against the one with the highest mean.
    """
    from dgbench.api import comparing
    from dgbench.board.render import power as render
    from dgbench.board.render import terminal
    from dgbench.board.render.figures import Figures
    from dgbench.core.dataset_card import dataset_card, headlines
    from dgbench.selection.measures import headline

    rules = boards.rules(board, datasets=dataset, trials=trials, looks=looks, draws=draws, backbone=backbone)
    found = comparing.power(submitted_to(board, rules), algorithm, criterion=criterion, store=store)
    value = dataset_card(rules.dataset[0]).value
    show = Figures(headline(headlines(rules)), value.unit if value else "")
    if as_json:
        print_json({"board": rules.name, **show.named, "comparisons": render.as_data(found, show)})
    else:
        terminal.show_power(rules.title, found, screen(), show)
