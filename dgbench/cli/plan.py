"""``dgbench plan``: what a board would take."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from dgbench.api import boards
from dgbench.cli.dividing import Workers
from dgbench.cli.output import Json, new_table, print_json
from dgbench.cli.room import show_room
from dgbench.cli.work import (
    Backbone,
    BoardName,
    By,
    DevicesOption,
    Draws,
    KeepOption,
    Looks,
    On,
    Only,
    StorePath,
    Trials,
    keep_rule,
)
from dgbench.core.amounts import duration
from dgbench.core.cards import BoardCard, Keep
from dgbench.runs.store import Store

if TYPE_CHECKING:
    from dgbench.runs.foreseen import Foreseen

DAY = 86400


@dataclass(frozen=True)
class Left:
    """What is left of a plan.

    Attributes:
        runs, trainings: How many are not finished; of runs, of the board's own.
        again: As :class:`dgbench.runs.todo.Todo` has it.
        seconds, unknown: As :class:`dgbench.runs.estimate.Work` has them.
    """

    runs: int
    trainings: int
    again: Mapping[str, tuple[str, ...]]
    seconds: float
    unknown: tuple[str, ...]


NOTHING_LEFT = Left(0, 0, MappingProxyType({}), 0.0, ())


def add(app: typer.Typer) -> None:
    """Add the verb that plans."""
    app.command()(plan)


def plan(
    board: BoardName,
    dataset: On = None,
    algorithm: Only = None,
    trials: Trials = None,
    looks: Looks = None,
    draws: Draws = None,
    backbone: Backbone = None,
    criterion: By = None,
    keep: KeepOption = None,
    store: StorePath = None,
    device: DevicesOption = "auto",
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Show what a board would take.

    Which trainings serve which runs, what is finished, and about how long the rest takes.
    """
    from dgbench.runs.device import at_once, default_workers, kind_of, resolve_devices
    from dgbench.runs.emulated import emulated
    from dgbench.runs.foreseen import finished_plan
    from dgbench.runs.roll import Roll
    from dgbench.selection.criteria import ranking

    rules = boards.rules(
        board,
        datasets=dataset,
        algorithms=algorithm,
        trials=trials,
        looks=looks,
        draws=draws,
        criterion=criterion,
        backbone=backbone,
        keep=keep_rule(keep),
    )
    ranking(rules.criterion, rules.name)
    there = Store.at(store)
    devices = resolve_devices(device)
    where, at_work = kind_of(devices[0]), at_once(devices, workers or default_workers(devices))
    stay = there.keep(rules, lambda: Roll.at(there, rules).rest)
    done = finished_plan(there, rules, stay, at_work)
    found, left = (done, NOTHING_LEFT) if done else _planned(rules, store, stay, where, at_work)
    counts = found.counts | {
        "runs_finished": found.counts["runs"] - left.runs,
        "trainings_finished": found.counts["trainings"] - left.trainings,
        "trainings_again": len(left.again),
    }
    room = found.room
    if as_json:
        print_json(
            {
                "board": rules.name,
                **counts,
                "sharing": [dataclasses.asdict(group) for group in found.sharing],
                "again": dict(left.again),
                "without_effect": [dataclasses.asdict(one) for one in found.idle],
                "seconds": left.seconds,
                "keep": stay,
                "bytes": {key: value for key, value in dataclasses.asdict(room).items() if key != "unknown"},
                "unknown_size": left.unknown,
                "absent": found.absent,
            }
        )
        return
    console = Console(highlight=False)
    table = new_table()
    for heading in ("training shared by", "trainings", "runs"):
        table.add_column(heading, justify="left" if heading.startswith("training ") else "right")
    for group in found.sharing:
        table.add_row(escape(", ".join(group.algorithms)), str(group.trainings), str(group.runs))
    console.print(table)
    for one in found.idle:
        console.print(f"\n{one}", style="yellow", markup=False)
    console.print(
        f"\n{counts['runs']} runs ({counts['runs_finished']} finished) are served by "
        f"{counts['trainings_used']} trainings; one for each algorithm would be "
        f"{counts['trainings_alone']}.\nWith what they start from there are {counts['trainings']} "
        f"trainings in all ({counts['trainings_finished']} finished)."
    )
    if counts["trainings_judging"]:
        console.print(
            f"{counts['trainings_judging']} of them, with {counts['runs_judging']} runs more, only judge others for "
            f"'{rules.criterion}', and are never ranked."
        )
    elif counts["runs_judging"]:
        console.print(
            f"{counts['runs_judging']} runs more of these trainings only judge for '{rules.criterion}', and are never "
            "ranked."
        )
    if left.again:
        console.print(_again(left.again), markup=False)
    console.print(
        f"about {_time(left.seconds)} on this machine ({where}) for what is not finished, within a factor of two"
    )
    if left.seconds and (slow := emulated(rules, where)):
        console.print(slow, style="yellow", markup=False)
    show_room(console, room, stay, there)
    if left.unknown:
        console.print(
            f"evaluations on {', '.join(left.unknown)} are not counted, nor is what is kept of them: nobody knows how "
            "large it is"
        )
    for name in found.absent:
        console.print(
            f"{name} is not on this machine, so nothing of it can run; 'dgbench show {name}' says how to get it"
        )


def _planned(rules: BoardCard, place: str | None, keep: Keep, device: str, workers: int) -> tuple[Foreseen, Left]:
    """What a plan comes to, and what of it is left; made now, and noted for next time."""
    from dgbench.runs.estimate import estimate
    from dgbench.runs.foreseen import Foreseen, note_plan
    from dgbench.runs.index import asked
    from dgbench.runs.seen_pieces import SeenPieces
    from dgbench.runs.todo import todo

    plan, store = boards.plan(rules, store=place), Store.at(place)
    seen = SeenPieces.of(store, plan)
    missing = todo(plan, seen, asked=asked(plan, store))
    took = estimate(plan, missing, store, device, workers)
    found = Foreseen.of(plan, keep, workers)
    note_plan(store, plan, found, keep, workers)
    judging = plan.only_judging()[1]
    runs = sum(run.id not in judging for runs in missing.runs.values() for run in runs)
    return found, Left(runs, len(missing.first), missing.again, took.seconds, took.unknown)


def _again(trainings: Mapping[str, tuple[str, ...]]) -> str:
    """What is to be done a second time, and for whom."""
    who = list(dict.fromkeys(name for names in trainings.values() for name in names))
    count = "1 training" if len(trainings) == 1 else f"{len(trainings)} trainings"
    return (
        f"{count} must be done again: weights that {' and '.join(filter(None, (', '.join(who[:-1]), who[-1])))} "
        f"need{'s' if len(who) == 1 else ''} were not kept."
    )


def _time(seconds: float) -> str:
    """A duration; a long one also in the unit that machines are shared in."""
    return f"{duration(seconds)} ({seconds / DAY:,.0f} device-days)" if seconds > 2 * DAY else duration(seconds)
