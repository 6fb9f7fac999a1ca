"""``dgbench select``: which models were chosen, why, and what other criteria would have chosen."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from dgbench.api import boards
from dgbench.cli.output import Json, print_json, screen
from dgbench.cli.present import submitted_to
from dgbench.cli.work import Backbone, BoardName, By, Draws, On, StorePath, Trials


def add(app: typer.Typer) -> None:
    """Add the verb that says what was chosen."""
    app.command()(select)


def select(
    board: BoardName,
    algorithm: Annotated[
        list[str] | None,
        typer.Option("--algorithm", "-a", help="only these: recipes such as 'sam + t3a', submissions as sam@1"),
    ] = None,
    target: Annotated[list[str] | None, typer.Option(help="only these; repeat for several")] = None,
    trial: Annotated[list[int] | None, typer.Option(min=0, help="only these; repeat for several")] = None,
    dataset: On = None,
    trials: Trials = None,
    draws: Draws = None,
    backbone: Backbone = None,
    criterion: By = None,
    store: StorePath = None,
    as_json: Json = False,
) -> None:
    """Show which models a criterion chooses.

    For each algorithm, target and trial: the draw and the checkpoint, the score, by how much the next best is behind
    among how many, and what the other criteria would have chosen. What each reached on the target stands apart, since
    nobody knows it when choosing. Where one model is left, the command that exports it is printed, too.
    """
    from dgbench.board.render import selected, terminal

    rules = boards.rules(board, datasets=dataset, trials=trials, draws=draws, backbone=backbone)
    chosen = boards.select(
        submitted_to(board, rules), criterion, algorithms=algorithm, targets=target, trials=trial, store=store
    )
    export = None
    if chosen.exportable:
        only = chosen.cells.row(0, named=True)
        given = {"dataset": dataset, "trials": trials, "draws": draws, "backbone": backbone, "criterion": criterion}
        options = [("target", only["target"]), ("trial", only["trial"]), *given.items(), ("store", store)]
        export = _command(board, algorithm[0] if algorithm else only["algorithm"], options)
    if as_json:
        print_json(selected.as_data(chosen) | {"export": export})
        return
    terminal.show_selection(chosen, screen())
    if export:
        print(f"\n{export}")


def _command(board: str, algorithm: str, options: list[tuple[str, object]]) -> str:
    """What exports a model, with the options that were given."""
    words = ["dgbench", "export", board, algorithm]
    for name, given in options:
        for value in given if isinstance(given, list) else [given]:
            words += [] if value is None else [f"--{name}", str(value)]
    return shlex.join([*words, "--out", "model"])
