"""Missed images as pages show them: a picture where the data is at hand, a name, and what models took it for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from dgbench.board.pictures import portraits
from dgbench.board.render.html import data_uri
from dgbench.site.shown import Shown, ShownBoard


@dataclass(frozen=True)
class Mistake:
    """An image that models got wrong.

    Attributes:
        sample, target: Its name, and the target that it belongs to.
        label, prediction: Its class, and what the surest of the models that were wrong took it for.
        confidence: How sure that one was; None where that is not known.
        missed, seen: How many models were wrong, and how many saw it.
        uri: A picture; None where the data is not at hand.
    """

    sample: str
    target: str
    label: str
    prediction: str
    confidence: float | None
    missed: int
    seen: int
    uri: str | None


def missed_portraits(boards: Sequence[ShownBoard], dataset: str) -> Mapping[tuple[str, int], bytes]:
    """Pictures of all images of a dataset that pages of these boards show as missed, by domain and row."""
    wanted: dict[str, list[tuple[str, int]]] = {}
    for board in boards:
        rows = wanted.setdefault(board.records.manifests.get(dataset, ""), [])
        for table in (*board.misses.by.values(), board.misses.together):
            rows += table.filter(dataset=dataset).select("domain", "index").iter_rows()
    return {
        place: png for manifest, rows in wanted.items() for place, png in portraits(dataset, manifest, rows).items()
    }


def mistakes(table: pl.DataFrame, shown: Shown, targets: Iterable[str]) -> dict[str, list[Mistake]]:
    """The images of a table by target, in the order of the targets; those without any are left out.

    Args:
        table: As :data:`dgbench.board.misses.MISSED`.
        shown: Has the pictures and the names of classes.
        targets: Which, and in which order.
    """
    found: dict[str, list[Mistake]] = {target: [] for target in targets}
    for row in table.iter_rows(named=True):
        if row["target"] in found:
            found[row["target"]].append(_mistake(row, shown))
    return {target: images for target, images in found.items() if images}


def _mistake(row: Mapping[str, Any], shown: Shown) -> Mistake:
    dataset, confidence = str(row["dataset"]), row["confidence"]
    names = shown.classes.get(dataset, ())
    png = shown.portraits.get(dataset, {}).get((row["domain"], row["index"]))
    known = confidence is not None and not math.isnan(confidence)
    return Mistake(
        str(row["sample"]),
        str(row["target"]),
        _class(row["label"], names),
        _class(row["prediction"], names),
        confidence if known else None,
        row["missed"],
        row["seen"],
        data_uri(png) if png is not None else None,
    )


def _class(number: int, names: Sequence[str]) -> str:
    return names[number] if number < len(names) else f"class {number}"
