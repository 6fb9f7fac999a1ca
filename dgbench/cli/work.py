"""``dgbench run`` and ``leaderboard``: from the rules of a board to its table."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from dgbench.api import boards
from dgbench.cli.dividing import Address, Launcher, LauncherName, LauncherOptions, MicroBatch, Processes, Workers
from dgbench.cli.output import Json, Quiet
from dgbench.cli.present import present, present_ranking, submitted_to
from dgbench.core.amounts import duration
from dgbench.core.cards import Keep
from dgbench.core.errors import DGBenchError, StoreError
from dgbench.core.judges import asked_for
from dgbench.core.paths import is_address, store_place
from dgbench.runs.progress import Silent, for_people
from dgbench.runs.store import Store

if TYPE_CHECKING:
    from dgbench.board.until import Round


class Device(StrEnum):
    """Where networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Form(StrEnum):
    """In which other forms a leaderboard is written."""

    eee = "eee"
    hub = "hub"


class Until(StrEnum):
    """When rounds of trials end."""

    separated = "separated"


class KeepRule(StrEnum):
    """Which weights stay."""

    all = "all"
    shown = "shown"
    chosen = "chosen"
    none = "none"


BoardName = Annotated[str, typer.Argument(metavar="BOARD", help="a board's name, or the path of a board.toml")]
On = Annotated[
    list[str] | None,
    typer.Option("--dataset", "-d", help="in place of the board's own; repeat for several"),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--algorithm", "-a", help="in place of the board's own; repeat for several: -a erm -a 'sam + t3a'"),
]
Target = Annotated[str | None, typer.Option(help="the domain that was left out; the board's first by default")]
Trial = Annotated[int, typer.Option(min=0, help="the repetition")]
Trials = Annotated[int | None, typer.Option(min=1, help="in place of the board's own")]
Looks = Annotated[
    list[int] | None,
    typer.Option(
        "--looks",
        min=2,
        help="where trials may grow, after how many the board is looked at again; repeat for several",
    ),
]
Draws = Annotated[int | None, typer.Option(min=1, help="hyperparameter draws, in place of the board's own")]
KeepOption = Annotated[
    KeepRule | None,
    typer.Option(
        "--keep",
        help="which weights stay when their runs are done: those that the board's criterion chose, also those that the "
        "other criteria shown would have chosen, all or none; by default what was said last, else chosen",
    ),
]
By = Annotated[str | None, typer.Option("--criterion", help="what selects models, in place of the board's own")]
Metric = Annotated[
    str | None,
    typer.Option(
        help="rank by another number than accuracy: macro, macro_f1, worst_class, worst_group, adjusted, familiar, "
        "unfamiliar, auc, nll, ece; of values worst_group_rmse, pearson, worst_group_pearson"
    ),
]
Backbone = Annotated[
    str | None,
    typer.Option(
        help="in place of the board's own: --backbone 'timm:resnet50(weights=my.pth, pretrained_on=ImageNet-1k)'"
    ),
]
StorePath = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="where finished work is kept: a folder, or what machines share, as in s3://bucket/name and "
        "file:///shared/disk; $DGBENCH_STORE or ./store by default",
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="auto takes an accelerator where there is one")]
DevicesOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="auto takes every accelerator there is, else the CPU; cuda:0,2 two of them; or cpu, cuda, mps",
    ),
]
Track = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[:WHERE]",
        help="follow it in tensorboard, mlflow, wandb or trackio, as in --track tensorboard:logs; repeat for several",
    ),
]
LogFile = Annotated[
    Path | None, typer.Option("--log", metavar="FILE", help="add every event to this file, a line of JSON for each")
]


def add(app: typer.Typer) -> None:
    """Add the verbs that run and rank."""
    app.command()(run)
    app.command()(leaderboard)


def there(store: str | None) -> Store:
    """The store at a place, by default the usual one.

    Raises:
        StoreError: there is none.
    """
    place = store or store_place()
    kept = Store.at(place)
    if not kept.sharing.there(kept.root):
        where = place if is_address(place) else Path(place).resolve()
        raise StoreError(f"there is no store in {where}; --store or $DGBENCH_STORE says where it is")
    return kept


def keep_rule(keep: KeepRule | None) -> Keep | None:
    """Which weights stay, as rules say it."""
    return None if keep is None else keep.value


def run(
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
    launcher: LauncherName = Launcher.local,
    address: Address = None,
    launcher_option: LauncherOptions = None,
    processes_per_training: Processes = 1,
    micro_batch: MicroBatch = None,
    track: Track = None,
    log: LogFile = None,
    until: Annotated[
        Until | None,
        typer.Option(
            help="separated: give more trials to those that are open near the top, as the board's rules (looks) allow, "
            "until one leads every track or nothing that is open is within reach"
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(metavar="HOURS", help="with --until: begin no round that would not end in time")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a board, and print its leaderboard.

    What is missing is done, what is finished never again; the leaderboard is written as a page, too. With --until
    separated trials come in rounds, and after each it is said what is open, and why it goes on or stops. The exit code
    is 1 where trainings failed, 2 where nothing can be done, 130 after Ctrl-C and 143 after SIGTERM.
    """
    from dgbench.api.rounds import check_rules
    from dgbench.board.render.rounds import as_data
    from dgbench.board.render.rounds import lines as said
    from dgbench.runs.failures import by_kind
    from dgbench.selection.criteria import ranking
    from dgbench.trackers import lines

    rules = boards.rules(
        board,
        datasets=dataset,
        algorithms=algorithm,
        trials=trials,
        looks=looks,
        draws=draws,
        criterion=asked_for(criterion),
        backbone=backbone,
        keep=keep_rule(keep),
    )
    ranking(criterion or rules.criterion, rules.name)  # before hours of work, not after
    check_rules(rules, until and until.value, budget)
    to_launcher = _to_launcher(launcher_option or (), address)
    progress = Silent() if quiet else for_people()
    rounds: list[Round] = []

    def looked(done: Round) -> None:
        rounds.append(done)
        for line in said(done) if not quiet else ():
            print(line, file=sys.stderr, flush=True)

    if not quiet:
        print(f"{rules.title}: planning", file=sys.stderr, flush=True)
    with stoppable():
        summary = boards.run(
            submitted_to(board, rules) if until else rules,
            store=store,
            device=device,
            workers=workers,
            launcher=launcher.value,
            launcher_options=to_launcher,
            processes_per_training=processes_per_training,
            micro_batch=micro_batch,
            progress=progress,
            trackers=[*(track or ()), *([lines.tracker(log)] if log else ())],
            until="separated" if until else None,
            budget=budget,
            looked=looked,
        )
    did = f"{summary.trainings} trainings and {summary.runs} runs"
    if summary.failed:
        did += f"; {len(summary.failed)} trainings failed"
    elif not summary.trainings and not summary.runs:
        did = "nothing was left to do"
    if not quiet:
        print(f"{did} ({duration(summary.seconds)})", file=sys.stderr, flush=True)
    for failed in by_kind(summary.failed.values()):
        print(f"failed: {failed}", file=sys.stderr)
    for name, why in summary.untold.items():
        print(f"tracker {name} failed, and lacks what came later: {why}", file=sys.stderr)
    with suppress(StoreError) if summary.failed else nullcontext():  # where all failed there is no board: that was said
        more = {"rounds": [as_data(one) for one in rounds]} if until else {}
        present(board, rules, criterion, store, as_json=as_json, quiet=quiet, more=more)
    if summary.failed:
        raise typer.Exit(1)


def _to_launcher(options: Sequence[str], address: str | None) -> dict[str, str]:
    """What is said to a launcher, by name."""
    pairs = [option.partition("=") for option in options]
    for name, equals, _ in pairs:
        if not equals:
            raise DGBenchError(f"--launcher-option {name}: expected NAME=VALUE, as in partition=gpu")
    said = {name: value for name, _, value in pairs}
    return said if address is None else {**said, "address": address}


@contextmanager
def stoppable() -> Iterator[None]:
    """Work that may be stopped, by Ctrl-C or by SIGTERM, and goes on when the same command is given again."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except KeyboardInterrupt as stop:
        print("stopped; what is finished is kept, and the same command goes on from there", file=sys.stderr)
        raise typer.Exit(143 if isinstance(stop, _Terminated) else 130) from None


class _Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def leaderboard(
    board: BoardName,
    dataset: On = None,
    algorithm: Only = None,
    trials: Trials = None,
    looks: Looks = None,
    draws: Draws = None,
    backbone: Backbone = None,
    criterion: By = None,
    metric: Metric = None,
    store: StorePath = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="the folder for its files; in the store by default")
    ] = None,
    form: Annotated[
        list[Form] | None,
        typer.Option(
            "--format",
            help="write other forms as well: 'eee' for records of Every Eval Ever, 'hub' for evaluation results of the "
            "Hugging Face Hub; repeat for both",
        ),
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", help="the board's repository on the Hub, to which its results point"),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print a board's leaderboard.

    It is computed from what the store holds, and written as a page, Markdown, LaTeX and CSV, with the papers of its
    algorithms as BibTeX. With --metric the same models are ranked by another number, for looking: it is printed, and
    nothing is written.
    """
    rules = boards.rules(
        board,
        datasets=dataset,
        algorithms=algorithm,
        trials=trials,
        looks=looks,
        draws=draws,
        criterion=asked_for(criterion),
        backbone=backbone,
    )
    if metric is None:
        present(
            board, rules, criterion, store, out=out, forms=form or (), benchmark=benchmark, as_json=as_json, quiet=quiet
        )
        return
    if out or form:
        raise DGBenchError("--metric prints a table, and writes nothing; leave out --out and --format")
    present_ranking(board, rules, metric, criterion, store, as_json=as_json, quiet=quiet)
