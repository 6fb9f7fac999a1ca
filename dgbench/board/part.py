"""A part of a board's records: what rules that name less would have given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import polars as pl

from dgbench.core.cards import BoardCard, CaseRules
from dgbench.core.errors import CardError, DGBenchError, StoreError, UnknownNameError
from dgbench.core.recipe import compose
from dgbench.runs.collect import Records


def part(
    found: Records,
    *,
    algorithms: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
    track: str | None = None,
    backbone: str | None = None,
) -> Records:
    """The records of some algorithms in some cases, with rules that ask for these. The order stays the board's.

    Args:
        found: Of the whole board.
        algorithms: Recipes, or the names of submissions.
        targets: Names of cases, or of domains: these stand for every case that tests them.
        datasets: Names.
        track: ``inductive``, ``online`` or ``unlabelled``.
        backbone: What runs were built on, as the records name it.

    Raises:
        UnknownNameError: the board has no such algorithm, target, dataset, track or backbone.
        CardError: a list is given as one text.
        StoreError: nothing is left.
    """
    names, cases, runs = found.names, found.cases, found.runs
    if algorithms is not None:
        names = algorithms_named(names, algorithms)
    if track is not None:
        tracks = dict(found.metrics.select("algorithm", "track").unique().iter_rows())
        check_names("track", [track], tracks.values())
        names = tuple(name for name in names if tracks.get(name) == track)
    if backbone is not None:
        check_names("backbone", [backbone], runs["backbone"])
        runs = runs.filter(pl.col("backbone") == backbone)
        names = tuple(name for name in names if name in set(runs["algorithm"]))
    if datasets is not None:
        check_names("dataset", _listed("datasets", datasets), found.board.dataset)
        cases = tuple(case for case in cases if _place(found.board, case)[0] in datasets)
    if targets is not None:
        cases = cases_named(found.board, cases, targets)

    runs = runs.filter(pl.col("algorithm").is_in(names), pl.col("target").is_in(cases))
    if not runs.height:
        raise StoreError(f"nothing of the board '{found.board.name}' is left: no finished run is all that is asked for")
    board = _rules(found, names, cases)
    sizes = Counter(_place(found.board, case)[0] for case in cases)
    whole = Records(
        board,
        found.metrics.join(runs, on=["algorithm", "target", "run"], how="semi", maintain_order="left"),
        runs,
        names,
        missing=sum(map(found.asked, names)) * len(cases) * board.draws - runs.height,
        failed=tuple(one for one in found.failed if one.algorithm in names and one.target in cases),
        torch=found.torch,
        dgbench=found.dgbench,
        manifests={name: manifest for name, manifest in found.manifests.items() if name in board.dataset},
        cases=cases,
        weights={case: 1 / sizes[_place(found.board, case)[0]] for case in cases},
        levels={name: level for name, level in found.levels.items() if name in names},
        submitted={name: id_ for name, id_ in found.submitted.items() if name in names},
        repeats=tuple(one for one in found.repeats if one.algorithm in names),
        trials={name: trials for name, trials in found.trials.items() if name in names},
        earlier=found.earlier,
    )
    alone = len(board.dataset) == 1 < len(found.board.dataset)
    return _without_prefix(whole, f"{board.dataset[0]}/") if alone else whole


def algorithms_named(names: Sequence[str], asked: Sequence[str]) -> tuple[str, ...]:
    """Those of a board's algorithms that recipes, or the names of submissions, ask for; in the board's order.

    Raises:
        UnknownNameError: one of them is not there.
        CardError: they are given as one text.
    """
    wanted = {_normal(name) for name in _listed("algorithms", asked)}
    check_names("algorithm", wanted, names)
    return tuple(name for name in names if name in wanted)


def cases_named(board: BoardCard, cases: Sequence[str], asked: Sequence[str]) -> tuple[str, ...]:
    """Those of a board's cases that are asked for by name, or by the domain that they test; in the board's order.

    Raises:
        UnknownNameError: one of them is not there.
        CardError: they are given as one text.
    """
    check_names("target", _listed("targets", asked), {*cases, *(_place(board, case)[1] for case in cases)})
    return tuple(case for case in cases if case in asked or _place(board, case)[1] in asked)


def check_names(kind: str, asked: Iterable[str], known: Iterable[str]) -> None:
    """Refuse what a board does not have.

    Raises:
        UnknownNameError: one of the names is not known.
    """
    there = list(dict.fromkeys(known))
    for name in asked:
        if name not in there:
            raise UnknownNameError(f"{kind} on this board", name, there)


def in_words(whole: Records, kept: Records) -> str:
    """What is left, for readers: ``3 of 18 algorithms; on print``. Empty where it is all."""
    said = []
    if len(kept.names) < len(whole.names):
        said.append(f"{len(kept.names)} of {len(whole.names)} algorithms")
    if len(kept.cases) < len(whole.cases):
        said.append(f"{len(kept.cases)} of {len(whole.cases)} targets")
    if not said and kept.runs.height < whole.runs.height:
        said.append(f"{kept.runs.height} of {whole.runs.height} runs")
    return ", ".join(said)


def _listed(what: str, names: Sequence[str]) -> Sequence[str]:
    if isinstance(names, str):
        raise CardError(f"{what}: expected a list of names, got the text '{names}'; write ['{names}']")
    return names


def _normal(name: str) -> str:
    """A recipe as records write it; the name of a submission as it is."""
    try:
        return compose(name).name
    except DGBenchError:
        return name


def _place(board: BoardCard, case: str) -> tuple[str, str]:
    """The dataset of a case, and the domain that is tested in it."""
    (dataset, name), *_ = (
        (each, case.removeprefix(f"{each}/"))
        for each in board.dataset
        if len(board.dataset) == 1 or case.startswith(f"{each}/")
    )
    return dataset, name.rpartition(" > ")[2] if board.protocol == "single-source" else name


def _rules(found: Records, names: Sequence[str], cases: Sequence[str]) -> BoardCard:
    """Rules that ask for what is left, as far as rules can: submissions stand in none, so they change none."""
    board = found.board
    own = tuple(expression for expression in board.algorithms if _normal(expression) in names)
    rules = {name: given for name, given in board.cases.items() if any(_place(board, c)[0] == name for c in cases)}
    for dataset in board.dataset:
        before, after = (
            dict.fromkeys(domain for name, domain in (_place(board, case) for case in those) if name == dataset)
            for those in (found.cases, cases)
        )
        if after and len(after) < len(before):
            rules[dataset] = rules.get(dataset, CaseRules()).model_copy(update={"targets": tuple(after)})
    return board.model_copy(
        update={
            "algorithms": own if len(own) == len(names) else board.algorithms,
            "dataset": tuple(name for name in board.dataset if any(_place(board, c)[0] == name for c in cases)),
            "cases": rules,
        }
    )


def _without_prefix(found: Records, prefix: str) -> Records:
    """Cases of one dataset are not called after it."""
    short = {case: case.removeprefix(prefix) for case in found.cases}
    named = pl.col("target").replace(short)
    tested = pl.when(pl.col("split") == "target").then(pl.col("domain").replace(short)).otherwise(pl.col("domain"))
    return replace(
        found,
        streams=found.metrics.with_columns(named, domain=tested),
        runs=found.runs.with_columns(named),
        failed=tuple(replace(one, target=short[one.target]) for one in found.failed),
        cases=tuple(short.values()),
        weights={short[case]: weight for case, weight in found.weights.items()},
    )
