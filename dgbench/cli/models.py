"""``dgbench export``: models that leave a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dgbench import api
from dgbench.cli.output import Json, Quiet, print_json
from dgbench.cli.work import BoardName, By, Device, DeviceOption, Draws, On, StorePath, Trials

Out = Annotated[Path, typer.Option("--out", "-o", help="the folder that the model becomes")]


def models(app: typer.Typer) -> None:
    """Add the verbs that make and use models."""
    app.command()(export)


def export(
    board: BoardName,
    algorithm: Annotated[str, typer.Argument(help="a recipe whose runs are finished: erm, 'sam + t3a'")],
    out: Out,
    target: Annotated[
        str | None, typer.Option(help="the domain that was left out; the board's first by default")
    ] = None,
    trial: Annotated[int, typer.Option(min=0, help="the repetition")] = 0,
    dataset: On = None,
    trials: Trials = None,
    draws: Draws = None,
    criterion: By = None,
    store: StorePath = None,
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a model that was chosen on a board as a folder.

    It holds the backbone under the names of timm or open_clip, its heads, and a card: preprocessing, classes, how and
    on what the model was chosen, its scores. 'dgbench predict' and dgbench.load() read it.
    """
    rules = api.rules(board, datasets=dataset, trials=trials, draws=draws)
    card = api.export(
        rules, algorithm, out, target=target, trial=trial, criterion=criterion, store=store, device=device.value
    )
    if as_json:
        print_json(card.model_dump(mode="json", by_alias=True))
    elif not quiet:
        chosen, reached = card.selection, card.scores.target
        print(
            f"{card.algorithm.title}, {chosen.target} left out, trial {chosen.trial}, draw {chosen.draw}, "
            f"step {chosen.step}, chosen by {chosen.criterion}"
        )
        if reached is not None and reached.low is not None and reached.high is not None:
            print(
                f"on {chosen.target}: {100 * reached.value:.1f} per cent correct ({100 * reached.low:.1f} to "
                f"{100 * reached.high:.1f}; {reached.n:,} images)"
            )
        print(out.resolve())
