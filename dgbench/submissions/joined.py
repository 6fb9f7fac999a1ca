"""What the store holds of a board, together with what was submitted to it: who is there, and under which name.

An algorithm stands on a board once. A submission of runs that the store holds itself is a repetition of them, whatever
its numbers: the store's own stand for it, and what differs is told. Any other is called after its recipe, where that is
dgbench's and nobody else is called so; what is left is called after its folder.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import polars as pl

from dgbench.core.cards import BoardCard
from dgbench.core.recipe import compose
from dgbench.runs import predictions
from dgbench.runs.collect import Failure, Records, Repeat
from dgbench.runs.store import Store
from dgbench.selection.measures import OnTarget
from dgbench.submissions import place
from dgbench.submissions.asked import Asked
from dgbench.submissions.check import CHECKS, rank
from dgbench.submissions.evidence import Evidence, Others
from dgbench.submissions.place import Placed, lying, placed
from dgbench.submissions.runs import as_records, trials_of
from dgbench.submissions.verdicts import Check, Verdict

log = logging.getLogger(__name__)

_CELL = ("target", "trial", "draw", "run")
_STREAM = (*_CELL, "step", "split", "domain", "view")


def joined(board: BoardCard, found: Records | None, into: Path) -> Records | None:
    """What the store holds of a board together with what was submitted to it.

    A submission that does not keep to the rules as they are now is named in a warning, and left out.

    Args:
        board: The rules.
        found: What the store holds of it; None where it was never run there.
        into: Where submissions to the board lie.
    """
    asked = Asked.of(board, build=False)
    admitted = [one for one in placed(into) if _admitted(one, asked)]
    if not admitted:
        return found
    base = found or _nothing(board, asked)
    repeats = {one.submission.id: again for one in admitted if (again := _repeat(one, base))}
    names = _names([one for one in admitted if one.submission.id not in repeats], base.names)
    order = {compose(expression).name: at for at, expression in enumerate(board.algorithms)}
    entered = [one for one in admitted if one.submission.id in names]
    entered.sort(key=lambda one: order.get(names[one.submission.id], len(order)))
    return replace(_together(base, entered, names), repeats=tuple(repeats.values()))


def beside(board: BoardCard, found: Records | None, into: Path) -> Records | None:
    """What the store holds of a board beside all that was submitted to it, each submission by its id."""
    asked = Asked.of(board, build=False)
    admitted = [one for one in placed(into) if _admitted(one, asked)]
    if not admitted:
        return found
    return _together(
        found or _nothing(board, asked), admitted, {one.submission.id: one.submission.id for one in admitted}
    )


def on_target(store: Store, submitted: Mapping[str, str], into: Path | None) -> OnTarget:
    """Reads what algorithms predicted of their targets.

    Args:
        store: Where finished work is kept.
        submitted: By algorithm, the id of the submission that it comes from; the others come from the store.
        into: Where submissions lie.

    Returns:
        A function of the name of an algorithm and the id of one of its runs, as records have them: a table with the
        columns :data:`dgbench.runs.predictions.ON_TARGET`, or None where it is not there.
    """
    return _reader(store, submitted, into, predictions.on_target, place.on_target)


def in_full(store: Store, submitted: Mapping[str, str], into: Path | None) -> OnTarget:
    """Reads all that algorithms predicted: as :func:`on_target`, with the columns :data:`predictions.IN_FULL`."""
    return _reader(store, submitted, into, predictions.in_full, place.in_full)


def _reader(
    store: Store,
    submitted: Mapping[str, str],
    into: Path | None,
    own: Callable[[Store, str], pl.DataFrame | None],
    others: Callable[[Placed, str], pl.DataFrame | None],
) -> OnTarget:
    """What reads predictions, from the store by the one function and from submissions by the other.

    A submission is read when it is first asked for: mostly one is, of dozens.
    """

    @cache
    def there(name: str) -> Placed | None:
        return lying(into / name) if into else None

    def read(algorithm: str, run: str) -> pl.DataFrame | None:
        if algorithm not in submitted:
            return own(store, run)
        one = there(submitted[algorithm])
        return None if one is None else others(one, run)

    return read


def _together(base: Records, entered: Sequence[Placed], names: Mapping[str, str]) -> Records:
    """Records with those of submissions under these names, in this order."""
    average = base.board.selection.average
    tables = [as_records(one.submission, one.rows, names[one.submission.id], average=average) for one in entered]
    return replace(
        base,
        streams=pl.concat([base.metrics, *(metrics for metrics, _ in tables)]),
        runs=pl.concat([base.runs, *(runs for _, runs in tables)]),
        failed=(*base.failed, *(lost for one in entered for lost in _failed(one, names[one.submission.id]))),
        names=(*base.names, *(names[one.submission.id] for one in entered)),
        levels={names[one.submission.id]: one.level for one in entered},
        submitted={names[one.submission.id]: one.submission.id for one in entered},
        torch=_union(base.torch, entered, "torch"),
        dgbench=_union(base.dgbench, entered, "dgbench"),
        trials=base.trials | {names[one.submission.id]: trials for one in entered if (trials := trials_of(one.rows))},
    )


def _failed(one: Placed, name: str) -> Iterator[Failure]:
    """The runs of a submission that could not be done."""
    for row in one.rows:
        end = row.result
        if end.status != "ok":
            place = (name, one.submission.method.title, row.target, row.trial, row.draw)
            yield Failure(*place, reason=end.cause, status=end.status, last_step=end.last_step)


def _names(entered: Collection[Placed], taken: Iterable[str]) -> dict[str, str]:
    """What each submission is called on its board, by its id.

    Of several by one recipe that is called so of which others have seen the most, and of these the first: nobody takes
    another's name by submitting it again.
    """
    names: dict[str, str] = {}
    used = set(taken)
    for one in sorted(entered, key=lambda one: (-rank(one.level), _number(one))):
        recipe = one.submission.method.recipe
        name = one.submission.id if recipe is None else compose(recipe).name
        names[one.submission.id] = one.submission.id if name in used else name
        used.add(names[one.submission.id])
    return names


def _number(one: Placed) -> tuple[int, str]:
    base, _, number = one.submission.id.rpartition("@")
    return int(number), base


def _repeat(one: Placed, own: Records) -> Repeat | None:
    """What a submission says of runs that are all in the store; None where some of them are not, or none is."""
    if one.submission.method.recipe is None:
        return None
    name = compose(one.submission.method.recipe).name
    here = own.runs.filter(pl.col("algorithm") == name)
    if here.is_empty():
        return None
    metrics, runs = as_records(one.submission, one.rows, name, average=own.board.selection.average)
    if runs.is_empty() or runs.join(here, on=_CELL, how="anti").height:
        return None
    both = metrics.join(own.metrics.filter(pl.col("algorithm") == name), on=_STREAM, how="full", coalesce=True)
    gaps = both.filter(pl.col("split") == "target").select((pl.col("accuracy") - pl.col("accuracy_right")).abs().max())
    return Repeat(
        one.submission.id,
        name,
        one.level,
        identical=bool(both.select((pl.col("digest") == pl.col("digest_right")).fill_null(False).all()).item()),
        difference=float(gaps.item() or 0.0),
    )


def _union(own: tuple[str, ...], of: Sequence[Placed], name: str) -> tuple[str, ...]:
    return tuple(sorted({*own, *(version for one in of for version in getattr(one.submission.provenance, name))}))


def verdicts(one: Placed, asked: Asked, checks: Iterable[Check] = CHECKS) -> list[Verdict]:
    """What checks say of a placed submission by itself, without a look at predictions."""
    evidence = Evidence(one.submission, one.rows, asked, {}, {}, (), False, Others())
    return [check.verdict(evidence) for check in checks]


def _admitted(one: Placed, asked: Asked) -> bool:
    may_refuse = (check for check in CHECKS if check.code.startswith("E"))  # the others mark
    refused = [found for found in verdicts(one, asked, may_refuse) if found.outcome == "refused"]
    if one.submission.board.name != asked.board.name:
        log.warning("left out: %s: it is for the board '%s'", one.submission.id, one.submission.board.name)
    elif refused:
        log.warning("left out: %s: %s %s", one.submission.id, refused[0].code, refused[0].reasons[0])
    return not refused and one.submission.board.name == asked.board.name


def _nothing(board: BoardCard, asked: Asked) -> Records:
    """The records of a board that the store holds nothing of."""
    sizes = {name: sum(case.dataset == name for case in asked.cases.values()) for name in board.dataset}
    return Records(
        board,
        Others().metrics,
        Others().runs,
        names=(),
        missing=0,
        failed=(),
        torch=(),
        dgbench=(),
        manifests={name: known.manifest or "" for name, known in asked.outlines.items()},
        cases=tuple(asked.cases),
        weights={case.name: 1 / sizes[case.dataset] for case in asked.cases.values()},
    )
