"""Which images of the targets the chosen models got wrong: of one algorithm, and of all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from dgbench.selection.measures import OnTarget
from dgbench.selection.predictions import of_values

IMAGE = ("dataset", "target", "domain", "index", "sample", "label")
"""What tells an image: ``index`` is its row in ``domain`` of ``dataset``, ``sample`` its name, ``label`` its class."""

MISSED = pl.Schema(
    {
        "dataset": pl.String(),
        "target": pl.String(),
        "domain": pl.String(),
        "index": pl.Int32(),
        "sample": pl.String(),
        "label": pl.Int16(),
        "prediction": pl.Int16(),
        "confidence": pl.Float32(),
        "missed": pl.UInt32(),
        "seen": pl.UInt32(),
    }
)
"""One row for each image that models got wrong.

``prediction`` is the wrong class that a model was most sure of, ``confidence`` how sure it was (NaN where that is not
known); ``missed`` counts the models that were wrong about the image, ``seen`` those that predicted it.
"""
MOST = 48
"""Images that are shown of one algorithm, or of one dataset; at least :data:`LEAST` of each target."""
LEAST = 3


@dataclass(frozen=True)
class Misses:
    """What chosen models missed on a board.

    Attributes:
        by: Of each algorithm the images of each target, the most confident mistakes first: at most :data:`MOST` or
            three for each target.
        together: Of all algorithms the images that most models missed, as many.
        always: Of each algorithm by target, how many images it missed in every trial, and of how many.
    """

    by: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    together: pl.DataFrame = field(default_factory=MISSED.to_frame)
    always: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)


def misses(cells: pl.DataFrame, on_target: OnTarget) -> Misses:
    """Look through the predictions of chosen models; those that are not at hand are left out.

    Args:
        cells: As ``Leaderboard.cells`` has them.
        on_target: Where their predictions come from.
    """
    count = max(LEAST, MOST // max(cells["target"].n_unique(), 1))
    by, always, together = {}, {}, MISSED.to_frame()
    for (name,), own in cells.group_by("algorithm", maintain_order=True):
        tables = []
        for run, step, dataset, target in own.select("run", "step", "dataset", "target").iter_rows():
            predictions = on_target(str(name), run)
            if predictions is not None and not of_values(predictions):  # a value is not right or wrong
                place = (pl.lit(dataset).alias("dataset"), pl.lit(target).alias("target"))
                tables.append(predictions.filter(pl.col("step") == step).select(*place, *_KEPT))
        if tables:
            images = _images(pl.concat(tables))
            by[str(name)] = _first(images.filter(pl.col("missed") > 0), ["confidence", "missed"], count)
            all_of_them = pl.col("missed") == pl.col("seen")
            counts = images.group_by("target").agg(all_of_them.sum(), pl.len().alias("of")).iter_rows()
            always[str(name)] = {target: (missed, of) for target, missed, of in counts}
            together = _summed(together, images)
    return Misses(by, _first(together.filter(pl.col("missed") > 0), ["missed", "confidence"], count), always)


_KEPT = ("domain", "index", "sample", "label", "prediction", "confidence")


def _images(predictions: pl.DataFrame) -> pl.DataFrame:
    """One row for each image, missed or not, as :data:`MISSED`."""
    wrong = pl.col("prediction") != pl.col("label")
    sure = pl.col("confidence").fill_null(float("nan"))
    # of equally sure ones the lowest class, so that no order decides
    ordered = predictions.with_columns(confidence=sure).sort("confidence", "prediction", descending=[True, False])
    return (
        ordered.group_by(IMAGE)
        .agg(
            pl.col("prediction").filter(wrong).first(),
            pl.col("confidence").filter(wrong).first(),
            missed=wrong.sum(),
            seen=pl.len(),
        )
        .select(pl.col(name).cast(kind) for name, kind in MISSED.items())
    )


def _summed(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Models of both, image by image; of their mistakes the one that was made more surely."""
    ordered = pl.concat([one, other]).sort("confidence", "prediction", descending=[True, False], nulls_last=True)
    return (
        ordered.group_by(IMAGE)
        .agg(pl.col("prediction", "confidence").drop_nulls().first(), pl.col("missed", "seen").sum())
        .select(pl.col(name).cast(kind) for name, kind in MISSED.items())
    )


def _first(images: pl.DataFrame, by: list[str], count: int) -> pl.DataFrame:
    """The first rows of each target; of those that stand alike the one with the lower name."""
    order = images.with_columns(pl.col("confidence").fill_nan(None)).sort(
        "target", *by, "sample", descending=[False, True, True, False], nulls_last=True
    )
    return order.group_by("target", maintain_order=True).head(count).select(*MISSED)
