"""How a number came about: every step from the predictions of a run to a board's mean, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from dgbench.board.leaderboard import Leaderboard
from dgbench.runs.collect import Records
from dgbench.selection.criteria import CRITERIA, Candidates, Criterion
from dgbench.selection.records import CANDIDATE

_ID = ("target", "trial", "draw", "step")


@dataclass(frozen=True)
class Candidate:
    """A draw and a step of one cell.

    Attributes:
        draw, step: Which.
        scores: By criterion.
        accuracy, nll, n: On the target.
        chosen_by: Criteria that chose it.
    """

    draw: int
    step: int
    scores: Mapping[str, float]
    accuracy: float
    nll: float
    n: int
    chosen_by: Sequence[str]

    @property
    def correct(self) -> int:
        """Images of the target that were classified correctly."""
        return round(self.accuracy * self.n)


@dataclass(frozen=True)
class Cell:
    """One target and trial of an algorithm.

    Attributes:
        target, trial: Which.
        dataset, sources: What was learnt from.
        run, training, device, digest: Of the model that the board's criterion chose.
        candidates: All draws and steps, by draw and step.
        chosen: The one that counts.
        streams: What the board's criterion sees of the chosen one: by domain, accuracy by view; the score is the mean
            over domains of the mean over the views that count.
        views: Those that count.
        score: What came of it.
    """

    target: str
    trial: int
    dataset: str
    sources: Sequence[str]
    run: str
    training: str
    device: str
    digest: str
    candidates: Sequence[Candidate]
    chosen: Candidate
    streams: Mapping[str, Mapping[str, float]]
    views: Sequence[str]
    score: float


class Explanations:
    """The cells of every algorithm of a board; scores are computed once for all of them.

    Args:
        found: The records of the board.
        leaderboards: Made of them, by criterion, the board's own first.
    """

    def __init__(self, found: Records, leaderboards: Mapping[str, Leaderboard]) -> None:
        self._targets = next(iter(leaderboards.values())).info.domains
        self._criteria = [CRITERIA[name] for name in leaderboards]
        reached = found.metrics.filter(pl.col("split") == "target")
        table = reached.select(*CANDIDATE, "accuracy", "nll", "n")
        candidates = Candidates(found.metrics, found.runs, indicators=found.indicators)
        for criterion in self._criteria:
            scored = candidates.scores(criterion).select(*CANDIDATE, pl.col("score").alias(criterion.name))
            table = table.join(scored, on=CANDIDATE, how="left")
        self._candidates = _parted(table.sort(CANDIDATE))
        self._streams = _parted(found.metrics.filter(pl.col("split") == self._criteria[0].split))
        self._runs = _parted(found.runs)
        self._cells = {name: _parted(board.cells) for name, board in leaderboards.items()}

    @property
    def criteria(self) -> Sequence[Criterion]:
        """The criteria whose scores are shown, the board's own first."""
        return self._criteria

    def of(self, algorithm: str) -> list[Cell]:
        """The cells of one algorithm, in the order of the board's targets."""
        own = self._cells[self._criteria[0].name][algorithm]
        picked: dict[tuple[Any, ...], list[str]] = {}
        for criterion in self._criteria:
            for key in self._cells[criterion.name][algorithm].select(_ID).iter_rows():
                picked.setdefault(key, []).append(criterion.name)
        candidates: dict[tuple[str, int], list[Candidate]] = {}
        for row in self._candidates[algorithm].iter_rows(named=True):
            candidates.setdefault((row["target"], row["trial"]), []).append(
                Candidate(
                    row["draw"],
                    row["step"],
                    {criterion.name: row[criterion.name] for criterion in self._criteria},
                    row["accuracy"],
                    row["nll"],
                    row["n"],
                    picked.get(tuple(row[name] for name in _ID), ()),
                )
            )
        streams: dict[tuple[Any, ...], dict[str, dict[str, float]]] = {}
        names = (*_ID, "domain", "view", "accuracy")
        for *place, domain, view, accuracy in self._streams[algorithm].select(names).iter_rows():
            streams.setdefault(tuple(place), {}).setdefault(domain, {})[view] = accuracy
        runs = {row["run"]: row for row in self._runs[algorithm].iter_rows(named=True)}
        order = {target: number for number, target in enumerate(self._targets)}
        return [
            Cell(
                row["target"], row["trial"], row["dataset"], row["sources"], row["run"],
                runs[row["run"]]["training"], runs[row["run"]]["device"], row["digest"],
                candidates[row["target"], row["trial"]],
                next(
                    one
                    for one in candidates[row["target"], row["trial"]]
                    if (one.draw, one.step) == (row["draw"], row["step"])
                ),
                streams.get(tuple(row[name] for name in _ID), {}),
                row["views"],
                row["score"],
            )
            for row in sorted(own.iter_rows(named=True), key=lambda row: (order[row["target"]], row["trial"]))
        ]  # fmt: skip


def _parted(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {str(name): part for (name,), part in frame.group_by("algorithm", maintain_order=True)}
