"""``dgbench reproduce``: one finished run, done again."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from dgbench.cli.output import Json, Quiet, print_json, screen
from dgbench.cli.work import Device, StorePath
from dgbench.core.visible import visible

if TYPE_CHECKING:
    from dgbench.api.reproducing import Reproduced


def add(app: typer.Typer) -> None:
    """Add the verb that does a run again."""
    app.command()(reproduce)


def reproduce(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run's id, or how it begins")],
    board: Annotated[
        str | None,
        typer.Option(
            "--board", help="name or board.toml of the board that it is of, if that does not come with dgbench"
        ),
    ] = None,
    store: StorePath = None,
    predictions: Annotated[
        Path | None, typer.Option(help="the folder of a submission that lies without its predictions, with them")
    ] = None,
    device: Annotated[Device | None, typer.Option(help="by default the kind that it was done on")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="say what it takes, and do nothing")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Do a finished run again, and compare its predictions.

    The run lies in the store, or in a submission beside its board. It is trained and predicted again in a folder of its
    own. Exits with 0 if every prediction is the same, or no class differs and no probability by more than 0.001; with 1
    if not; with 2 if it cannot be done.
    """
    from dgbench.api import reproducing
    from dgbench.runs.progress import Silent, for_people

    found = reproducing.reproduce(
        run,
        board=board,
        store=store,
        predictions=predictions,
        device=None if device is None else device.value,
        dry_run=dry_run,
        progress=Silent() if quiet else for_people(),
    )
    if as_json:
        print_json({**dataclasses.asdict(found), "again": _again(found, board, store, device), "agrees": found.agrees})
    elif not quiet:
        _show(found, _again(found, board, store, device), screen())
    if not dry_run and not found.agrees:
        raise typer.Exit(1)


def _again(found: Reproduced, board: str | None, store: Path | str | None, device: Device | None) -> str:
    """The command that does the run, and nothing else."""
    options = [("--board", board), ("--store", store), ("--device", device)]
    given = [word for option, value in options if value is not None for word in (option, str(value))]
    return shlex.join(["dgbench", "reproduce", found.run, *given])


def _show(found: Reproduced, again: str, console: Console) -> None:
    lines = [f"run {found.run}, of training {found.training}", *found.places]
    made = found.command or "no rules at hand make it; --board names a board.toml"
    lines += [f"with its whole algorithm: {made}", f"alone: {again}"]
    lines.append("seeds: drawn from dataset, source domains and trial by name; there is none to set")
    for one in found.differences:
        lines.append(f"{one.what}: {one.then} then, {one.now or 'none'} now")
    if not found.differences:
        lines.append("environment: as far as it was noted, the same")
    if found.unnoted:
        lines.append(f"not noted then: {', '.join(found.unnoted)}")
    if found.dirty:
        lines.append("files of dgbench were changed since its revision (-dirty): nobody can tell how")
    for line in lines:
        console.print(Text(visible(line)), soft_wrap=True)  # a command is pasted as one line
    if found.outcome is not None:
        console.print(Text(visible(str(found.outcome)), style="bold"), soft_wrap=True)
