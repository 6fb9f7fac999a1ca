"""Looks at growing trials, against a replay that is written out, and boards whose truth is known."""

import itertools

import numpy as np
import polars as pl
import pytest
from scipy.stats import ttest_1samp
from scripts_loaded import load_script

from dgbench.selection.design import Design
from dgbench.selection.looks import at_top, shares, within_reach
from dgbench.selection.pairs import Contrasts, Evidence, contrasts, over_looks
from dgbench.selection.statistics import Estimate

LOOKS = (3, 5, 8)


def _cells(values: np.ndarray) -> pl.DataFrame:
    """One target: a row for each trial."""
    return pl.DataFrame({"target": "a", "trial": np.arange(len(values)), "accuracy": values})


def test_shares_sum_to_one_and_half_is_for_the_last_look() -> None:
    assert shares([4]) == (1.0,)
    assert shares([4, 6]) == (0.5, 0.5)
    assert shares(LOOKS) == (0.25, 0.25, 0.5)
    assert sum(shares(range(2, 40))) == pytest.approx(1)


def test_a_pair_is_tested_at_every_look_that_both_have_on_the_trials_of_that_look() -> None:
    random = np.random.default_rng(0)
    has = {"x": 8, "y": 8, "z": 5}
    values = {name: random.normal(0.5 + 0.03 * at, 0.02, trials) for at, (name, trials) in enumerate(has.items())}
    design = Design({"a": "one"}, looks=LOOKS)
    found = design.contrasts({name: _cells(each) for name, each in values.items()}, "accuracy")
    # the same by hand: three algorithms lend each other nothing, and one cluster gives Student's paired test
    for one, other in itertools.combinations(has, 2):
        naive, share = [], dict(zip(LOOKS, (0.25, 0.25, 0.5), strict=True))
        for look in LOOKS:
            if look <= min(has[one], has[other]):
                gap = values[one][:look] - values[other][:look]
                naive.append(min(ttest_1samp(gap, 0).pvalue / share[look], 1.0))
        evidence = found.evidence(one, other)
        assert evidence is not None
        assert evidence.p == pytest.approx(min(naive))
        last = found.between(one, other)
        assert last is not None
        common = min(has[one], has[other])
        assert last.mean == pytest.approx((values[one][:common] - values[other][:common]).mean())
        assert last.n == common
    means = design.means({name: _cells(each) for name, each in values.items()}, "accuracy")
    assert {name: one.n for name, one in means.items()} == has
    assert means["z"].mean == pytest.approx(values["z"].mean())


def test_who_was_separated_stays_so_whatever_comes_later() -> None:
    early = np.array([0.1, 0.11, 0.09])
    x = np.concatenate([0.5 + early, np.full(5, 0.2)])  # far ahead in three trials, and far behind in all others
    y = np.full(8, 0.5)
    x[3:] += 0.001 * np.arange(5)
    at_first = Design({"a": "one"}, looks=LOOKS).contrasts({"x": _cells(x[:3]), "y": _cells(y[:3])}, "accuracy")
    in_the_end = Design({"a": "one"}, looks=LOOKS).contrasts({"x": _cells(x), "y": _cells(y)}, "accuracy")
    for found in (at_first, in_the_end):
        (pair,) = found.pairs(["x", "y"])
        assert pair.better == "x"
        (turned,) = found.pairs(["y", "x"])
        assert turned.better == "x"
    (pair,) = in_the_end.pairs(["x", "y"])
    assert pair.difference.mean < 0  # what is shown is the difference as it is now
    assert pair.p <= at_first.pairs(["x", "y"])[0].p


def test_one_look_is_what_a_board_always_was() -> None:
    random = np.random.default_rng(1)
    scores = {f"a{at}": random.normal(0.5, 0.02, (4, 3)).tolist() for at in range(6)}
    once = contrasts(scores)
    assert over_looks([once], (1.0,)).pairs(scores) == once.pairs(scores)


def test_evidence_is_a_share_of_the_error_and_chance_that_is_not_measured_is_none() -> None:
    gap = Estimate(0.02, 3, 0.01, 2.0)
    assert gap.p is not None
    assert Evidence.of(gap, 0.25).p == min(4 * gap.p, 1.0)
    assert Evidence.of(Estimate(0.02, 1)).p == 1.0


def _pairs(means: dict[str, float], error: float = 0.01) -> tuple[tuple, dict[str, int]]:
    known = {(a, b): Estimate(means[a] - means[b], 12, error, 30.0) for a, b in itertools.combinations(means, 2)}
    return Contrasts(known).pairs(means), dict.fromkeys(means, 5)


def test_those_near_the_top_are_whom_nobody_beats_and_in_reach_is_what_the_most_trials_may_show() -> None:
    pairs, trials = _pairs({"best": 0.6, "near": 0.575, "same": 0.5999, "far": 0.4, "farther": 0.401})
    top = {(pair.first, pair.second) for pair in at_top(pairs)}
    assert top == {("best", "near"), ("best", "same"), ("near", "same")}  # not the two that are beaten, though open
    reached = {(pair.first, pair.second) for pair in within_reach(pairs, trials, (5, 8, 12), 5)}
    assert reached == {("best", "near"), ("near", "same")}
    # with far more trials even those that are nearly equal may be told apart
    assert ("best", "same") in {(p.first, p.second) for p in within_reach(pairs, trials, (5, 8, 100), 5)}


def test_whoever_dropped_out_does_not_come_back_and_the_last_look_is_the_last() -> None:
    pairs, trials = _pairs({"best": 0.6, "near": 0.583, "other": 0.582})
    assert len(within_reach(pairs, trials, (5, 8, 12), 5)) >= 2
    trials |= {"best": 8, "near": 8}
    assert {(p.first, p.second) for p in within_reach(pairs, trials, (5, 8, 12), 8)} == {("best", "near")}
    trials |= {"best": 12, "near": 12}
    assert within_reach(pairs, trials, (5, 8, 12), 12) == []


def test_one_trial_says_nothing_of_chance_so_a_second_one_is_within_reach() -> None:
    gap = Contrasts({("x", "y"): Estimate(0.1, 4)})
    assert len(within_reach(gap.pairs(["x", "y"]), {"x": 1, "y": 1}, (1, 3), 1)) == 1
    # but what is the same in several trials measures none, and more of them will not
    same = Contrasts({("x", "y"): Estimate(0.1, 8, 0.0, 4.0)})
    assert within_reach(same.pairs(["x", "y"]), {"x": 2, "y": 2}, (2, 4), 2) == []


load_script("simulate_statistics")  # whose boards it takes
simulation = load_script("simulate_looks")


def test_the_simulation_replays_what_boards_do() -> None:
    random = np.random.default_rng(4)
    way = simulation.WAYS[2]
    for skill in (0.0, 1.5):
        board = random.standard_normal((6, 3, 12)) + skill * np.arange(6)[:, None, None]
        ended = simulation.run(board, way, {})
        names = [f"a{at}" for at in range(6)]
        has = dict.fromkeys(names, 5)
        targets = {target: target for target in "xyz"}
        design = Design(targets, looks=way.looks)
        while True:  # as a board is looked at anew after every round, from nothing but what there is
            cells = {
                name: pl.DataFrame(
                    [
                        {"target": target, "trial": trial, "accuracy": board[at, place, trial]}
                        for place, target in enumerate(targets)
                        for trial in range(has[name])
                    ]
                )
                for at, name in enumerate(names)
            }
            pairs = design.contrasts(cells, "accuracy").pairs(names)
            reached = within_reach(pairs, has, way.looks, max(has.values()))
            if not reached:
                break
            goal = next(look for look in way.looks if look > max(has.values()))
            has |= {name: goal for pair in reached for name in (pair.first, pair.second)}
        assert list(has.values()) == ended.trials.tolist()
        signs = [0 if pair.better is None else 1 if pair.better == pair.first else -1 for pair in pairs]
        assert signs == ended.better.tolist()
        assert [pair.difference.mean for pair in pairs] == pytest.approx(ended.gaps.tolist())


def test_looks_hold_their_error_where_looking_at_five_per_cent_each_time_does_not() -> None:
    random = np.random.default_rng(5)
    torn = {way.title: 0 for way in simulation.WAYS[2:]}
    for _ in range(100):
        board = random.standard_normal((4, 2, 12))
        for way in simulation.WAYS[2:]:
            torn[way.title] += bool(simulation.run(board, way, {}).better.any())
    held, naive = torn.values()
    assert held <= 11  # 5 are expected at 5 %; more than 11 come in one of 200 such simulations
    assert held <= naive
