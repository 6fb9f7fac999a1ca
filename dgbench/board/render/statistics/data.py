"""Statistics as plain data."""

from __future__ import annotations

import dataclasses
from typing import Any

from dgbench.board.render.figures import Figures
from dgbench.board.statistics import OfTrack, Statistics
from dgbench.selection.line import Line
from dgbench.selection.rank_tests import RankTests


def as_data(statistics: Statistics) -> dict[str, Any]:
    """Statistics of a board for programs: accuracies, differences and standard deviations are shares in [0, 1].

    Where values are predicted, they are of the headline, which is named then, in its unit.
    """
    info = statistics.board.info
    show = Figures.of(info)
    return {
        "board": info.name,
        "rules": info.rules,
        **show.named,
        "criterion": statistics.board.criterion.name,
        "tracks": [_track(track, show) for track in statistics.tracks],
        "line": _line(statistics.line),
        "lines": {target: _line(line) for target, line in statistics.lines.items()},
        "effective_robustness": {
            name: {"mean": value.mean, "low": value.low, "high": value.high, "n": value.n}
            for name, value in statistics.robustness.items()
        },
    }


def tests_as_data(tests: RankTests, show: Figures) -> dict[str, Any]:
    """Tests by ranks for programs, with differences of the headline."""
    return {
        "blocks": tests.blocks,
        "mean_ranks": dict(tests.ranks),
        "friedman": {**dataclasses.asdict(tests.friedman), "df": tests.friedman.df},
        "critical_difference": tests.critical,
        "nemenyi": [{"first": one, "second": other, "p": p} for (one, other), p in tests.nemenyi.items()],
        "control": tests.control,
        "against": [
            dataclasses.asdict(one) | {"difference": show.measure.turn * one.difference + 0.0} for one in tests.against
        ],
    }


def _track(track: OfTrack, show: Figures) -> dict[str, Any]:
    found = track.split
    return {
        "track": track.track,
        "blocks_are": track.blocks,
        "tests": track.tests and tests_as_data(track.tests, show),
        "variance": found
        and {
            "algorithms": found.algorithms,
            "targets": found.targets,
            "trials": found.trials,
            "draws": found.draws,
            "components": [
                {"level": one.level, "own": one.own, "deviation": one.deviation, "share": found.share(one)}
                for one in found.components
            ],
        },
        "lacking": track.lacking,
    }


def _line(line: Line | None) -> dict[str, Any] | None:
    return None if line is None else dataclasses.asdict(line)
