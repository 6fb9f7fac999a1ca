"""The ways that are compared by simulation, against scipy where they meet it; and what the comparison finds."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.stats
from scripts_loaded import load_script

from dgbench.selection.pairs import pairs

simulation = load_script("simulate_statistics")
PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")


def drawn(shape: tuple[int, int, int], boards: int = 20) -> np.ndarray:
    return np.asarray(simulation.Setting("", shape, simulation.unequal).draw(np.random.default_rng(0), boards))


def means(boards: np.ndarray) -> np.ndarray:
    return np.array([simulation._pairs(board.mean(axis=(1, 2))) for board in boards])


def test_what_ships_is_what_is_judged() -> None:
    boards = drawn((6, 4, 3))
    boards[:, 0] += 5
    found = simulation.shipped(boards, "moderated").found(means(boards))
    for board, separated in zip(boards, found, strict=True):
        expected = pairs({f"a{n}": values.tolist() for n, values in enumerate(board)})
        assert separated.tolist() == [pair.better is not None for pair in expected]
    assert 0 < found.sum() < found.size


def test_with_two_algorithms_random_targets_are_a_t_test_over_targets() -> None:
    boards = drawn((2, 5, 3))
    judged = simulation.mixed(boards)
    for board, half in zip(boards, judged.half[:, 0], strict=True):
        low, high = scipy.stats.ttest_rel(*board.mean(axis=2)).confidence_interval()
        assert half == pytest.approx((high - low) / 2)


def test_one_trial_in_each_of_two_targets_apart_is_the_layout_of_the_range() -> None:
    """Tukey's test of algorithms with one target, once what trials share is taken away: the residual by hand."""
    (board,) = drawn((5, 1, 6), boards=1)
    rest = board[:, 0] - board[:, 0].mean(axis=0) - board[:, 0].mean(axis=1, keepdims=True) + board.mean()
    error = np.sqrt((rest**2).sum() / 20 / 6)
    gap = scipy.stats.studentized_range.ppf(0.95, 5, 20) * error
    judged = simulation.ranged(board[None])
    assert judged.found(np.array([[gap * 1.001, gap * 0.999]])).tolist() == [[True, False]]


@pytest.mark.parametrize(("board", "shape"), [("quick", (16, 4, 3)), ("digits", (16, 4, 5)), ("emoji", (8, 3, 5))])
def test_noise_of_a_board_has_the_variances_of_its_submissions(board: str, shape: tuple[int, int, int]) -> None:
    setting = simulation.stored(board)
    assert setting.shape == shape, "the trials that all algorithms have"
    noise = setting.noise(np.random.default_rng(0), (3000, *setting.shape))
    cells = simulation.pl.read_csv(simulation.BOARDS / board / "cells.csv").filter(
        (simulation.pl.col("track") == "inductive") & (simulation.pl.col("trial") < shape[2])
    )
    own = cells.group_by("algorithm", "target").agg((simulation.pl.col("accuracy") * 100).var())["accuracy"].mean()
    assert noise.var(axis=(0, 3)).mean() == pytest.approx(own, rel=0.05)


def test_moderated_variances_hold_their_error_and_find_most_of_those_that_do() -> None:
    """200 boards: a share of .05 has a standard error of .015."""
    setting = simulation.Setting("", (10, 4, 3), simulation.unequal)
    found = simulation.measure(setting, simulation.WAYS, 200)
    assert found["moderated"].torn <= 0.05 + 2 * 0.0155
    assert abs(found["moderated"].covered - 0.95) <= 0.02
    assert found["moderated"].power > 2 * found["own"].power
    assert found["bootstrap"].torn > 0.3, "three trials are too few to draw from"
    assert found["range"].torn > 0.05 + 2 * 0.0155, "spreads differ"


@pytest.mark.parametrize(("ask", "boards"), [("by_scatter", 150), ("means_by_scatter", 600)])
def test_those_that_scatter_most_are_covered_least(ask: str, boards: int) -> None:
    found = getattr(simulation, ask)((10, 4, 3), boards)
    least, most = found["moderated"]
    assert most < 0.95 < least
    assert abs(found["own"][0] - found["own"][1]) < 0.04


@pytest.mark.parametrize("shared", [0.0, 3.0])
def test_means_cover_and_borrow_what_algorithms_do_not_share(shared: float) -> None:
    setting = simulation.Setting("", (8, 4, 2), simulation.unequal, shared=shared)
    (own, wide), (moderated, narrow) = (simulation.of_means(setting, way, 300) for way in ("own", "moderated"))
    assert 0.93 <= moderated <= own + 0.01
    assert narrow < wide * (0.7 if shared == 0 else 1)


def test_images_drawn_again_widen_what_trials_leave() -> None:
    """Where trials say the same each time, images alone are left: two shares of a thousand, six in ten right."""
    boards = np.repeat(drawn((6, 4, 1)), 3, axis=3)
    assert not simulation.bootstrap(boards).half.any()
    spread = 100 * np.sqrt(2 * 0.6 * 0.4 / 1000 / 4)
    assert simulation.bootstrap(boards, 1000).half.mean() == pytest.approx(1.96 * spread, rel=0.05)


def test_the_page_says_how_many_pairs_each_way_separates_on_boards_that_are_there() -> None:
    rows = re.findall(r"^\| `(\w+)`, (?:the first )?(\d) (?:trials|of them) \| (.*) \| [^|]* \|$", PAGE, re.MULTILINE)
    assert [name for name, *_ in rows] == ["quick", "digits", "emoji", "emoji"]
    for name, trials, told in rows:
        cells = simulation.chosen(simulation.BOARDS / name / "cells.csv").filter(pl.col("trial") < int(trials))
        found = simulation.separated(cells)
        count = cells.filter(track="inductive")["algorithm"].n_unique()
        assert told.split(" | ") == [str(count * (count - 1) // 2), *map(str, found.values())]
