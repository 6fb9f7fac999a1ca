"""Components of variance against drawn truths, and against sums of squares written out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dgbench.selection.variance import Split, split

TRUTH = {
    ("algorithm", True): 0.02,
    ("target", False): 0.10,
    ("target", True): 0.03,
    ("trial", False): 0.04,
    ("trial", True): 0.015,
    ("draw", False): 0.05,
    ("draw", True): 0.025,
}
"""Standard deviations."""


def drawn(shape: tuple[int, int, int, int], random: np.random.Generator, truth: dict[tuple[str, bool], float]) -> Split:
    many, targets, trials, _ = shape
    sizes = {"algorithm": (1, 1, 1), "target": (targets, 1, 1), "trial": (targets, trials, 1), "draw": shape[1:]}
    values = np.full(shape, 0.5)
    for (level, own), deviation in truth.items():
        values += deviation * random.normal(size=(many if own else 1, *sizes[level]))
    return split(values)


def test_what_was_put_in_comes_out() -> None:
    """The mean over 400 boards; an estimate that is cut at 0 is biased, so terms are large enough to be seen."""
    random = np.random.default_rng(0)
    boards = [drawn((8, 6, 4, 3), random, TRUTH) for _ in range(400)]
    for number, component in enumerate(boards[0].components):
        found = np.array([board.components[number].variance for board in boards])
        error = found.std(ddof=1) / np.sqrt(len(found))
        assert found.mean() == pytest.approx(TRUTH[component.level, component.own] ** 2, abs=4 * error), component
        assert error < 0.1 * TRUTH[component.level, component.own] ** 2, component


def test_what_cannot_be_told_apart_is_left_open() -> None:
    """With one draw trials have what draws do; with one target algorithms have what their own targets do."""
    random = np.random.default_rng(1)
    boards = [drawn((8, 6, 4, 1), random, TRUTH) for _ in range(300)]
    by_level = {(one.level, one.own): number for number, one in enumerate(boards[0].components)}
    for own in (False, True):
        assert boards[0].components[by_level["draw", own]].variance is None
        assert boards[0].share(boards[0].components[by_level["draw", own]]) is None
        found = np.mean([board.components[by_level["trial", own]].variance for board in boards])
        assert found == pytest.approx(TRUTH["trial", own] ** 2 + TRUTH["draw", own] ** 2, rel=0.1)
    one = [drawn((8, 1, 6, 2), random, TRUTH) for _ in range(300)]
    assert {c.level for c in one[0].components if c.variance is None} == {"target"}
    found = np.mean([board.components[0].variance for board in one])
    assert found == pytest.approx(TRUTH["algorithm", True] ** 2 + TRUTH["target", True] ** 2, rel=0.15)


def test_mean_squares_as_they_are_written_out() -> None:
    """Every sum by loops over the cells, for unequal numbers of everything."""
    random = np.random.default_rng(2)
    many, targets, trials, draws = shape = (3, 2, 4, 5)
    y = random.normal(size=shape) + 3 * random.normal(size=(3, 2, 4, 1)) + 9 * random.normal(size=(1, 2, 1, 1))
    y += 20 * random.normal(size=(3, 1, 1, 1)) + 9 * random.normal(size=(3, 2, 1, 1))
    sums = dict.fromkeys(("a", "at", "t", "k", "ak", "d", "ad"), 0.0)
    for a, t, k, d in itertools.product(*map(range, shape)):
        sums["a"] += (y[a].mean() - y.mean()) ** 2
        sums["t"] += (y[:, t].mean() - y.mean()) ** 2
        sums["at"] += (y[a, t].mean() - y[a].mean() - y[:, t].mean() + y.mean()) ** 2
        sums["k"] += (y[:, t, k].mean() - y[:, t].mean()) ** 2
        sums["ak"] += (y[a, t, k].mean() - y[a, t].mean() - y[:, t, k].mean() + y[:, t].mean()) ** 2
        sums["d"] += (y[:, t, k, d].mean() - y[:, t, k].mean()) ** 2
        sums["ad"] += (y[a, t, k, d] - y[a, t, k].mean() - y[:, t, k, d].mean() + y[:, t, k].mean()) ** 2
    free = {
        "a": many - 1, "t": targets - 1, "at": (many - 1) * (targets - 1), "k": targets * (trials - 1),
        "ak": (many - 1) * targets * (trials - 1), "d": targets * trials * (draws - 1),
        "ad": (many - 1) * targets * trials * (draws - 1),
    }  # fmt: skip
    ms = {name: total / free[name] for name, total in sums.items()}
    assert sum(sums.values()) == pytest.approx(((y - y.mean()) ** 2).sum()), "together they are all that varies"
    expected = {
        ("algorithm", True): (ms["a"] - ms["at"]) / (targets * trials * draws),
        ("target", False): (ms["t"] - ms["at"] - ms["k"] + ms["ak"]) / (many * trials * draws),
        ("target", True): (ms["at"] - ms["ak"]) / (trials * draws),
        ("trial", False): (ms["k"] - ms["ak"] - ms["d"] + ms["ad"]) / (many * draws),
        ("trial", True): (ms["ak"] - ms["ad"]) / draws,
        ("draw", False): (ms["d"] - ms["ad"]) / many,
        ("draw", True): ms["ad"],
    }
    found = split(y)
    assert [(one.level, one.own) for one in found.components] == list(expected)
    for one in found.components:
        assert one.variance == pytest.approx(max(expected[one.level, one.own], 0.0), rel=1e-9), one
    names = {"algorithm": "a", "target": "t", "trial": "k", "draw": "d"}
    for one in found.components[1:]:
        assert one.df == free[("a" if one.own else "") + names[one.level]]
    assert sum(found.share(one) or 0.0 for one in found.components) == pytest.approx(1)
    assert found.components[0].deviation == pytest.approx(np.sqrt(found.components[0].variance or 0))


def test_nothing_varies_and_nothing_is_missing() -> None:
    same = split(np.full((2, 2, 2, 2), 0.7))
    assert same.total == pytest.approx(0, abs=1e-20)
    for shape in ((1, 2, 2, 2), (2, 2, 1, 2)):
        with pytest.raises(ValueError, match="two algorithms, two trials"):
            split(np.zeros(shape))
    with pytest.raises(ValueError, match="no gap"):
        split(np.full((2, 2, 2, 1), np.nan))
