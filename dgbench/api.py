"""The public functions of dgbench: what the command line does, a script can do.

    import dgbench

    rules = dgbench.rules("quick", algorithms=["erm", "sam + adanpc"])
    dgbench.run(rules)
    board = dgbench.leaderboard(rules)

A board is given by name, by the path of its ``board.toml``, or as rules. The store is ``$DGBENCH_STORE``, else
``store/`` in the working directory. Nothing here imports torch before something is planned or run.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dgbench.core.cards import BoardCard, board_card, board_names
from dgbench.core.dataset_card import dataset_card
from dgbench.core.disk import writing
from dgbench.core.errors import CardError
from dgbench.core.paths import cache_root, store_root
from dgbench.core.provenance import revision
from dgbench.core.toml import validated
from dgbench.runs.store import Store, rules_identity

if TYPE_CHECKING:
    import polars as pl

    from dgbench.board.leaderboard import Leaderboard
    from dgbench.runs.collect import Records
    from dgbench.runs.launch import Summary
    from dgbench.runs.plan import Plan
    from dgbench.runs.progress import Progress

Board = str | Path | BoardCard
Device = Literal["auto", "cpu", "cuda", "mps"]


def rules(
    board: Board,
    *,
    datasets: Sequence[str] | None = None,
    algorithms: Sequence[str] | None = None,
    trials: int | None = None,
    draws: int | None = None,
    criterion: str | None = None,
) -> BoardCard:
    """The rules of a board, with some of them changed.

    Args:
        board: Name, path or rules.
        datasets: Names, in place of the board's own.
        algorithms: Recipes such as ``"pego + sam"``, in place of the board's own.
        trials, draws: In place of the board's own.
        criterion: What selects models, in place of the board's own.

    Raises:
        UnknownNameError: there is no such board.
        CardError: its file does not fit, or what is to be changed.
    """
    card = board if isinstance(board, BoardCard) else board_card(str(board))
    changes = {"algorithms": algorithms, "trials": trials, "draws": draws, "criterion": criterion}
    if isinstance(algorithms, str):
        raise CardError(f"algorithms: expected a list of recipes, got the text '{algorithms}'; write ['{algorithms}']")
    changed = card.model_dump() | {key: value for key, value in changes.items() if value is not None}
    if datasets is not None:
        changed |= {"dataset": datasets, "cases": {k: v for k, v in changed["cases"].items() if k in datasets}}
    return validated(changed, BoardCard, f"rules of '{card.name}'")


def plan(board: Board) -> Plan:
    """Which runs a board consists of, and the trainings that serve them.

    Raises:
        DGBenchError: a recipe does not fit.
    """
    from dgbench.runs.plan import make_plan

    return make_plan(rules(board))


def run(
    board: Board,
    *,
    store: Path | None = None,
    device: Device = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Do what is missing of a board. What is finished is never done again.

    Args:
        board: Name, path or rules.
        store: Where finished work is kept.
        device: ``auto`` takes an accelerator where there is one.
        workers: Processes; by default one for each CPU core, or one where an accelerator does the work.
        progress: Is told what happens; by default nothing is said.

    Raises:
        DGBenchError: a recipe does not fit, or the data or the device is not there.
        DiskError: the store or the cache cannot be written, or the disk is full.
    """
    from dgbench.runs.launch import launch
    from dgbench.runs.plan import make_plan
    from dgbench.runs.progress import Silent

    kept, told = _store(store), progress or Silent()
    try:
        with writing(kept.root, cache_root()):
            made = make_plan(rules(board), fetch=True, reading=told.reading)
            return launch(made, kept, device=device, workers=workers, progress=told)
    finally:
        told.stop()


def records(board: Board, *, store: Path | None = None) -> Records:
    """Everything that a board's finished runs measured, as tables.

    Raises:
        StoreError: the board was never run on this store.
    """
    from dgbench.runs.collect import collect

    return collect(rules(board), _store(store))


def select(board: Board, criterion: str | None = None, *, store: Path | None = None) -> pl.DataFrame:
    """The model that a criterion chooses, for every algorithm, target and trial.

    Args:
        board: Name, path or rules.
        criterion: ``source``, ``augmented``, ... ; by default the board's own.
        store: Where finished work is kept.

    Returns:
        Columns ``algorithm, target, trial, draw, step, run, score, views``: the chosen draw and checkpoint, the run
        that holds its predictions, its score, and the views of the validation images that the score was taken on.
    """
    from dgbench.selection.criteria import choose, get

    found = records(board, store=store)
    return choose(found.metrics, found.runs, get(criterion or found.board.criterion))


def leaderboard(board: Board, *, criterion: str | None = None, store: Path | None = None) -> Leaderboard:
    """The leaderboard of a board, computed from what the store holds.

    Args:
        board: Name, path or rules.
        criterion: What selects models, in place of the board's own.
        store: Where finished work is kept.

    Raises:
        StoreError: nothing is there, or a file cannot be read.
        RecipeError: the criterion reads target labels, or has nothing to select by.
    """
    from dgbench.board.build import build
    from dgbench.board.leaderboard import BoardInfo

    card = rules(board)
    found = records(card, store=store)
    info = BoardInfo(
        name=card.name,
        title=card.title,
        version=card.version,
        rules=rules_identity(card),
        dataset=", ".join(card.dataset),
        domains=found.cases,
        classes=sum(dataset_card(name).class_count for name in card.dataset),
        protocol=_protocol(card),
        criterion=criterion or card.criterion,
        trials=card.trials,
        draws=card.draws,
        algorithms=found.names,
        recompute=_command(card, criterion),
        weights=found.weights,
    )
    return build(found.metrics, found.runs, info, _pictures(card, found.cases), _provenance(found), found.failed)


def _store(root: Path | None) -> Store:
    return Store(root or store_root())


def _command(card: BoardCard, criterion: str | None) -> str:
    """The command that computes a leaderboard by these rules, where options can say them."""
    options = ("dataset", "cases", "algorithms", "trials", "draws", "criterion")
    own = board_card(card.name) if card.name in board_names() else None
    fixed = own is not None and own.model_copy(update={key: getattr(card, key) for key in options}) == card
    words = ["dgbench", "run", card.name if fixed else "board.toml"]
    if own is None or not fixed or card.algorithms != own.algorithms:
        words += [word for algorithm in card.algorithms for word in ("-a", algorithm)]
    if fixed and own is not None and card.dataset != own.dataset:
        words += [word for dataset in card.dataset for word in ("-d", dataset)]
    for key in options[3:]:
        value = criterion if key == "criterion" and criterion is not None else getattr(card, key)
        if own is None or not fixed or value != getattr(own, key):
            words += [f"--{key}", str(value)]
    return shlex.join(words)


def _pictures(card: BoardCard, cases: tuple[str, ...]) -> dict[str, bytes]:
    """A picture of each domain that is tested, where its data is at hand and cases are domains."""
    from dgbench.data.catalogue import outline, previews

    if len(card.dataset) > 1 or card.protocol == "single-source" or outline(card.dataset[0]).manifest is None:
        return {}
    return {name: picture for name, picture in previews(card.dataset[0]).items() if name in cases}


def _protocol(card: BoardCard) -> str:
    training = card.training
    sets = "1 set of hyperparameters is tried" if card.draws == 1 else f"{card.draws} sets of hyperparameters are tried"
    datasets = " and ".join(filter(None, (", ".join(card.dataset[:-1]), card.dataset[-1])))
    kin = any(domain.family for name in card.dataset for domain in dataset_card(name).domains)
    pool = "; ".join(", ".join(rules.sources) for rules in card.cases.values() if rules.sources)
    others = f"the others{f' among {pool}' if pool else ''}{', but for those of the same family,' if kin else ''}"
    chosen = {name: rules.targets for name, rules in card.cases.items() if rules.targets}
    which = "; ".join(f"{', '.join(targets)} of {name}" for name, targets in chosen.items())
    left_out = f"Of the domains {which} each" if chosen else f"Each domain of {datasets}"
    asked = {
        "leave-one-domain-out": f"{left_out} in turn is left out; a model learns from {others} and is tested on",
        "single-source": f"Each domain of {datasets} in turn trains alone, and its models are tested on each of the "
        "others, on",
        "fixed": f"On {datasets} models learn from fixed source domains and are tested on each target, on",
    }[card.protocol]
    if card.split.test:
        tested = f"{100 * card.split.test:g} % of it that no trial ever trains on, in any domain"
    else:
        tested = "its official test part" if card.split.official else "the whole of it"
    kept = "the official validation part" if card.split.official else f"{100 * card.split.validation:g} %"
    return (
        f"{asked} {tested}. {card.trials} trials draw other splits, heads and batches, the same for every algorithm. "
        f"Training takes {training.steps} steps of {training.batch_per_domain} images from each source domain; {kept} "
        f"of every source domain is kept for validation, at {training.checkpoints} checkpoints. "
        f"For every algorithm {sets}.{''.join(_lacking(card))}"
    )


def _lacking(card: BoardCard) -> Iterator[str]:
    """A sentence for each domain that may be tested and lacks classes: what accuracy on it is over."""
    for name in card.dataset:
        dataset = dataset_card(name)
        targets = card.cases[name].targets if name in card.cases else ()
        for domain in dataset.domains:
            if domain.without and (domain.name in targets or not targets):
                count = dataset.class_count
                yield (
                    f" Accuracy on {domain.name} is over {count - len(domain.without)} of {count} classes: it has no "
                    f"example of {', '.join(domain.without[:8])}{', ...' if len(domain.without) > 8 else ''}."
                )


def _provenance(found: Records) -> dict[str, str]:
    return {
        "data": ", ".join(f"{name} {manifest}" for name, manifest in found.manifests.items()),
        "computed with dgbench": ", ".join(found.dgbench),
        "computed with torch": ", ".join(found.torch),
        "page made with dgbench": revision(),
        "page made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
