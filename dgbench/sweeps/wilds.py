"""Predictions in the form in which WILDS takes submissions, and what its measures say of them.

    DIR/.../DATASET_split:SPLIT_seed:N_epoch:E_pred.csv   a predicted class on each line, in the order of the split

The form is that of the leaderboards of P. W. Koh et al., "WILDS: A Benchmark of in-the-Wild Distribution Shifts", ICML
2021. Files hold classes and nothing else, so their rows are matched by order with the labels that the dataset has on
this machine. They are read as numbers, never evaluated. What each folder holds is one method. The measures are the
official one of the dataset's card, its adjusted average where groups have weights, and accuracy.
"""

from __future__ import annotations

import math
import re
import statistics as stdlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import RecordError, StoreError, did_you_mean, shown
from dgbench.core.visible import visible
from dgbench.data.disk.parts import parts
from dgbench.data.listing import Part
from dgbench.selection.measure import Measure
from dgbench.selection.measures import MEASURES, measure
from dgbench.selection.statistics import SHARE, Estimate, estimate

DATASETS = ("camelyon17", "fmow", "iwildcam", "waterbirds")
"""Those whose predictions are read. Waterbirds is none of the benchmark, but of the package."""
SEEDS: Mapping[str, int] = {"camelyon17": 10, "fmow": 3, "iwildcam": 3}
"""How many seeds the leaderboards ask for, from 0 on."""
_NAME = re.compile(
    r"([a-z0-9-]{1,40})_split:([a-z_]{1,20})_seed:([0-9]{1,9})(?:_(?:epoch:)?(.{0,60}?))?(?:_?pred)?\.csv"
)
_WIDEST = 32
"""Bytes of a line."""


@dataclass(frozen=True)
class Cell:
    """What a method reaches on a split.

    Attributes:
        method: Its folder, as it is called below the one that was asked for; ``.`` for that one itself.
        dataset, split: As WILDS calls them.
        examples: Of the split.
        seeds: Those that there are.
        values: By measure, the official one first: the value of each seed, in [0, 1]; None where it is not known.
    """

    method: str
    dataset: str
    split: str
    examples: int
    seeds: tuple[int, ...]
    values: Mapping[str, tuple[float, ...] | None]

    def estimate(self, measure: str) -> Estimate | None:
        """The mean over seeds with its t-interval."""
        values = self.values[measure]
        return None if values is None else replace(estimate([values]), within=SHARE)

    def deviation(self, measure: str) -> float | None:
        """The standard deviation over seeds (ddof 1), which WILDS shows; None of a single one."""
        values = self.values[measure]
        return stdlib.stdev(values) if values is not None and len(values) > 1 else None


@dataclass(frozen=True)
class Predicted:
    """What a folder holds.

    Attributes:
        folder: Where it lies.
        cells: By dataset, method and split in the dataset's order; never empty.
        foreign: Of datasets that dgbench does not read, how many files there are.
        other_epochs: How many files of other epochs than the one that was asked for there are.
    """

    folder: Path
    cells: tuple[Cell, ...]
    foreign: Mapping[str, int]
    other_epochs: int = 0


def measures_of(card: DatasetCard) -> tuple[Measure, ...]:
    """By what a dataset is judged, its official measure first."""
    weighted = ("adjusted",) if any(group.weight for group in card.official.groups) else ()
    return tuple(MEASURES[name] for name in dict.fromkeys((card.measure, *weighted, "accuracy")))


def read_predictions(folder: Path, epoch: str | None = None) -> Predicted:
    """Read every file of predictions in a folder and below it, and judge it.

    Args:
        folder: Holds them.
        epoch: Which of several epochs counts, as the names of files say it: ``best``, ``last`` or a number.

    Raises:
        StoreError: there is no such folder, or no file of predictions in it that counts.
        RecordError: a file does not fit; the message names it, the line and the remedy.
        DataError: a dataset that is predicted is not on this machine.
    """
    if not folder.is_dir():
        raise StoreError(f"{folder}: is no folder; name the one that holds the files of predictions")
    files, foreign, others = _files(folder, epoch)
    if not files:
        raise StoreError(f"{folder}: {_nothing(foreign, others, epoch)}")
    cells = []
    for dataset in DATASETS:
        own = {key: found for key, found in files.items() if key[1] == dataset}
        if own:
            card = dataset_card(dataset)
            known = parts(card)
            order = list(known)
            for (_, _, split), found in own.items():
                if split not in known:
                    path = next(iter(found.values()))
                    raise RecordError(
                        f"{visible(str(path))}: '{dataset}' has no split {shown(split)}.{did_you_mean(split, order)}"
                    )
            for method, _, split in sorted(own, key=lambda key: (key[0], order.index(key[2]))):
                cells.append(_cell(card, method, split, known[split], own[method, dataset, split]))
    return Predicted(folder, tuple(cells), foreign, others)


_Files = dict[tuple[str, str, str], dict[int, Path]]
"""By method, dataset and split, the file of each seed."""


def _files(folder: Path, epoch: str | None) -> tuple[_Files, dict[str, int], int]:
    """What there is, by its names; how many files of other datasets; how many of other epochs."""
    found: _Files = defaultdict(dict)
    foreign: dict[str, int] = defaultdict(int)
    others = 0
    for path in sorted(folder.rglob("*_split:*.csv")):
        named = _NAME.fullmatch(path.name)
        dataset = path.name.partition("_split:")[0]
        if named is None and dataset in DATASETS:
            raise RecordError(
                f"{visible(str(path))}: rename it; it should be {dataset}_split:SPLIT_seed:NUMBER_epoch:EPOCH_pred.csv"
            )
        if named is None or dataset not in DATASETS:
            foreign[visible(dataset)] += 1
            continue
        if epoch is not None and (named[4] or "") != epoch:
            others += 1
            continue
        method = visible(str(path.parent.relative_to(folder)))
        seeds, seed = found[method, dataset, named[2]], int(named[3])
        if seed in seeds:
            raise RecordError(
                f"{visible(str(path))}: there is {visible(seeds[seed].name)} of the same split and seed, too; say "
                f"which epoch counts, as --epoch {_epoch(path)}, or keep one of them"
            )
        seeds[seed] = path
    return found, foreign, others


def _epoch(path: Path) -> str:
    named = _NAME.fullmatch(path.name)
    return (named and named[4]) or "best"


def _nothing(foreign: Mapping[str, int], others: int, epoch: str | None) -> str:
    if others:
        return f"has no file of the epoch {shown(epoch)}, and {others} of others"
    if foreign:
        return f"has predictions of {', '.join(foreign)}; dgbench reads those of {', '.join(DATASETS)}"
    return "has no file that is called DATASET_split:SPLIT_seed:NUMBER_epoch:EPOCH_pred.csv, nor has any folder in it"


def _cell(card: DatasetCard, method: str, split: str, part: Part, files: Mapping[int, Path]) -> Cell:
    asked = measures_of(card)
    seeds = sorted(files)
    tables = [_table(part, _classes(files[seed], card, split, part), seed) for seed in seeds]
    judged = measure(pl.concat(tables), ["seed"], card.official.groups).sort("seed")
    accuracies = pl.concat(tables).group_by("seed").agg(accuracy=(pl.col("prediction") == pl.col("label")).mean())
    whole = judged.join(accuracies, on="seed", maintain_order="left")
    values = {each.name: _known(whole[each.name].to_list()) for each in asked}
    return Cell(method, card.name, split, len(part), tuple(seeds), values)


def _known(values: Sequence[float | None]) -> tuple[float, ...] | None:
    known = tuple(value for value in values if value is not None and not math.isnan(value))
    return known if len(known) == len(values) else None


def _table(part: Part, classes: NDArray[np.int64], seed: int) -> pl.DataFrame:
    """What was predicted, as measures read it."""
    columns = {"label": part.labels, "prediction": classes}
    return pl.DataFrame(columns).with_columns(
        pl.Series("group", part.judged, pl.Int64) if part.judged is not None else pl.lit(None, pl.Int64).alias("group"),
        pl.lit(None, pl.Float32).alias("confidence"),
        pl.lit(None, pl.Int8).alias("familiar"),
        pl.lit(seed, pl.Int64).alias("seed"),
    )


def _classes(path: Path, card: DatasetCard, split: str, part: Part) -> NDArray[np.int64]:
    """The classes in a file, int64 ``[n]``; empty lines are read over.

    Raises:
        RecordError: there are not as many as examples, or one is no class.
    """
    where = visible(str(path))
    if not path.is_file():  # as a pipe that never ends
        raise StoreError(f"{where}: is no plain file; take it away")
    try:
        with path.open("rb") as file:
            content = file.read(_WIDEST * (len(part) + 2))
            more = bool(file.read(1))
    except OSError as error:
        raise StoreError(
            f"{where}: cannot be read ({error.strerror}); mend its permissions, or take it away"
        ) from error
    found = [_class(line, card, f"{where}, line {number}") for number, line in _lines(content)]
    if more or len(found) != len(part):
        count = f"more than {len(found):,}" if more else f"{len(found):,}"
        raise RecordError(
            f"{where}: has {count} predictions, and the split '{split}' of '{card.name}' has {len(part):,} examples; "
            f"predict the whole split, in its order"
        )
    return np.array(found, np.int64)


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            yield number, line.strip()


_NUMBER = re.compile(rb"([0-9]{1,9})(?:\.0*)?")


def _class(line: bytes, card: DatasetCard, at: str) -> int:
    written = _NUMBER.fullmatch(line)
    if written is None or int(written[1]) >= card.class_count:
        remedy = (
            "there is no header, and no second column" if written is None else "count classes from 0, as the dataset"
        )
        raise RecordError(
            f"{at}: expected a predicted class, a whole number from 0 to {card.class_count - 1}, got "
            f"{shown(line.decode('utf-8', 'backslashreplace'))}; {remedy}"
        )
    return int(written[1])


def notes(found: Predicted) -> Iterator[str]:
    """What a reader must know: what was left out, and where fewer or other seeds are there than WILDS asks for."""
    for dataset, count in sorted(found.foreign.items()):
        yield f"Left out: {count:,} files of {dataset}, which dgbench does not read."
    if found.other_epochs:
        yield f"Left out: {found.other_epochs:,} files of other epochs."
    uneven: dict[tuple[str, str, tuple[int, ...]], list[str]] = defaultdict(list)
    for cell in found.cells:
        if cell.seeds != tuple(range(SEEDS.get(cell.dataset, len(cell.seeds)))):
            uneven[cell.method, cell.dataset, cell.seeds].append(cell.split)
    for (method, dataset, seeds), splits in uneven.items():
        asked = f"; the leaderboard of WILDS asks for 0 to {SEEDS[dataset] - 1}" if dataset in SEEDS else ""
        yield f"{method}, {dataset}, {', '.join(splits)}: seeds {', '.join(map(str, seeds))}{asked}."
