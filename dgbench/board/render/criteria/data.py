"""Judged criteria as tables and as plain data; accuracies and hits are shares in [0, 1], differences of these."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import polars as pl

from dgbench.board.judged import CriteriaBoard, Judged, JudgedTrack, Worth
from dgbench.board.render.criteria import words
from dgbench.board.render.files import columns
from dgbench.selection.judging import CHOICES, CORRELATIONS, Choice
from dgbench.selection.statistics import Estimate

_PART = ("picked", "regret", "lost", "hit", "gain", "gained")
_ENDS = ("", "_low", "_high", "_n")
BASELINES = ("best", "blind")
"""What stands in the place of a criterion for the best choice, and for one at random."""


def table(board: CriteriaBoard) -> pl.DataFrame:
    """The rows of every track."""
    return pl.concat([of_track(track) for track in board.tracks])


def of_track(track: JudgedTrack) -> pl.DataFrame:
    """One row for each choice and criterion, then for both baselines.

    ``picked, regret, lost, hit, gain, gained`` as :class:`dgbench.board.judged.Worth` has them, and the correlations,
    which are the same for all choices; each with both ends of its interval and its number of independent values.
    """
    rows = [
        {"track": track.name, "choice": choice, **_of(name, one), **_worth(worth), **_correlations(one)}
        for choice in CHOICES
        for name, one, worth in _all(track, choice)
    ]
    kinds: dict[str, pl.DataType] = dict.fromkeys(("track", "choice", "criterion", "same_as"), pl.String())
    kinds |= {"sees_target": pl.Boolean(), "rank": pl.Int64(), "rank_worst": pl.Int64()}
    for name in (*_PART, *CORRELATIONS):
        kinds |= {
            name: pl.Float64(),
            f"{name}_low": pl.Float64(),
            f"{name}_high": pl.Float64(),
            f"{name}_n": pl.Int64(),
        }
    return pl.DataFrame(rows, kinds)


def curves(board: CriteriaBoard) -> pl.DataFrame:
    """One row for each track, choice, criterion and size of a search: what it is expected to pick."""
    rows = [
        {"track": track.name, "choice": choice, "criterion": name, "size": size, **columns("picked", picked)}
        for track in board.tracks
        for choice in CHOICES
        for name, _, worth in _all(track, choice)
        for size, picked in enumerate(worth.searches, 1)
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def pairs(board: CriteriaBoard) -> pl.DataFrame:
    """One row for each pair of results that are ranked together: the difference, its own interval, p after Holm."""
    rows = [
        {
            "track": track.name,
            "choice": choice,
            "first": pair.first,
            "second": pair.second,
            **columns("difference", pair.difference),
            "p_corrected": pair.p,
            "better": pair.better,
        }
        for track in board.tracks
        for choice in CHOICES
        for pair in track.pairs[choice]
    ]
    texts = ("track", "choice", "first", "second", "better")
    names = (*texts[:4], *(f"difference{end}" for end in _ENDS), "p_corrected", "better")
    kinds = {name: pl.String() if name in texts else pl.Float64() for name in names}
    return pl.DataFrame(rows, kinds | {"difference_n": pl.Int64()})


def models(board: CriteriaBoard) -> pl.DataFrame:
    """One row for each model: its accuracy on the target, and its score by each criterion. All follows from these."""
    named = [track.points.select(pl.lit(track.name).alias("track"), pl.all()) for track in board.tracks]
    return pl.concat(named, how="diagonal")


def as_data(board: CriteriaBoard) -> dict[str, Any]:
    """Judged criteria for programs."""
    return {
        "board": board.info.name,
        "rules": board.info.rules,
        "trials": board.info.trials,
        "draws": board.info.draws,
        "missing": board.missing,
        "failed": [dataclasses.asdict(one) for one in board.failed],
        "said": words.headline(board),
        "criteria": table(board).to_dicts(),
        "curves": curves(board).to_dicts(),
        "pairs": pairs(board).to_dicts(),
        "refusals": {track.name: dict(track.refusals) for track in board.tracks},
        "provenance": dict(board.provenance),
    }


def _all(track: JudgedTrack, choice: Choice) -> Iterator[tuple[str, Judged | None, Worth]]:
    """The criteria of a track by name, then the baselines."""
    for one in track.criteria:
        yield one.criterion.name, one, one.choices[choice]
    yield from zip(BASELINES, (None, None), (track.best[choice], track.blind[choice]), strict=True)


def _of(name: str, one: Judged | None) -> dict[str, str | bool | None]:
    sees = not one.criterion.ranks if one else name == "best"
    return {"criterion": name, "sees_target": sees, "same_as": one.same_as if one else None}


def _worth(worth: Worth) -> dict[str, float | int | None]:
    found: dict[str, float | int | None] = {"rank": worth.rank, "rank_worst": worth.rank_worst}
    for name in _PART:
        value: Estimate | None = getattr(worth, name)
        found |= columns(name, value)
    return found


def _correlations(one: Judged | None) -> dict[str, float | int | None]:
    found: dict[str, float | int | None] = {}
    for name in CORRELATIONS:
        found |= columns(name, one.correlations[name] if one else None)
    return found


TABLES = {"criteria": table, "curves": curves, "pairs": pairs, "models": models}
"""Every table by name."""
