"""The public functions of models: they leave a board, are trained for use, read back, and asked about pictures.

    dgbench.deploy("own", "model")
    model = dgbench.load("model")
    frame = dgbench.predict(model, "pictures")
    found = dgbench.reliance(model, "pictures", "masks")

Boards and the store are given as for :mod:`dgbench.api.boards`. Nothing here imports torch before it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dgbench.api.boards import Board, Device, rules
from dgbench.core.disk import writing
from dgbench.core.judges import asked_for
from dgbench.core.paths import cache_root
from dgbench.runs.store import Store

if TYPE_CHECKING:
    import polars as pl

    from dgbench.exported.card import ModelCard
    from dgbench.exported.model import Model
    from dgbench.exported.pictures import Given
    from dgbench.exported.reliance import Reliance
    from dgbench.runs.progress import Callback, Progress


def export(
    board: Board,
    algorithm: str,
    folder: str | Path,
    *,
    target: str | None = None,
    trial: int = 0,
    criterion: str | None = None,
    store: Path | str | None = None,
    device: Device = "auto",
) -> ModelCard:
    """Write the model that a criterion chose for an algorithm as a folder, with all that it takes to use it.

    Args:
        board, algorithm: A board, and a recipe such as ``"sam + t3a"`` whose runs are finished.
        folder: Where; an exported model that is there is replaced, nothing else is.
        target, trial: The domain that was left out, by default the board's first, and the repetition.
        criterion: What chooses among draws and checkpoints, in place of the board's own.
        store, device: Where the work is kept; where statistics or memories are computed if they are needed.

    Returns:
        What is said of the model: ``card.json`` in the folder.

    Raises:
        StoreError: runs are missing, or there is no such target or trial.
        DGBenchError: the recipe does not fit, the criterion reads target labels, or the folder holds something else.
    """
    from dgbench.exported.choose import chosen
    from dgbench.exported.write import refuse_foreign, write
    from dgbench.runs.device import resolve_device

    card, kept, path = rules(board, criterion=asked_for(criterion)), Store.at(store), Path(folder)
    refuse_foreign(path)
    choice = chosen(card, algorithm, kept, criterion=criterion or card.criterion, target=target, trial=trial)
    return write(choice, kept, path, resolve_device(device))


def deploy(
    board: Board,
    folder: str | Path,
    *,
    criterion: str | None = None,
    store: Path | str | None = None,
    device: Device = "auto",
    workers: int | None = None,
    progress: Progress | Callback | None = None,
) -> ModelCard:
    """Make a model for domains that nobody has seen: the recipe that validation elects, trained on all domains.

    Args:
        board: Name, path or rules, of one dataset; its runs are finished.
        folder: Where; an exported model that is there is replaced, nothing else is.
        criterion: What elects the recipe and chooses the checkpoint, in place of the board's own.
        store, device, workers, progress: As for :func:`run`; the training is kept in the store.

    Returns:
        What is said of the model: also what to expect of it, and what is not promised.

    Raises:
        StoreError: runs of the board are missing.
        DGBenchError: the training failed, or the folder holds something else.
    """
    from dgbench.exported.deploy import deploy as make
    from dgbench.runs.progress import told

    card, kept, hears = rules(board, criterion=asked_for(criterion)), Store.at(store), told(progress)
    by = criterion or card.criterion
    try:
        with writing(kept.root, cache_root()):
            return make(card, kept, Path(folder), criterion=by, device=device, workers=workers, progress=hears)
    finally:
        hears.stop()


def load(folder: str | Path, device: str = "cpu") -> Model:
    """Read an exported model as a torch module: ``model(model.transform("picture.jpg")[None])`` are its scores.

    Predictors that learn from what they see have a ``model.stream()``. Nothing in the folder is executed or fetched.

    Args:
        folder: Where it lies.
        device: What it is put on: ``cpu``, ``cuda``, ``mps``.

    Raises:
        DGBenchError: the folder is no exported model, or not what its card says.
    """
    from dgbench.exported.model import load as read

    return read(Path(folder), device)


def predict(
    model: str | Path | Model, pictures: str | Path | Sequence[Given], *, device: Device = "auto"
) -> pl.DataFrame:
    """Ask an exported model, given by its folder or as :func:`load` made it, about pictures.

    Args:
        model: Which; one that is loaded stays where it is.
        pictures: A file, a folder (all pictures below it, sorted), or a list of these, of Pillow's pictures, of arrays.
        device: For a folder: ``auto`` takes an accelerator where there is one.

    Returns:
        Columns ``picture, class, confidence, error``, a row for each picture, in order; ``error`` says why one cannot
        be read, and class and confidence are null then.

    Raises:
        DGBenchError: the folder is no exported model, or a path leads nowhere.
    """
    from dgbench.exported.predict import pictures_of, predictions, table
    from dgbench.runs.device import resolve_device

    read = load(model, resolve_device(device)) if isinstance(model, str | Path) else model
    given, _ = pictures_of([pictures] if isinstance(pictures, str | Path) else pictures)
    return table(predictions(read, given))


def reliance(
    model: str | Path | Model, pictures: str | Path, masks: str | Path, *, device: Device = "auto"
) -> Reliance:
    """Find out whether an exported model relies on the foreground or on the background of pictures.

    Args:
        model, device: As for :func:`predict`.
        pictures: A folder. Where the folders in it that pictures lie in are called as the model's classes are, these
            are their true classes.
        masks: A folder laid out alike: for ``a/b.jpg`` a PNG ``a/b.png`` of the same size, white where the foreground
            is and black elsewhere; of greys the brighter half is foreground.

    Raises:
        DGBenchError: the folder is no exported model, or a path leads nowhere.
        DataError: a picture or a mask cannot be read, a mask is missing or has another size than its picture, or no
            picture has both foreground and background.
    """
    from dgbench.exported.reliance import reliance as asked
    from dgbench.runs.device import resolve_device

    read = load(model, resolve_device(device)) if isinstance(model, str | Path) else model
    return asked(read, Path(pictures), Path(masks))
