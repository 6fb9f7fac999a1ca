"""Image by image: which of two algorithms was right, and on which images they part most often."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from dgbench.core.errors import StoreError
from dgbench.selection.measures import OnTarget
from dgbench.selection.statistics import mcnemar

SEEN = ("domain", "index", "sample", "label", "prediction", "p_label")
"""Columns of :data:`dgbench.selection.predictions.PREDICTIONS` that are read."""

FLIPPED = pl.Schema(
    {
        "target": pl.String(),
        "dataset": pl.String(),
        "domain": pl.String(),
        "index": pl.Int32(),
        "sample": pl.String(),
        "label": pl.Int16(),
        "trials": pl.UInt32(),
        "only_first": pl.UInt32(),
        "only_second": pl.UInt32(),
        "said_first": pl.List(pl.Int16()),
        "said_second": pl.List(pl.Int16()),
        "shift": pl.Float64(),
    }
)
"""One row for each image of a target on which the two parted in some trial, the most often parted on first.

``index`` is its row in ``domain`` of ``dataset``, ``sample`` its name, ``label`` its class. ``trials`` counts those in
which it was predicted, ``only_first`` and ``only_second`` those in which one alone was right; ``said_first`` and
``said_second`` are the predicted classes, trial by trial. ``shift`` is the mean change of the probability of its class,
from the first to the second, in [-1, 1]."""


@dataclass(frozen=True)
class Flips:
    """The images of one target in one trial.

    Attributes:
        target, trial: Which.
        both, first, second, neither: How many images both got right, the first alone, the second alone, and neither.
    """

    target: str
    trial: int
    both: int
    first: int
    second: int
    neither: int

    @property
    def n(self) -> int:
        """How many images there are."""
        return self.both + self.first + self.second + self.neither

    @cached_property
    def p(self) -> float:
        """Of McNemar's exact test, with these two models: :func:`dgbench.selection.statistics.mcnemar`."""
        return mcnemar(self.first, self.second)


def flips(first: pl.DataFrame, second: pl.DataFrame, on_target: OnTarget) -> tuple[tuple[Flips, ...], pl.DataFrame]:
    """Where two algorithms part, in the models that were chosen for each target and trial.

    Args:
        first, second: The cells of each, as ``Leaderboard.cells`` has them.
        on_target: Reads predictions.

    Returns:
        The counts for each target and trial, and the images as :data:`FLIPPED`. Cells of which some prediction is not
        at hand are left out.

    Raises:
        StoreError: the two were shown other images in one cell.
    """
    counts, parted = [], []
    other = {(row["target"], row["trial"]): row for row in second.iter_rows(named=True)}
    for one in first.sort("target", "trial").iter_rows(named=True):
        two = other.get((one["target"], one["trial"]))
        if two is None:
            continue
        tables = [(cell["step"], on_target(cell["algorithm"], cell["run"])) for cell in (one, two)]
        seen = [table.filter(pl.col("step") == step).select(SEEN) for step, table in tables if table is not None]
        if len(seen) == 2:
            cell = _side_by_side(seen[0], seen[1], f"target {one['target']}, trial {one['trial']}")
            counts.append(_count(one["target"], one["trial"], cell))
            place = (pl.lit(one["target"]).alias("target"), pl.lit(one["dataset"]).alias("dataset"))
            parted.append(cell.with_columns(*place, trial=pl.lit(one["trial"])))
    return tuple(counts), _images(parted)


def _side_by_side(first: pl.DataFrame, second: pl.DataFrame, where: str) -> pl.DataFrame:
    key = ["domain", "sample"]
    cell = first.join(second.select(*key, "label", "prediction", "p_label"), on=key, suffix="_2", validate="1:1")
    if not cell.height == first.height == second.height or (cell["label"] != cell["label_2"]).any():
        raise StoreError(f"{where}: the two were not shown the same images with the same classes, so they do not pair")
    return cell.with_columns(
        right_1=pl.col("prediction") == pl.col("label"), right_2=pl.col("prediction_2") == pl.col("label")
    )


def _count(target: str, trial: int, cell: pl.DataFrame) -> Flips:
    one, two = cell["right_1"], cell["right_2"]
    return Flips(
        target,
        trial,
        both=int((one & two).sum()),
        first=int((one & ~two).sum()),
        second=int((~one & two).sum()),
        neither=int((~one & ~two).sum()),
    )


def _images(cells: Iterable[pl.DataFrame]) -> pl.DataFrame:
    cells = list(cells)
    if not cells:
        return FLIPPED.to_frame()
    parted = pl.concat(cells).sort("trial")
    images = parted.group_by("target", "dataset", "domain", "sample", maintain_order=True).agg(
        pl.col("index", "label").first(),
        trials=pl.len(),
        only_first=(pl.col("right_1") & ~pl.col("right_2")).sum(),
        only_second=(~pl.col("right_1") & pl.col("right_2")).sum(),
        said_first=pl.col("prediction"),
        said_second=pl.col("prediction_2"),
        shift=(pl.col("p_label_2").cast(pl.Float64) - pl.col("p_label")).mean(),
    )
    flipped = pl.col("only_first") + pl.col("only_second")
    return (
        images.filter(flipped > 0)
        .sort(flipped, pl.col("shift").abs(), "target", "sample", descending=[True, True, False, False])
        .select(pl.col(name).cast(kind) for name, kind in FLIPPED.items())
    )


def most_flipped(images: pl.DataFrame, count: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The images that the first alone got right in the most trials, and those that the second alone did.

    Args:
        images: As :data:`FLIPPED`.
        count: Of each, at most. Of images that stand alike those come first whose probability changed most.
    """
    ahead = {"only_first": "only_second", "only_second": "only_first"}
    found = [
        images.filter(pl.col(name) > pl.col(other))
        .sort(name, other, pl.col("shift").abs(), descending=[True, False, True], maintain_order=True)
        .head(count)
        for name, other in ahead.items()
    ]
    return found[0], found[1]
