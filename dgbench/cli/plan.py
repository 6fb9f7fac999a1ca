"""``dgbench plan``: what a board would take."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import typer
from rich.console import Console
from rich.markup import escape

from dgbench.api import boards
from dgbench.cli.output import Json, new_table, print_json
from dgbench.cli.room import show_room
from dgbench.cli.work import (
    Backbone,
    BoardName,
    By,
    Device,
    DeviceOption,
    Draws,
    KeepOption,
    Looks,
    On,
    Only,
    StorePath,
    Trials,
    Workers,
    keep_rule,
)
from dgbench.core.amounts import duration
from dgbench.runs.store import Store

DAY = 86400


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
    device: DeviceOption = Device.auto,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Show what a board would take.

    Which trainings serve which runs, what is finished, and about how long the rest takes.
    """
    from dgbench.runs.device import default_workers, resolve_device
    from dgbench.runs.emulated import emulated
    from dgbench.runs.estimate import estimate
    from dgbench.runs.index import asked
    from dgbench.runs.overlap import idle, sharing
    from dgbench.runs.sizes import sizes
    from dgbench.runs.todo import todo
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
    made = boards.plan(rules, store=store)
    kept = Store.at(store)
    missing = todo(made, kept, asked=asked(made, kept))
    where = resolve_device(device.value)
    at_work = workers or default_workers(where)
    left = estimate(made, missing, kept, where, at_work)
    room = sizes(made, kept.keep(rules), at_work)
    judging = made.only_judging()
    own = made.runs.keys() - judging[1]
    counts = {
        "runs": len(own),
        "runs_finished": len(own) - sum(run.id in own for runs in missing.runs.values() for run in runs),
        "trainings": len(made.trainings),
        "trainings_finished": len(made.trainings) - len(missing.first),
        "trainings_again": len(missing.again),
        "trainings_used": len({entry.training for entry in made.entries}),
        "trainings_alone": len({(entry.algorithm, entry.training) for entry in made.entries}),
        "trainings_judging": len(judging[0]),
        "runs_judging": len(judging[1]),
    }
    if as_json:
        print_json(
            {
                "board": rules.name,
                **counts,
                "sharing": [dataclasses.asdict(group) for group in sharing(made)],
                "again": missing.again,
                "without_effect": [dataclasses.asdict(one) for one in idle(made)],
                "seconds": left.seconds,
                "keep": kept.keep(rules),
                "bytes": {key: value for key, value in dataclasses.asdict(room).items() if key != "unknown"},
                "unknown_size": left.unknown,
                "absent": made.absent,
            }
        )
        return
    console = Console(highlight=False)
    table = new_table()
    for heading in ("training shared by", "trainings", "runs"):
        table.add_column(heading, justify="left" if heading.startswith("training ") else "right")
    for group in sharing(made):
        table.add_row(escape(", ".join(group.algorithms)), str(group.trainings), str(group.runs))
    console.print(table)
    for one in idle(made):
        console.print(f"\n{one}", style="yellow", markup=False)
    console.print(
        f"\n{counts['runs']} runs ({counts['runs_finished']} finished) are served by "
        f"{counts['trainings_used']} trainings; one for each algorithm would be "
        f"{counts['trainings_alone']}.\nWith what they start from there are {counts['trainings']} "
        f"trainings in all ({counts['trainings_finished']} finished)."
    )
    if judging[0]:
        console.print(
            f"{counts['trainings_judging']} of them, with {counts['runs_judging']} runs more, only judge others for "
            f"'{rules.criterion}', and are never ranked."
        )
    elif judging[1]:
        console.print(
            f"{counts['runs_judging']} runs more of these trainings only judge for '{rules.criterion}', and are never "
            "ranked."
        )
    if missing.again:
        console.print(_again(missing.again), markup=False)
    console.print(
        f"about {_time(left.seconds)} on this machine ({where}) for what is not finished, within a factor of two"
    )
    if left.seconds and (slow := emulated(rules, where)):
        console.print(slow, style="yellow", markup=False)
    show_room(console, room, kept.keep(rules), kept)
    if left.unknown:
        console.print(
            f"evaluations on {', '.join(left.unknown)} are not counted, nor is what is kept of them: nobody knows how "
            "large it is"
        )
    for name in made.absent:
        console.print(
            f"{name} is not on this machine, so nothing of it can run; 'dgbench show {name}' says how to get it"
        )


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
