"""The public functions of dgbench: what the command line does, a script can do.

    import dgbench

    rules = dgbench.rules("quick", algorithms=["erm", "sam + adanpc"])
    dgbench.run(rules)
    board = dgbench.leaderboard(rules)

A board is given by name, by the path of its ``board.toml``, or as rules. The store is ``$DGBENCH_STORE``, else
``store/`` in the working directory. Nothing here imports torch before something is planned or run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from dgbench.core.backbone_name import parse
from dgbench.core.cards import BoardCard, Keep, board_card, board_names
from dgbench.core.errors import CardError, DGBenchError, StoreError
from dgbench.core.judges import asked_for
from dgbench.core.paths import shipped
from dgbench.core.toml import validated
from dgbench.runs.store import Store

if TYPE_CHECKING:
    import polars as pl

    from dgbench.board.interactive import Leaderboard
    from dgbench.board.selected import Selection
    from dgbench.board.until import Round
    from dgbench.runs.collect import Records
    from dgbench.runs.events import Tracker
    from dgbench.runs.launch import Summary
    from dgbench.runs.plan import Plan
    from dgbench.runs.progress import Callback, Progress

Board = str | Path | BoardCard
Device = Literal["auto", "cpu", "cuda", "mps"]


def rules(
    board: Board,
    *,
    datasets: Sequence[str] | None = None,
    algorithms: Sequence[str] | None = None,
    trials: int | None = None,
    draws: int | None = None,
    looks: Sequence[int] | None = None,
    criterion: str | None = None,
    backbone: str | None = None,
    keep: Keep | None = None,
) -> BoardCard:
    """The rules of a board, with some of them changed.

    Args:
        board: Name, path or rules.
        datasets: Names, in place of the board's own.
        algorithms: Recipes such as ``"pego + sam"``, in place of the board's own.
        trials, draws: In place of the board's own. As many trials as are asked for are looked at once.
        looks: Where trials may grow, after how many the board is looked at again, in place of the board's own.
        criterion: What selects models, in place of the board's own.
        backbone: Of all tracks, in place of the board's own.
        keep: Which weights stay when their runs are done: those that the board's criterion chose (``chosen``), also
            those that other criteria would have chosen (``shown``), but for those that need single predictions or
            judges of their own, ``all``, or ``none``. It changes no number.

    Raises:
        UnknownNameError: there is no such board, or no such family of backbones.
        DGBenchError: the backbone's name cannot be read.
        CardError: its file does not fit, or what is to be changed.
    """
    card = board if isinstance(board, BoardCard) else board_card(str(board))
    changes = {"algorithms": algorithms, "trials": trials, "draws": draws, "criterion": criterion, "keep": keep}
    if isinstance(algorithms, str):
        raise CardError(f"algorithms: expected a list of recipes, got the text '{algorithms}'; write ['{algorithms}']")
    changed = card.model_dump() | {key: value for key, value in changes.items() if value is not None}
    if trials is not None or looks is not None:
        changed["looks"] = looks or ()
    if datasets is not None:
        changed |= {"dataset": datasets, "cases": {k: v for k, v in changed["cases"].items() if k in datasets}}
    if backbone is not None:
        parse(backbone)
        changed |= {"tracks": dict.fromkeys(card.tracks, backbone)}
    return validated(changed, BoardCard, f"rules of '{card.name}'")


def plan(board: Board, *, store: Path | str | None = None) -> Plan:
    """Which runs a board consists of, and the trainings that serve them.

    Where trials may grow, the store knows which algorithms have more of them.

    Raises:
        DGBenchError: a recipe does not fit.
    """
    from dgbench.runs.index import grown
    from dgbench.runs.planning import make_plan

    card = rules(board)
    return make_plan(card, trials=grown(card, Store.at(store)))


def run(
    board: Board,
    *,
    store: Path | str | None = None,
    device: str = "auto",
    workers: int | None = None,
    launcher: Literal["local", "ray", "slurm"] = "local",
    launcher_options: Mapping[str, str | int | float] = MappingProxyType({}),
    processes_per_training: int = 1,
    micro_batch: int | None = None,
    progress: Progress | Callback | None = None,
    trackers: Sequence[str | Tracker] = (),
    until: Literal["separated"] | None = None,
    budget: float | None = None,
    looked: Callable[[Round], None] = lambda round: None,
) -> Summary:
    """Do what is missing of a board. What is finished is never done again.

    Args:
        board: Name, path or rules.
        store: Where finished work is kept.
        device: ``auto`` takes every accelerator of this machine, else its CPU; ``cuda:0,2`` two of them.
        workers: Processes in all; by default one for each CPU core, or a few for each accelerator that does the work.
        launcher: Who does the work: processes of this machine, a Ray cluster, or jobs of Slurm.
        launcher_options: What is said to it, by the names of ``Options`` in :mod:`dgbench.launchers.ray` and
            :mod:`dgbench.launchers.slurm`.
        processes_per_training: How many take each step of a training together, each on a device of its own where there
            are several; a worker of this machine starts the others of its training.
        micro_batch: How many images at most go through a network at once; with it steps need less memory, and look at
            their images once more. Neither of the two changes numbers, but by rounding.
        progress: Is told what happens: ``dgbench.for_people()`` shows bars in a terminal and in a notebook, a function
            is called with a :class:`HowFar`, an object is a :class:`Progress`. By default nothing is said.
        trackers: Called with each event (:mod:`dgbench.runs.events`): functions, or names (:mod:`dgbench.trackers`),
            as ``tensorboard:logs``. One that raises is told nothing more, with a warning; ``Summary.untold`` names it.
        until: ``separated``, where rules have ``looks`` (:mod:`dgbench.board.until`).
        budget: Hours. A round that would not end in time, by what trainings take here, is not begun.
        looked: Is told each round, once it is done and looked at.

    Raises:
        DGBenchError: a recipe does not fit, or cannot be divided so; the data, a device or what a tracker or launcher
            needs is not there; trials cannot grow, there is a budget and nothing that it ends, or the first round does
            not fit into it.
        DiskError: the store or the cache cannot be written, may not take what is needed at once, or the disk is full.
    """
    from dgbench.api.rounds import work
    from dgbench.train.division import Division

    return work(
        rules(board),
        Store.at(store),
        lambda: leaderboard(board, store=store),
        device=device,
        workers=workers,
        launcher=launcher,
        launcher_options=launcher_options,
        division=Division(processes_per_training, micro_batch),
        progress=progress,
        trackers=trackers,
        until=until,
        budget=budget,
        looked=looked,
    )


def records(board: Board, *, store: Path | str | None = None) -> Records:
    """Everything that a board's finished runs measured, as tables.

    Raises:
        StoreError: the board was never run on this store.
    """
    from dgbench.runs.collect import collect

    return collect(rules(board), Store.at(store))


def predictions(
    board: Board,
    *,
    algorithm: str | None = None,
    target: str | None = None,
    trial: int | None = None,
    draw: int | None = None,
    store: Path | str | None = None,
) -> pl.LazyFrame:
    """Every prediction of a board's finished runs, one row for each example, view and candidate; read when collected.

    Args:
        board: Name, path or rules.
        algorithm, target, trial, draw: Only this one; as in :func:`records`.
        store: Where finished work is kept.

    Returns:
        Columns ``algorithm, target, trial, draw, run, dataset``, then those that a run keeps
        (:data:`dgbench.selection.predictions.PREDICTIONS`): which example it is and what group it belongs to, its class
        and the predicted one, confidence, logits. ``frame.join(select(board).cells.lazy(), on=["algorithm",
        "target", "trial", "draw", "step"], how="semi")`` is left of the chosen models.

    Raises:
        UnknownNameError: the board has no such algorithm or target.
        StoreError: the board was never run on this store, or nothing that is asked for is finished.
    """
    from dgbench.runs.predictions import predictions

    only = {"algorithm": algorithm, "target": target, "trial": trial, "draw": draw}
    asked = {name: value for name, value in only.items() if value is not None}
    return predictions(rules(board), Store.at(store), **asked)


def select(
    board: Board,
    criterion: str | None = None,
    *,
    algorithms: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    trials: Sequence[int] | None = None,
    store: Path | str | None = None,
    submissions: Path | None = None,
) -> Selection:
    """The model that a criterion chooses for every algorithm, target and trial, and what others would have chosen.

    The leaderboard by that criterion is made of these models: ``select(board).cells`` names them.

    Args:
        board: Name, path or rules.
        criterion: ``source``, ``augmented``, ... ; by default the board's own. Those that see something of the target
            may be asked for, too, for looking.
        algorithms: Only these: recipes such as ``"pego + sam"``, or names of submissions.
        targets: Only these: names of targets, or of domains, which stand for every target that tests them.
        trials: Only these.
        store: Where finished work is kept: by the board's list of runs, or by one of ``algorithms`` alone.
        submissions: Where those to the board lie; by default beside its ``board.toml``, and nowhere for rules.

    Raises:
        UnknownNameError: there is no such criterion, or no such algorithm, target or trial on the board.
        StoreError: nothing is there, or nothing that is asked for.
        RecipeError: the criterion has nothing to select by.
    """
    from dgbench.board.selected import selected
    from dgbench.selection.criteria import get

    card = narrowed(rules(board, criterion=asked_for(criterion)), algorithms, Store.at(store))
    by = get(criterion or card.criterion)
    found = with_submitted(card, store, beside(board, submissions))
    return selected(found, by, algorithms=algorithms, targets=targets, trials=trials)


def narrowed(card: BoardCard, algorithms: Sequence[str] | None, store: Store) -> BoardCard:
    """The rules with these algorithms, where the store has a list of their runs; else as they are."""
    with suppress(DGBenchError):  # a name may be that of a submission, and no recipe
        asked = rules(card, algorithms=algorithms)
        if store.index(asked).is_file():
            return asked
    return card


def leaderboard(
    board: Board, *, criterion: str | None = None, store: Path | str | None = None, submissions: Path | None = None
) -> Leaderboard:
    """The leaderboard of a board, computed from what the store holds and what was submitted.

    Args:
        board: Name, path or rules.
        criterion: What selects models, in place of the board's own.
        store: Where finished work is kept.
        submissions: Where those to the board lie; by default beside its ``board.toml``, and nowhere for rules.

    Raises:
        StoreError: nothing is there, or a file cannot be read.
        RecipeError: the criterion reads target labels, or has nothing to select by.
    """
    from dgbench.board.interactive import Leaderboard

    return Leaderboard.of(entered(board, criterion, store, submissions), criterion)


def submissions_of(board: Board) -> Path | None:
    """Where the submissions to a board lie: beside its rules. None where these have no file."""
    if not isinstance(board, BoardCard):
        path = Path(board)
        return (path.parent if path.suffix == ".toml" else shipped("leaderboards") / path) / "submissions"
    return submissions_of(board.name) if board.name in board_names() else None


def beside(board: Board, submissions: Path | None) -> Path | None:
    """Where submissions are looked for: where it is said, else beside a board that has a file."""
    return submissions_of(board) if submissions is None and not isinstance(board, BoardCard) else submissions


def entered(board: Board, criterion: str | None, store: Path | str | None, submissions: Path | None = None) -> Records:
    """What a leaderboard is computed from; arguments and errors are those of :func:`leaderboard`."""
    return with_submitted(rules(board, criterion=asked_for(criterion)), store, beside(board, submissions))


def held(card: BoardCard, store: Path | str | None) -> Records | None:
    """What the store holds of a board; None where it was never run there."""
    try:
        return records(card, store=store)
    except StoreError:
        return None


def with_submitted(card: BoardCard, store: Path | str | None, submissions: Path | None) -> Records:
    """What the store holds, with what was submitted."""
    if submissions is None or not submissions.is_dir():
        return records(card, store=store)
    from dgbench.submissions.joined import joined

    return joined(card, held(card, store), submissions) or records(card, store=store)
