"""``dgbench verify``: doing results again. (``dgbench store verify`` reads files again, and does nothing.)"""

from __future__ import annotations

import dataclasses
import secrets
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dgbench.api import submitting
from dgbench.cli.dividing import Workers
from dgbench.cli.output import Json, Quiet, print_json
from dgbench.cli.submit import PredictionsIn
from dgbench.cli.work import Device, DeviceOption, StorePath

if TYPE_CHECKING:
    from dgbench.runs.again import Again


def add(app: typer.Typer) -> None:
    """Add the verb that does a submission again."""
    app.command()(verify)


def verify(
    what: Annotated[str, typer.Argument(metavar="SUBMISSION|BOARD", help="the folder of a submission, or a board")],
    trainings: Annotated[int, typer.Option(min=1, help="how many trainings, drawn at random")] = 1,
    everything: Annotated[bool, typer.Option("--all", help="every training")] = False,
    seed: Annotated[int | None, typer.Option(help="of the draw; a new one each time by default")] = None,
    board: Annotated[
        str | None, typer.Option("--board", help="name or board.toml of a submission, if not the board that it names")
    ] = None,
    predictions: PredictionsIn = None,
    store: StorePath = None,
    device: DeviceOption = Device.auto,
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train again, and compare predictions bit for bit.

    What is trained is what a submission says, or what the store holds of a board; drawn at random, in a store of its
    own. A submission that lies beside its board gets the level that it reaches. Exits with 0 if all agree, 1 if not, 2
    if nothing can be done again.
    """
    from dgbench.runs.progress import Silent, for_people

    drawn = secrets.randbelow(1 << 32) if seed is None else seed
    if not (quiet or everything):
        print(f"{trainings} training{'s' if trainings > 1 else ''}, drawn with --seed {drawn}", file=sys.stderr)
    found = submitting.verify(
        what,
        trainings=None if everything else trainings,
        seed=drawn,
        board=board,
        store=store,
        predictions=predictions,
        device=device.value,
        workers=workers,
        progress=Silent() if quiet else for_people(),
    )
    if as_json:
        print_json({"seed": drawn, "agrees": _agree(found), "runs": [dataclasses.asdict(one) for one in found]})
    elif not quiet:
        for one in found:
            print(one)
    if not _agree(found):
        raise typer.Exit(1)


def _agree(found: list[Again]) -> bool:
    return all(one.agrees for one in found)
