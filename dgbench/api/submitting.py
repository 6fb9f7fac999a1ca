"""The public functions of submissions: made, checked, placed beside their board, done again.

    folder = dgbench.make_submission("quick", "sam", Path("out"))
    assert dgbench.check_submission(folder).good

Boards and the store are given as for :mod:`dgbench.api.boards`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dgbench.api.boards import Board, Device, held, rules, submissions_of
from dgbench.core.cards import BoardCard
from dgbench.core.dataset_card import headlines
from dgbench.core.errors import RecordError, StoreError
from dgbench.runs.store import Store

if TYPE_CHECKING:
    from dgbench.runs.again import Again
    from dgbench.runs.progress import Callback, Progress
    from dgbench.submissions.check import Checked
    from dgbench.submissions.evidence import Others
    from dgbench.submissions.place import Verification
    from dgbench.submissions.record import Submission
    from dgbench.submissions.rerun import Claimed


def make_submission(
    board: Board,
    algorithm: str,
    out: Path,
    *,
    store: Path | str | None = None,
    number: int = 1,
    authors: Sequence[str] = (),
    code: str | None = None,
) -> Path:
    """Write the submission of an algorithm, from what the store holds of it.

    Args:
        board: Name, path or rules.
        algorithm: A recipe such as ``"pego + sam"``.
        out: The folder that the submission, a folder ``sam@1``, is put into.
        store: Where finished work is kept.
        number: Of the submission, for one algorithm.
        authors, code: Who ran it, and where its code is, if the card does not say so.

    Raises:
        StoreError: runs are missing, or something is there under that name.
    """
    (folder,) = make_submissions(board, out, [algorithm], store=store, number=number, authors=authors, code=code)
    return folder


def make_submissions(
    board: Board,
    out: Path,
    algorithms: Sequence[str] | None = None,
    *,
    store: Path | str | None = None,
    number: int = 1,
    authors: Sequence[str] = (),
    code: str | None = None,
) -> list[Path]:
    """Write the submissions of several algorithms, of all that the board names by default; where they lie.

    Args:
        board, out, store, number, authors, code: As for :func:`make_submission`.
        algorithms: Recipes, in place of the board's own.

    Raises:
        StoreError: runs of one are missing, or something is there under its name. Then none is written.
    """
    from dgbench.runs.index import grown, index
    from dgbench.runs.planning import make_plan
    from dgbench.submissions.make import make

    asked, kept = rules(board, algorithms=algorithms), Store.at(store)
    listed = index(make_plan(asked, trials=grown(rules(board), kept) | grown(asked, kept)))
    return make(asked, listed, kept, out, number=number, authors=authors, code=code)


def write_kit(board: Board, out: Path, *, told: Callable[[str], None] = lambda what: None) -> Path:
    """Write what a method of another code base needs of a board: lists of examples, pictures, no target label.

    Args:
        board: Name, path or rules.
        out: A folder that is not there yet.
        told: Is told what is written.

    Raises:
        DataError: a dataset of the board is not on this machine.
    """
    from dgbench.kit.write import write_kit

    return write_kit(rules(board), out, told=told)


def submission_from_predictions(board: Board, folder: Path, out: Path, *, number: int = 1) -> Path:
    """Write the submission of a method of another code base, from plain tables of its predictions.

    Args:
        board: Name, path or rules.
        folder: ``method.toml``, and a table for each run and checkpoint, as :mod:`dgbench.submissions.tables` says.
        out: The folder that the submission, a folder ``my-method@1``, is put into.
        number: Of the submission, for one method.

    Raises:
        RecordError: a table does not fit; the message names the file.
    """
    from dgbench.submissions.tables import from_tables

    return from_tables(rules(board), folder, out, number=number)


def check_submission(
    folder: Path, *, board: Board | None = None, store: Path | str | None = None, predictions: Path | None = None
) -> Checked:
    """Check a submission. Whatever stands in it, the answer is a list of verdicts.

    Args:
        folder: Where it lies.
        board: What it is held against; by default the board that it names.
        store: Where finished work is kept: what others reached there is compared with it.
        predictions: The folder of a submission whose predictions are looked at, if they do not lie in ``folder``.

    Raises:
        RecordError: the folder is not there, or has no ``submission.json``.
    """
    from dgbench.submissions.check import check
    from dgbench.submissions.place import others, placed

    if not (folder / "submission.json").is_file():
        raise RecordError(
            f"{folder} is no submission: a folder, as 'dgbench submit make' writes it, with submission.json"
        )

    def known(said: Submission, card: BoardCard) -> Others:
        where = submissions_of(card if board is None else board)
        there, average = placed(where) if where else [], card.selection.average
        return others(there, but=said.base, average=average, store=held(card, store))

    if predictions is not None and not (predictions / "predictions").is_dir():
        raise RecordError(f"{predictions} has no folder 'predictions', as 'dgbench submit make' writes one")
    return check(folder, rules(board) if board is not None else None, known, predictions)


def noted(folder: Path, checked: Checked, *, board: Board | None = None) -> Verification | None:
    """What the maintainers of a board have seen of a submission that lies beside its rules; None if it lies elsewhere.

    Args:
        folder: Where it lies.
        checked: What checking it came to.
        board: As for :func:`check_submission`.
    """
    from dgbench.submissions.place import verification

    if checked.submission is None:
        return None
    home = submissions_of(_board_of(checked, board))
    return verification(folder) if home and folder.resolve().parent == home.resolve() else None


def add_submission(
    folder: Path,
    *,
    checked: Checked | None = None,
    board: Board | None = None,
    store: Path | str | None = None,
    into: Path | None = None,
    predictions: bool = True,
) -> Path:
    """Check a submission, and place it beside the rules of its board; where it lies then.

    Args:
        folder, board, store: As for :func:`check_submission`.
        checked: What checking it came to, if that was done.
        into: Where submissions to the board lie, if not beside its ``board.toml``.
        predictions: Whether they are placed, too; a board is computed without them.

    Raises:
        RecordError: it is refused.
        StoreError: another one is there under its name.
    """
    from dgbench.submissions.place import add

    checked = checked or check_submission(folder, board=board, store=store)
    into = into or submissions_of(_board_of(checked, board))
    if into is None:
        raise RecordError("a board without a file has no place for submissions; say where they lie: into=...")
    return add(folder, checked, into, predictions=predictions)


def verify(
    what: Board,
    *,
    trainings: int | None = 1,
    seed: int = 0,
    board: Board | None = None,
    store: Path | str | None = None,
    predictions: Path | None = None,
    device: Device = "auto",
    workers: int | None = None,
    progress: Progress | Callback | None = None,
) -> list[Again]:
    """Do some trainings again, from what identifies them, and compare what they predict.

    A submission that lies beside its board gets the level that it reaches.

    Args:
        what: The folder of a submission; or a board, of which the store holds runs.
        trainings: How many, drawn at random; all of them if None.
        seed: Of the draw.
        board: Of a submission, if not the one that it names.
        store: Where finished work is kept. Nothing of it is used but what is compared.
        predictions: As for :func:`check_submission`. Where there are none, what was announced of them is compared: the
            hash of their file, and the digest and the scores of each stream.
        device, workers, progress: As for :func:`dgbench.run`.

    Raises:
        RecordError: the submission is refused, or nothing of it can be done again here.
        StoreError: the store holds no finished run of the board.
    """
    from dgbench.runs.again import again, part, sample
    from dgbench.runs.planning import at_most, make_plan
    from dgbench.runs.progress import told
    from dgbench.submissions.rerun import Claimed

    hears = told(progress)
    claimed = None
    if not isinstance(what, BoardCard) and (Path(what) / "submission.json").is_file():
        folder = Path(what).resolve()
        checked = check_submission(folder, board=board, store=store, predictions=predictions)
        claimed = Claimed.of(folder, checked, predictions)
        what = _board_of(checked, board)
        card = rules(what, algorithms=[claimed.recipe])
    else:
        card = rules(what)
    try:
        plan = make_plan(card, fetch=True, reading=hears.reading, trials=at_most(card))
        kept = Store.at(store)
        if claimed is not None:
            claimed.known(plan.runs)
            runs = list(claimed.rows)
        else:
            runs = [id_ for id_ in plan.runs if kept.finished("run", id_)]
        if not runs:
            raise StoreError(f"the store {kept.place} holds no finished run of '{card.name}'; 'dgbench run' does them")
        chosen = part(plan, sample(plan, runs, trainings, seed), runs)
        with TemporaryDirectory() as room:
            found = again(
                chosen,
                _against(claimed or kept, card),
                Store(Path(room)),
                device=device,
                workers=workers,
                progress=hears,
            )
    finally:
        hears.stop()
    if claimed is not None and (home := submissions_of(what)) and claimed.folder.parent == home.resolve():
        claimed.vouch(found)
    return found


def _against(before: Claimed | Store, board: BoardCard) -> Callable[[Again, Path], Again]:
    """Compares what a run predicts now with what is known of it before."""
    import polars

    from dgbench.runs.again import announced, compared

    def compare(which: Again, path: Path) -> Again:
        if isinstance(before, Store):
            then = polars.read_parquet(before.file("run", which.run, "predictions.parquet"))
        elif (found := before.then(which.run)) is not None:
            then = found
        else:
            row = before.rows[which.run]
            assert row.sha256 is not None
            return announced(which, row.sha256, row.result.metrics, path, headlines(board)[row.dataset], row.dataset)
        return compared(which, then, polars.read_parquet(path))

    return compare


def _board_of(checked: Checked, board: Board | None) -> Board:
    """What a submission is for: what was said, or else what it says itself."""
    if board is not None:
        return board
    if checked.submission is None:
        raise RecordError("what cannot be read is for no board; 'dgbench submit check' says why")
    return checked.submission.board.name
