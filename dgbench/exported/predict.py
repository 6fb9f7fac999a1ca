"""Asking an exported model about pictures: files, folders, arrays.

Pictures go through the network 128 at a time and through the predictor 32 at a time, on the CPU in one thread: as they
do in a run. So the same pictures in the same order get the same answers, to the last bit, on the same processor with
the same versions of torch. How many pictures share a batch may change last bits; predictors that learn from what they
see answer by what they saw before.
"""

from __future__ import annotations

import csv
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgbench.core.errors import DataError, DGBenchError
from dgbench.core.files import whole
from dgbench.core.processes import cores
from dgbench.core.visible import visible
from dgbench.data.pixels.suffixes import divide
from dgbench.exported.model import ImageStream, Model
from dgbench.exported.pictures import Given, square_of
from dgbench.runs.deterministic import as_worker
from dgbench.runs.plan import STREAM_BATCH
from dgbench.train.evaluate import CHUNK, score


@dataclass(frozen=True)
class Prediction:
    """What a model says of a picture.

    Attributes:
        picture: Its path, or its number where it has none.
        label: Name of the predicted class; None where the picture cannot be read.
        confidence: Probability of that class.
        error: Why it cannot be read.
    """

    picture: str
    label: str | None = None
    confidence: float | None = None
    error: str | None = None


def predictions(model: Model, pictures: Iterable[Given]) -> Iterator[Prediction]:
    """What a model says of pictures, in their order; those that cannot be read are said, and the rest goes on.

    One stream is shown to a predictor that learns from what it sees; it begins with the first picture.
    """
    device = next(model.network.parameters()).device
    stream = model.stream()
    with as_worker(device.type), ThreadPoolExecutor(cores()) as pool:
        waiting: list[Prediction | None] = []
        squares: list[NDArray[np.uint8]] = []
        names: list[str] = []
        numbered = enumerate(pictures)
        while block := list(itertools.islice(numbered, CHUNK - len(squares))):
            read = pool.map(lambda one: _read(one[1], model), block)
            for (number, given), found in zip(block, read, strict=True):
                names.append(str(given) if isinstance(given, str | Path) else f"picture {number}")
                waiting.append(Prediction(names[-1], error=found) if isinstance(found, str) else None)
                squares += [] if isinstance(found, str) else [found]
            if len(squares) == CHUNK:
                yield from _answered(model, stream, names, waiting, squares, device)
                names, waiting, squares = [], [], []
        yield from _answered(model, stream, names, waiting, squares, device)


def _read(given: Given, model: Model) -> NDArray[np.uint8] | str:
    if isinstance(given, str | Path) and Path(given).exists() and not Path(given).is_file():
        return f"{given} is no file"  # reading a pipe might never end
    try:
        return square_of(given, model.card.preprocessing)
    except DataError as error:
        return str(error)


def _answered(
    model: Model,
    stream: ImageStream,
    names: Sequence[str],
    waiting: Sequence[Prediction | None],
    squares: Sequence[NDArray[np.uint8]],
    device: torch.device,
) -> Iterator[Prediction]:
    """The answers to a chunk, among those of its pictures that cannot be read."""
    found = iter(()) if not squares else _classified(model, stream, np.stack(squares), device)
    for name, known in zip(names, waiting, strict=True):
        if known is not None:
            yield known
        else:
            label, confidence = next(found)
            yield Prediction(name, model.classes[label], confidence)


def _classified(
    model: Model, stream: ImageStream, squares: NDArray[np.uint8], device: torch.device
) -> Iterator[tuple[int, float]]:
    with torch.no_grad():
        features: Tensor = model.features(model.ready(torch.from_numpy(squares).to(device)))
    scores = torch.cat([stream.observe_features(batch) for batch in torch.split(features, STREAM_BATCH)])
    scored = score(scores, torch.zeros(len(scores), dtype=torch.int64, device=device), model.scores)
    return zip(scored.prediction.tolist(), scored.confidence.tolist(), strict=True)


def table(found: Iterable[Prediction]) -> pl.DataFrame:
    """Predictions as columns ``picture, class, confidence, error``; names that are no text are shown by escapes."""
    rows = [(visible(one.picture), one.label, one.confidence, one.error) for one in found]
    columns = {"picture": pl.String(), "class": pl.String(), "confidence": pl.Float32(), "error": pl.String()}
    return pl.DataFrame(rows, schema=columns, orient="row")


def write_csv(path: Path, found: Iterable[Prediction]) -> None:
    """Write the columns ``picture, class, confidence`` of what could be read; paths as they are where they are text.

    Raises:
        DiskError: the file cannot be written.
    """
    with whole(path) as temporary, temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("picture", "class", "confidence"))
        rows.writerows((one.picture, one.label, np.float32(one.confidence)) for one in found if one.error is None)


def pictures_of(given: Iterable[Given]) -> tuple[list[Given], dict[str, int]]:
    """The pictures that are meant: files as they are, whatever they are called; of folders all images, by their names.

    Returns:
        What was given, but in place of a folder its pictures, sorted by path; and how many files of other kinds of
        images lie among those.

    Raises:
        DGBenchError: a path leads nowhere, or a folder has no picture.
    """
    found: list[Given] = []
    others: Counter[str] = Counter()
    for one in given:
        if not isinstance(one, str | Path) or not Path(one).is_dir():
            if isinstance(one, str | Path) and not os.path.lexists(one):
                raise DGBenchError(f"{visible(str(one))}: there is no such picture or folder")
            found.append(one)
            continue
        below: list[Path] = []
        for folder, folders, names in os.walk(one):
            folders[:] = [name for name in folders if not name.startswith(".")]
            images, left = divide(Path(folder), names)
            below += [path for name in images if (path := Path(folder, name)).is_file() or path.is_symlink()]
            others += left
        if not below:
            raise DGBenchError(f"{visible(str(one))}: no picture lies in this folder or below it")
        found += sorted(below)
    return found, dict(others)
