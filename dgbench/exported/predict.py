"""Asking an exported model about pictures: files, folders, arrays.

Pictures go through the network 128 at a time and through the predictor as many at a time as the board's rules say (32
where they say nothing), on the CPU in one thread: as they do in a run. So the same pictures in the same order get the
same answers, to the last bit, on the same processor with the same versions of torch. How many pictures share a batch
may change last bits; predictors that learn from what they see answer by what they saw before.
"""

from __future__ import annotations

import csv
import itertools
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
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
from dgbench.exported.model import Model
from dgbench.exported.pictures import Given, square_of
from dgbench.runs.deterministic import as_worker
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
    with as_worker(device.type), ThreadPoolExecutor(cores()) as pool:
        waiting: deque[Prediction | str] = deque()
        answers = _Answers(model, device)
        numbered = enumerate(pictures)
        while block := list(itertools.islice(numbered, CHUNK - len(answers.squares))):
            read = pool.map(lambda one: _read(one[1], model), block)
            for (number, given), found in zip(block, read, strict=True):
                name = str(given) if isinstance(given, str | Path) else f"picture {number}"
                waiting.append(Prediction(name, error=found) if isinstance(found, str) else name)
                answers.squares += [] if isinstance(found, str) else [found]
            answers.look(whole=False)
            yield from answers.given(waiting)
        answers.look(whole=True)
        yield from answers.given(waiting)


def _read(given: Given, model: Model) -> NDArray[np.uint8] | str:
    if isinstance(given, str | Path) and Path(given).exists() and not Path(given).is_file():
        return f"{given} is no file"  # reading a pipe might never end
    try:
        return square_of(given, model.card.preprocessing)
    except DataError as error:
        return str(error)


class _Answers:
    """Pictures on their way through a network and a predictor, and what is said of them.

    Args:
        model: Who is asked.
        device: Where.
    """

    def __init__(self, model: Model, device: torch.device) -> None:
        self.model = model
        self.device = device
        self.stream = model.stream()
        self.squares: list[NDArray[np.uint8]] = []
        self.shown: Tensor | None = None
        self.found: deque[tuple[int, float]] = deque()

    def look(self, *, whole: bool) -> None:
        """Let the network see a chunk, and the predictor every batch that is there.

        Args:
            whole: Whether that is all: then the last chunk and the last batch may be smaller.
        """
        if len(self.squares) == CHUNK or (whole and self.squares):
            ready = self.model.ready(torch.from_numpy(np.stack(self.squares)).to(self.device))
            self.squares = []
            with torch.no_grad():
                seen = ready if self.model.sees_images else self.model.features(ready)
            if not seen.isfinite().all():
                raise DGBenchError("the model makes no finite numbers of a picture: its weights are no trained ones")
            self.shown = seen if self.shown is None else torch.cat([self.shown, seen])
        shown = self.model.card.algorithm
        batch = shown.stream_batch
        while self.shown is not None and (len(self.shown) >= batch or (whole and len(self.shown))):
            if shown.stream_mode == "episodic":
                self.stream.reset()
            observe = self.stream.observe if self.model.sees_images else self.stream.observe_features
            scores = observe(self.shown[:batch])
            labels = torch.zeros(len(scores), dtype=torch.int64, device=self.device)
            scored = score(scores, labels, self.model.scores)
            self.found.extend(zip(scored.prediction.tolist(), scored.confidence.tolist(), strict=True))
            self.shown = self.shown[batch:]

    def given(self, waiting: deque[Prediction | str]) -> Iterator[Prediction]:
        """The answers that are there, to those who wait in their order."""
        while waiting and (isinstance(waiting[0], Prediction) or self.found):
            first = waiting.popleft()
            if isinstance(first, Prediction):
                yield first
            else:
                label, confidence = self.found.popleft()
                yield Prediction(first, self.model.classes[label], confidence)


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
