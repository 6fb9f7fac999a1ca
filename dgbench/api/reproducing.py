"""The public function that does a finished run again.

    again = dgbench.reproduce("38972bbfb67f311a")
    print(again.command, again.differences, again.outcome)

Boards and the store are given as for :mod:`dgbench.api.boards`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import polars as pl

from dgbench.api.boards import Board, Device, rules, submissions_of
from dgbench.board.recompute import command
from dgbench.core.cards import BoardCard, board_names
from dgbench.core.dataset_card import headlines
from dgbench.core.errors import DGBenchError, DivergedError, RecordError, StoreError
from dgbench.core.provenance import revision
from dgbench.runs.store import Store

if TYPE_CHECKING:
    from dgbench.runs.again import Again
    from dgbench.runs.origin import Origin, Place
    from dgbench.runs.progress import Callback, Progress
    from dgbench.submissions.place import Placed
    from dgbench.submissions.runs import Row


@dataclass(frozen=True)
class Difference:
    """Something that the run was made with, and this machine has otherwise.

    Attributes:
        what: ``torch``, ``dgbench``, ``processor``, ...
        then, now: Both values; what is not there is empty.
    """

    what: str
    then: str
    now: str


@dataclass(frozen=True)
class Reproduced:
    """A run, where it comes from, and what came of doing it again.

    Attributes:
        run, training: Ids.
        places: Where it stands, on each board that lists it, in words.
        command: Makes it, with all others of its algorithm on the board; empty where no rules at hand ask for it.
        device: What it was done on now, or would be.
        differences: What this machine has otherwise.
        unnoted: What nothing was noted of, so it may differ.
        dirty: Whether files of dgbench were changed since a revision: then, or now.
        outcome: What came of it; None where nothing was done.
    """

    run: str
    training: str
    places: tuple[str, ...]
    command: str
    device: str
    differences: tuple[Difference, ...]
    unnoted: tuple[str, ...]
    dirty: bool
    outcome: Again | None

    @property
    def agrees(self) -> bool:
        """Whether it came out the same, but for what machines differ in (:data:`dgbench.runs.again.TOLERANCE`)."""
        return self.outcome is not None and self.outcome.agrees


def reproduce(
    run: str,
    *,
    board: Board | None = None,
    store: Path | str | None = None,
    predictions: Path | None = None,
    device: Device | None = None,
    dry_run: bool = False,
    progress: Progress | Callback | None = None,
) -> Reproduced:
    """Do a finished run again, with the trainings that it comes from, and compare what it predicts.

    It is done in a folder of its own, from what identifies it. The run that is finished stays as it is.

    Args:
        run: Its id, or how that begins. It lies in the store, or in a submission to a board.
        board: The one whose submissions are looked through, and whose rules make the command; by default all that come
            with dgbench.
        store: Where finished work is kept.
        predictions: Holds the predictions of a submission that lies without them. Where there are none, what was
            announced of them is compared: the hash of their file, and the digest and the scores of each stream.
        device: By default the kind that it was done on, where that is there.
        dry_run: Only say where the run comes from, and what is different here.
        progress: As for :func:`dgbench.run`.

    Raises:
        StoreError: there is no such run, several ids begin so, or another version of dgbench made it.
        DGBenchError: it cannot be done here.
    """
    import torch

    from dgbench.runs.again import Again, alone
    from dgbench.runs.deterministic import as_worker
    from dgbench.runs.failures import status_of
    from dgbench.runs.origin import noted
    from dgbench.runs.progress import told
    from dgbench.train.environment import environment

    kept = Store.at(store)
    origin, compare = _found(run.strip(), kept, board, predictions)
    where = _device(device, origin)
    with as_worker(where):
        here = {"torch": torch.__version__, "dgbench": revision(), "device": where}
        now = {
            name: values[0]
            for name, values in noted([{**here, "environment": environment(torch.device(where))}]).items()
        }
    differences, unnoted = _compared(origin, now)
    says = str(origin.places[0]) if origin.places else f"run {origin.run.id}"
    outcome = None
    if not dry_run:
        one = Again(origin.run.id, origin.run.training, says)
        with TemporaryDirectory() as room:
            try:
                path = alone(origin.run, origin.trainings, Store(Path(room)), device=where, progress=told(progress))
                outcome = compare(one, path)
            except DivergedError as error:
                outcome = Again(one.run, one.training, says, error=str(error))
            except (MemoryError, RuntimeError) as error:
                if status_of(error) != "out of memory":
                    raise
                raise DGBenchError(f"{says} cannot be done again here, for lack of memory: {error}") from error
    return Reproduced(
        origin.run.id,
        origin.run.training,
        tuple(map(str, origin.places)),
        _command(origin, board),
        where,
        differences,
        unnoted,
        any("-dirty" in value for value in (*origin.noted.get("dgbench", ()), now["dgbench"])),
        outcome,
    )


Compare = Callable[["Again", Path], "Again"]
"""Is given a run, and the file of what it predicts now; says what that has in common with before."""


def _found(run: str, store: Store, board: Board | None, predictions: Path | None) -> tuple[Origin, Compare]:
    """The run of this name: in the store, or else in a submission."""
    from dgbench.runs.again import compared
    from dgbench.runs.origin import finished, origin, resolved, unknown

    here = finished(store)
    if id_ := resolved(run, here):
        before = pl.read_parquet(store.file("run", id_, "predictions.parquet"))
        return origin(store, id_), lambda one, path: compared(one, before, pl.read_parquet(path))
    submitted: dict[str, list[tuple[Board, Path]]] = {}
    for id_, place in _submitted(board):
        submitted.setdefault(id_, []).append(place)
    if meant := resolved(run, submitted):
        for name, folder in reversed(submitted.pop(meant)):  # in one of them it may have failed
            if found := _row(meant, folder):
                return _of_submission(name, *found, predictions)
    raise unknown(run, store, [*here, *submitted])


def _submitted(board: Board | None) -> Iterable[tuple[str, tuple[Board, Path]]]:
    """Every run that was submitted, to which board, and where that submission lies: of hundreds one is read."""
    from dgbench.submissions.place import runs_of

    for name in board_names() if board is None else [board]:
        folder = submissions_of(name)
        for place in sorted(folder.iterdir()) if folder is not None and folder.is_dir() else ():
            yield from ((run, (name, place)) for run in runs_of(place))


def _row(run: str, place: Path) -> tuple[Placed, Row] | None:
    """A run of a submission; None where that cannot be read, or the run did not come to its end."""
    from dgbench.submissions.place import lying

    one = lying(place)
    rows = [row for row in one.rows if row.run == run and row.result.status == "ok"] if one else []
    return (one, rows[0]) if one and rows else None


def _of_submission(board: Board, one: Placed, row: Row, predictions: Path | None) -> tuple[Origin, Compare]:
    from dgbench.runs.again import announced, compared
    from dgbench.runs.origin import planned
    from dgbench.runs.planning import at_most, make_plan
    from dgbench.selection.predictions import PREDICTIONS
    from dgbench.submissions import files
    from dgbench.submissions.evidence import file_of

    recipe = one.submission.method.recipe
    if recipe is None:
        raise StoreError(f"run {row.run} of '{one.submission.id}' is of another code base, which dgbench cannot run")
    made = one.submission.provenance
    notes = [{"torch": each} for each in made.torch] + [{"dgbench": each} for each in made.dgbench]
    card = rules(board, algorithms=[recipe])
    found = planned(make_plan(card, fetch=True, trials=at_most(card)), row.run, [*notes, {"device": row.device}])
    if found is None:
        raise StoreError(
            f"run {row.run} of '{one.submission.id}' is not what this dgbench does by the rules of the board; it was "
            f"made with dgbench {', '.join(made.dgbench) or 'of another version'}"
        )
    before = (predictions or one.folder) / file_of(row)
    if not before.is_file():
        by = headlines(rules(board))[row.dataset]
        return found, lambda again, path: announced(again, row.sha256 or "", row.result.metrics, path, by, row.dataset)
    if files.sha256(before) != row.sha256:
        raise RecordError(f"{before} is not what was submitted")
    table = files.read_table(before, PREDICTIONS, row.rows or 0)
    return found, lambda again, path: compared(again, table, pl.read_parquet(path))


def _device(asked: Device | None, origin: Origin) -> str:
    """What to compute on: what was asked for, or the kind that the run was done on, or else what there is."""
    from dgbench.runs.device import resolve_device

    if asked is not None:
        return resolve_device(asked)
    known = origin.noted.get("device", ())
    kind: Device = "auto" if not known else "cpu" if set(known) <= {"cpu"} else "mps" if "mps" in known else "cuda"
    with suppress(DGBenchError):
        return resolve_device(kind)
    return resolve_device("auto")


def _compared(origin: Origin, now: dict[str, str]) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """What differs from what was noted, and what was not."""
    differences, unnoted = [], []
    for name, value in now.items():
        then = origin.noted.get(name, ())
        if not then:
            unnoted.append(name)
        elif name != "device" and set(then) != {value}:
            differences.append(Difference(name, " and ".join(then), value))
    kinds = {"cpu" if device == "cpu" else "mps" if device == "mps" else "cuda" for device in origin.noted["device"]}
    if kinds != {now["device"]}:
        differences.insert(0, Difference("device", " and ".join(origin.noted["device"]), now["device"]))
    gone = [Difference(name, " and ".join(then), "") for name, then in origin.noted.items() if name not in now]
    return (*differences, *gone), tuple(unnoted)


def _command(origin: Origin, board: Board | None) -> str:
    """What makes the run: of a board that lists it, with its algorithm alone; checked against the plan of that."""
    for place in origin.places:
        for card in [rules(board)] if board is not None else map(rules, {place.board} & set(board_names())):
            file = str(board) if isinstance(board, str | Path) else "board.toml"
            for asked in _rules(card, place):
                with suppress(DGBenchError):  # rules that this place does not fit
                    if _asks_for(asked, origin.run.id):
                        return command(asked, file=file)
    return ""


def _rules(card: BoardCard, place: Place) -> Iterable[BoardCard]:
    """Rules of a board under which a run may stand where it does; the fewest changes come first."""
    entry = place.entry
    asked = rules(
        card,
        algorithms=[entry["algorithm"]],
        trials=None if entry["trial"] < card.most else entry["trial"] + 1,
        draws=max(card.draws, entry["draw"] + 1),
        datasets=None if entry["dataset"] in card.dataset else [entry["dataset"]],
    )
    yield asked
    with suppress(DGBenchError):  # what it was built on may be called by a name that no option takes
        yield rules(asked, backbone=entry["backbone"])


def _asks_for(card: BoardCard, run: str) -> bool:
    from dgbench.runs.planning import at_most, make_plan

    return run in make_plan(card, trials=at_most(card)).runs
