"""How a number was computed, in tables and sentences, and as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from statistics import fmean
from typing import Any

import polars as pl

from dgbench.board.explain import Cell
from dgbench.board.explained import Explanation
from dgbench.board.leaderboard import Leaderboard
from dgbench.board.render import text
from dgbench.board.render.report.sections import Report, Section
from dgbench.core.judges import KINDS
from dgbench.core.names import in_short
from dgbench.selection.measure import Measure
from dgbench.selection.measures import RULE
from dgbench.selection.records import CELL
from dgbench.selection.statistics import LEVEL, Estimate

_LEVEL, _ERROR = f"{100 * LEVEL:.0f} %", f"{100 * (1 - LEVEL):.0f} %"
_DETAILED = 1
"""Cells of which candidates and streams are shown one by one; more are shown in a line each."""
_NAMED = 3
"""Runs without predictions that are named."""
_SHOWN = 12
"""Streams that differ and are named."""


def report(found: Explanation) -> Report:
    """For readers: from predictions to the rank."""
    info = found.board.info
    show = text.figures(found.board)
    number = f"{show.with_margin(found.entry.accuracy)}{show.sign}"
    by = f"{number} on {info.title}, models selected by {found.board.criterion.title}"
    return Report("explain", found.entry.title, by, tuple(_sections(found)), dict(found.board.provenance))


def _sections(found: Explanation) -> Iterator[Section]:
    yield _counted(found)
    if len(found.cells) <= _DETAILED:
        for cell in found.cells:
            yield _streams(found, cell)
            yield _choice(found.board, cell)
    else:
        yield _choices(found)
    yield _mean(found)
    yield _interval(found)
    yield _rank(found)


def _counted(found: Explanation) -> Section:
    table, many, runs = found.counted, found.counted.height, found.counted["run"].n_unique()
    said = [
        *text.meant(found.board),
        f"{many} streams of {runs} run{'s' if runs != 1 else ''} were counted again from predictions: {_all(found)}",
    ]
    if found.unseen:
        named = f"{', '.join(found.unseen[:_NAMED])}{' and so on' if len(found.unseen) > _NAMED else ''}"
        said = [*(said if many else ["Nothing was counted again."]), f"Predictions are not at hand of runs: {named}."]
    other = table.filter(~pl.col("same"))
    rows = [
        [
            f"{row['target']}, trial {row['trial']}, draw {row['draw']}, step {row['step']}",
            f"{row['split']}, {row['domain']}, {row['view']}",
            _share(row["accuracy"]),
            _share(row["recorded"]),
        ]
        for row in other.head(_SHOWN).iter_rows(named=True)
    ]
    if found.differs:
        counted, recorded = found.again.accuracy.mean, found.entry.accuracy.mean
        said.append(f"With what was counted the number is {counted:.6f}, where the board says {recorded:.6f}.")
    header = ["Candidate", "Stream", "Counted", "Recorded"] if rows else []
    return Section("counted", "1. Predictions, counted again", header, rows, said)


def _all(found: Explanation) -> str:
    if not found.differs:
        return "accuracy, likelihood, number and digest of each are those of the records."
    return f"{(~found.counted['same']).sum()} of them differ from the records."


def _streams(found: Explanation, cell: Cell) -> Section:
    """The streams of the model that was chosen."""
    by = found.board.info.headline

    def right(accuracy: float | None, n: int) -> list[str]:
        if by.of == "values":
            return []
        return ["–" if accuracy is None or by != RULE else str(round(accuracy * n))]

    one = found.counted.filter(
        target=cell.target, trial=cell.trial, draw=cell.chosen.draw, step=cell.chosen.step
    ).with_columns(domain=pl.col("domain"))
    rows = [
        [
            "target" if row["split"] == "target" else row["domain"],
            row["view"],
            str(row["n"]),
            *right(row["accuracy"], row["n"]),
            _share(row["accuracy"]),
            "yes" if row["split"] == found.board.criterion.split and row["view"] in cell.views else "",
        ]
        for row in one.sort("split", "domain", "view", descending=[True, False, False]).iter_rows(named=True)
    ]
    said = [
        f"Training {cell.training} learnt from {in_short(cell.sources)} of {cell.dataset}, on {cell.device}. Run "
        f"{cell.run} predicted, at step {cell.chosen.step} of draw {cell.chosen.draw}:",
    ]
    if found.board.criterion.split in KINDS:
        said.append("What is in the score was measured by trainings that judge it, and is not counted again here.")
        for domain, views in sorted(cell.streams.items()):
            rows += [
                [domain, view, "–", *right(None, 0), _share(value), "yes"] for view, value in sorted(views.items())
            ]
    title = f"2. Target {cell.target}, trial {cell.trial}: the chosen model"
    shown = [_heading(by)] if by.of == "values" else ["Right", "Share"]
    header = ["Domain", "View", "Images", *shown, "In the score"] if rows else []
    return Section("streams", title, header, rows, said)


def _choice(board: Leaderboard, cell: Cell) -> Section:
    criterion, headline = board.criterion, board.info.headline
    right = f"{cell.chosen.correct} of {cell.chosen.n} images right" if headline == RULE else _recorded(headline)
    rows = [
        [
            f"draw {one.draw}, step {one.step}",
            _share(one.scores[criterion.name]),
            _share(one.accuracy),
            "chosen" if one == cell.chosen else "",
        ]
        for one in cell.candidates
    ]
    said = [
        f"The score is {criterion.said}: {_share(cell.score)}. It is the highest of {len(cell.candidates)}; among "
        "equal ones the earliest step wins, then the lowest draw. The target is looked at afterwards: "
        f"{right}, {_share(cell.chosen.accuracy)}.",
    ]
    header = ["Candidate", "Score", "On the target", ""]
    return Section("choice", f"3. Chosen by {criterion.title}", header, rows, said)


def _choices(found: Explanation) -> Section:
    by = found.board.info.headline
    values = by.of == "values"
    rows = [
        [
            f"{cell.target}, trial {cell.trial}",
            cell.run[:8],
            str(len(cell.candidates)),
            f"draw {cell.chosen.draw}, step {cell.chosen.step}",
            _share(cell.score),
            f"{cell.chosen.correct} of {cell.chosen.n}"
            if found.board.info.headline == RULE
            else f"{'' if values else 'of '}{cell.chosen.n}",
            _share(cell.chosen.accuracy),
        ]
        for cell in found.cells
    ]
    said = [
        f"In each cell, a target in a trial, the candidate with the highest score by {found.board.criterion.title} is "
        "chosen. --target and --trial show all candidates and streams of one."
    ]
    reached = ["Images", _heading(by)] if values else ["Right", "Accuracy"]
    header = ["Cell", "Run", "Of", "Chosen", "Score", *reached]
    return Section("choices", "2. Chosen models", header, rows, said)


def _mean(found: Explanation) -> Section:
    info, entry = found.board.info, found.entry
    cells = {(row[0], row[1]): row[2] for row in _own(found).select("target", "trial", "accuracy").iter_rows()}
    shares = {target: info.weights.get(target, 1.0) for target in entry.targets}
    trials = sorted({trial for _, trial in cells})
    rows = [
        [
            target,
            *(_share(cells.get((target, trial))) for trial in trials),
            _share(estimate.mean),
            f"{shares[target] / sum(shares.values()):.4g}",
        ]
        for target, estimate in entry.targets.items()
    ]
    rows.append(["all targets", *("" for _ in trials), _share(entry.accuracy.mean), "1"])
    said = ["Each target has the mean over its trials; the number is the mean over targets, each with its weight."]
    header = ["Target", *(f"Trial {trial}" for trial in trials), "Mean", "Weight"]
    return Section("mean", f"{_next(found, 0)}. The mean", header, rows, said)


def _interval(found: Explanation) -> Section:
    rows = [
        [
            ", ".join(one.targets),
            f"{one.weight:.4g}",
            str(len(one.trials)),
            _share(fmean(one.trials)),
            _small(one.variance),
        ]
        for one in found.summands
    ]
    own, entry = found.own, found.entry.accuracy
    said = [
        "Targets that one training serves move together: within a trial they are one value, and what is left is "
        "independent. What each adds to the variance of the mean: weight² × variance over trials / trials."
    ]
    if own.error is None or own.df is None:
        said.append("Chance cannot be measured here, so there is no interval.")
    else:
        said.append(f"By its own trials: {_error(own)}.")
        if entry.error is not None and (entry.error, entry.df) != (own.error, own.df):
            said.append(f"Drawn towards what the variances of all ranked algorithms have in common: {_error(entry)}.")
    if entry.margin is not None and entry.interval is not None and entry.error:
        low, high = entry.interval
        said.append(
            f"The {_LEVEL} interval is {entry.mean:.6f} ± {entry.margin / entry.error:.4f} × {entry.error:.6f}"
            f"{'' if entry.even else ', cut at what accuracies can be'}: {low:.6f} to {high:.6f}."
        )
    header = ["Targets", "Weight", "Trials", "Mean", "Adds to the variance"]
    return Section("interval", f"{_next(found, 1)}. The interval", header, rows, said)


def _rank(found: Explanation) -> Section:
    entry, track = found.entry, found.track
    title = f"{_next(found, 2)}. The rank"
    if entry.rank is None or entry.rank_worst is None:
        return Section("rank", title, said=[line for line in text.warnings(found.board, track) if entry.title in line])
    name = found.board.standing.results[entry.algorithm]
    rows, better, worse = [], 0, 0
    for pair in found.pairs:
        other = pair.second if pair.first == name else pair.first
        gap = pair.difference if pair.first == name else -pair.difference
        better, worse = better + (pair.better == other), worse + (pair.better == name)
        verdict = {name: "worse", other: "better"}.get(pair.better or "", "")
        cells = [
            text.title(found.board, other),
            text.figures(found.board).with_margin(gap, sign=True),
            f"{pair.p:.3g}",
            verdict,
        ]
        rows.append(cells)
    results = len(found.pairs) + 1
    said = [
        f"{better} of {len(found.pairs)} other results of the {track.name} track are shown to be better, and {worse} "
        f"to be worse, at {_ERROR} for all pairs together (Holm). So the rank is 1 + {better} = {entry.rank} at best, "
        f"and {results} − {worse} = {entry.rank_worst} at worst."
    ]
    if entry.same_as:
        said.append(f"It predicts the same as {text.title(found.board, entry.same_as)}: the two are one result.")
    header = ["Other", f"{entry.title} minus it", "Corrected p", "It is"] if rows else []
    return Section("rank", title, header, rows, said)


def as_data(found: Explanation) -> dict[str, Any]:
    """For programs; accuracies are shares in [0, 1]."""
    info = found.board.info
    return {
        "board": info.name,
        "rules": info.rules,
        "criterion": found.board.criterion.name,
        "algorithm": found.entry.algorithm,
        "accuracy": _estimate(found.entry.accuracy),
        "counted": {
            "streams": found.counted.height,
            "differ": found.counted.filter(~pl.col("same")).to_dicts(),
            "runs_without_predictions": found.unseen,
            "accuracy": _estimate(found.again.accuracy),
        },
        "cells": [dataclasses.asdict(cell) for cell in found.cells],
        "targets": {target: value.mean for target, value in found.entry.targets.items()},
        "summands": [dataclasses.asdict(one) for one in found.summands],
        "own_trials": _estimate(found.own),
        "rank": found.entry.rank,
        "rank_worst": found.entry.rank_worst,
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                "difference": _estimate(pair.difference),
                "p_corrected": pair.p,
                "better": pair.better,
            }
            for pair in found.pairs
        ],
    }


def _estimate(value: Estimate) -> dict[str, float | int | None]:
    return {
        "mean": value.mean, "low": value.low, "high": value.high, "n": value.n, "error": value.error, "df": value.df
    }  # fmt: skip


def _recorded(by: Measure) -> str:
    """What records hold of a measure, in words: minus an error."""
    return by.title if by.rises else f"minus the {by.title}"


def _heading(by: Measure) -> str:
    said = _recorded(by)
    return said[0].upper() + said[1:]


def _own(found: Explanation) -> pl.DataFrame:
    return found.board.cells.filter(algorithm=found.entry.algorithm).sort(*CELL)


def _next(found: Explanation, after: int) -> int:
    """The number of a step: two steps of one cell come before, one of several."""
    return (4 if len(found.cells) <= _DETAILED else 3) + after


def _error(value: Estimate) -> str:
    return f"a standard error of {value.error:.6f} on {value.df:.2f} degrees of freedom"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}".replace("-", "−")


def _small(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
