"""``dgbench plan``, ``run`` and ``leaderboard``: from the rules of a board to its table."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dgbench import api
from dgbench.core.cards import BoardCard
from dgbench.core.paths import store_root
from dgbench.runs.progress import for_people
from dgbench.runs.store import Store


class Device(StrEnum):
    """Where networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


BoardName = Annotated[str, typer.Argument(metavar="BOARD", help="a board's name, or the path of a board.toml")]
On = Annotated[
    list[str] | None,
    typer.Option("--dataset", "-d", help="in place of the board's own; repeat for several"),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--algorithm", "-a", help="in place of the board's own; repeat for several: -a erm -a 'sam + t3a'"),
]
Trials = Annotated[int | None, typer.Option(min=1, help="in place of the board's own")]
Draws = Annotated[int | None, typer.Option(min=1, help="hyperparameter draws, in place of the board's own")]
By = Annotated[str | None, typer.Option("--criterion", help="what selects models, in place of the board's own")]
StorePath = Annotated[
    Path | None, typer.Option("--store", help="where finished work is kept  [default: $DGBENCH_STORE or ./store]")
]
DeviceOption = Annotated[Device, typer.Option(help="auto takes an accelerator where there is one")]
Workers = Annotated[int | None, typer.Option(min=1, help="processes; one for each CPU core by default")]


def work(app: typer.Typer) -> None:
    """Add the verbs that plan, run and rank."""
    app.command()(plan)
    app.command()(run)
    app.command()(leaderboard)


def plan(
    board: BoardName,
    dataset: On = None,
    algorithm: Only = None,
    trials: Trials = None,
    draws: Draws = None,
    store: StorePath = None,
    device: DeviceOption = Device.auto,
    workers: Workers = None,
) -> None:
    """Show which trainings serve which runs, what is finished, and about how long the rest takes."""
    import torch

    from dgbench.board.render.text import duration
    from dgbench.runs.estimate import estimate
    from dgbench.runs.launch import resolve_device

    rules = api.rules(board, datasets=dataset, algorithms=algorithm, trials=trials, draws=draws)
    made = api.plan(rules)
    kept = Store(store or store_root())
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("training shared by", "trainings", "runs"):
        table.add_column(heading, justify="left" if heading.startswith("training ") else "right")
    for group in made.sharing():
        table.add_row(", ".join(group.algorithms), str(group.trainings), str(group.runs))
    console.print(table)
    for idle in made.idle():
        console.print(f"\n{idle}", style="yellow", markup=False)
    trained = sum(kept.finished("training", id_) for id_ in made.trainings)
    ran = sum(kept.finished("run", id_) for id_ in made.runs)
    used = len({entry.training for entry in made.entries})
    alone = len({(entry.algorithm, entry.training) for entry in made.entries})
    console.print(
        f"\n{len(made.runs)} runs ({ran} finished) are served by {used} trainings; one for each algorithm would be "
        f"{alone}.\nWith what they start from there are {len(made.trainings)} trainings in all ({trained} finished)."
    )
    where = torch.device(resolve_device(device.value))
    left = estimate(made, kept, where, workers)
    console.print(
        f"about {duration(left.seconds)} on this machine ({where.type}) for what is not finished, within a factor of "
        "two"
    )
    if left.unknown:
        console.print(f"evaluations on {', '.join(left.unknown)} are not counted: nobody knows how large it is")
    for name in made.absent:
        console.print(
            f"{name} is not on this machine, so nothing of it can run; 'dgbench show {name}' says how to get it"
        )


def run(
    board: BoardName,
    dataset: On = None,
    algorithm: Only = None,
    trials: Trials = None,
    draws: Draws = None,
    criterion: By = None,
    store: StorePath = None,
    device: DeviceOption = Device.auto,
    workers: Workers = None,
) -> None:
    """Do what is missing of a board, then print its leaderboard and write it as a page."""
    from dgbench.board.render.text import duration
    from dgbench.selection.criteria import ranking

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    rules = api.rules(board, datasets=dataset, algorithms=algorithm, trials=trials, draws=draws)
    ranking(criterion or rules.criterion, rules.name)  # before hours of work, not after
    print(f"{rules.title}: planning", file=sys.stderr, flush=True)
    try:
        summary = api.run(rules, store=store, device=device.value, workers=workers, progress=for_people())
    except KeyboardInterrupt:
        print("stopped; what is finished is kept, and the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None
    did = (
        f"{summary.trainings} trainings and {summary.runs} runs"
        if summary.trainings or summary.runs
        else "nothing was left to do"
    )
    print(f"{did} ({duration(summary.seconds)})", file=sys.stderr, flush=True)
    for training, error in summary.failed.items():
        print(f"failed: training {training}: {error}", file=sys.stderr)
    _present(rules, criterion, store)
    if summary.failed:
        raise typer.Exit(1)


def leaderboard(
    board: BoardName,
    dataset: On = None,
    algorithm: Only = None,
    trials: Trials = None,
    draws: Draws = None,
    criterion: By = None,
    store: StorePath = None,
) -> None:
    """Print a board's leaderboard from what the store holds, and write it as a page, Markdown and CSV."""
    _present(api.rules(board, datasets=dataset, algorithms=algorithm, trials=trials, draws=draws), criterion, store)


def _present(rules: BoardCard, criterion: str | None, store: Path | None) -> None:
    from dgbench.board.render import terminal
    from dgbench.board.render.files import write

    made = api.leaderboard(rules, criterion=criterion, store=store)
    console = Console()
    # A file or a pipe has no width of its own.
    terminal.show(made, console if console.is_terminal else Console(width=120))
    paths = write(made, Store(store or store_root()).index(rules).with_suffix("") / made.criterion.name)
    print()
    for path in paths:
        print(f"{path.suffix.removeprefix('.'):<5} {path.resolve()}")
