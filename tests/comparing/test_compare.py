"""Comparisons against naive references: differences, intervals, corrections, cells won, and flips image by image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from comparing.made import IMAGES, guesses, made
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dgbench.board.flips import most_flipped
from dgbench.board.render.compared import words
from dgbench.core.errors import StoreError
from dgbench.selection.statistics import mcnemar


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_differences_and_intervals_are_those_of_the_formula() -> None:
    """Four targets with trainings of their own: strata of three trials, Welch and Satterthwaite's formula for df."""
    right = guesses({"erm": 0.5, "sam": 0.62})
    (one,) = made(right).against
    targets = list(dict.fromkeys(target for _, target, _ in right))
    gaps = np.array([[right["sam", t, k].mean() - right["erm", t, k].mean() for k in range(3)] for t in targets])
    for target, row in zip(targets, gaps, strict=True):
        low, high = stats.t.interval(0.95, 2, row.mean(), row.std(ddof=1) / math.sqrt(3))
        assert one.lead.targets[target].mean == pytest.approx(row.mean())
        assert one.lead.targets[target].interval == pytest.approx((low, high))
        assert one.lead.targets[target].n == 3
    variances = gaps.var(axis=1, ddof=1) / 3 / 16
    df = variances.sum() ** 2 / (variances**2 / 2).sum()
    low, high = stats.t.interval(0.95, df, gaps.mean(), math.sqrt(variances.sum()))
    assert one.lead.total.interval == pytest.approx((low, high))
    assert one.lead.total.n == 12
    assert one.p == pytest.approx(2 * stats.t.sf(abs(gaps.mean()) / math.sqrt(variances.sum()), df)), "one: uncorrected"
    assert one.better == ("second" if low > 0 else None)


def test_targets_that_one_training_serves_count_once() -> None:
    right = guesses({"erm": 0.5, "sam": 0.6})
    (one,) = made(right, together=True).against
    gaps = [
        np.mean([right["sam", t, k].mean() - right["erm", t, k].mean() for t in one.lead.targets]) for k in range(3)
    ]
    assert one.lead.total.n == 3
    low, high = stats.t.interval(0.95, 2, np.mean(gaps), np.std(gaps, ddof=1) / math.sqrt(3))
    assert one.lead.total.interval == pytest.approx((low, high))


def test_with_more_than_two_p_is_corrected_and_the_words_say_so() -> None:
    right = guesses({"erm": 0.5, "sam": 0.55, "irm": 0.48, "swad": 0.7})
    compared = made(right)
    raw = {one.entry.algorithm: one.lead.total.p for one in compared.against}
    order = sorted(raw, key=lambda name: raw[name] or 0)
    expected, largest = {}, 0.0
    for rank, name in enumerate(order):  # Holm, step by step
        largest = max(largest, min(1.0, (3 - rank) * (raw[name] or 0)))
        expected[name] = largest
    assert {one.entry.algorithm: one.p for one in compared.against} == pytest.approx(expected)
    for one in compared.against:
        assert one.lead.total == compared.board.standing.between(one.entry.algorithm, "erm"), "intervals: uncorrected"
    alone = made({key: value for key, value in right.items() if key[0] in ("erm", "sam")})
    assert alone.against[0].p == alone.against[0].lead.total.p
    assert "one comparison of 3, uncorrected" in words.one_of(compared)
    assert "this one comparison, uncorrected" in words.one_of(alone)
    for one in compared.against:
        said = words.headline(compared, one)
        assert "after the correction for 3 comparisons" in said
        assert ("is ahead" in said) == (one.better is not None) == ((one.p or 1) <= 0.05)


def test_cells_won_tied_and_lost_are_counted() -> None:
    right = guesses({"erm": 0.5, "sam": 0.5})
    (one,) = made(right).against
    signs = {
        (t, k): np.sign(int(right["sam", t, k].sum()) - int(right["erm", t, k].sum()))
        for name, t, k in right
        if name == "erm"
    }
    assert (one.score.wins, one.score.ties, one.score.losses) == tuple(
        sum(sign == wanted for sign in signs.values()) for wanted in (1, 0, -1)
    )
    for target, score in one.scores.items():
        assert score.wins == sum(sign == 1 for (t, _), sign in signs.items() if t == target)
    assert sum(s.wins + s.ties + s.losses for s in one.scores.values()) == 12


def test_equal_differences_in_all_trials_give_no_interval() -> None:
    base = np.arange(IMAGES) % 2 == 0
    more = base.copy()
    more[1] = True
    right = {(name, t, k): better for name, better in (("erm", base), ("sam", more)) for t in "ab" for k in range(3)}
    compared = made(right)
    (one,) = compared.against
    assert one.lead.total.mean == pytest.approx(1 / IMAGES)
    assert (one.lead.total.interval, one.p, one.better) == (None, None, None)
    assert "no measure of chance" in words.headline(compared, one)
    single = made({key: value for key, value in right.items() if key[2] == 0})
    assert "One trial for each target says nothing about chance" in words.headline(single, single.against[0])


def test_flips_are_counted_image_by_image() -> None:
    right = guesses({"erm": 0.5, "sam": 0.6})
    compared = made(right)
    (one,) = compared.against
    assert len(one.flips) == 12
    for flip in one.flips:
        erm, sam = right["erm", flip.target, flip.trial], right["sam", flip.target, flip.trial]
        counted = [sum(a == x and b == y for a, b in zip(erm, sam, strict=True)) for x, y in
                   ((True, True), (True, False), (False, True), (False, False))]  # fmt: skip
        assert [flip.both, flip.first, flip.second, flip.neither] == counted
        assert flip.n == IMAGES
        if flip.first + flip.second:
            assert flip.p == pytest.approx(stats.binomtest(flip.first, flip.first + flip.second).pvalue)
        gap = (flip.second - flip.first) / IMAGES
        assert gap == pytest.approx(sam.mean() - erm.mean()), "flips and accuracies tell the same"
    parted = {}
    for name, target, trial in right:
        if name == "erm":
            for index in np.flatnonzero(right["erm", target, trial] != right["sam", target, trial]):
                first, second = parted.setdefault((target, int(index)), [0, 0])
                parted[target, int(index)] = [
                    first + int(right["erm", target, trial][index]),
                    second + int(right["sam", target, trial][index]),
                ]
    found = {
        (row["target"], row["index"]): [row["only_first"], row["only_second"]]
        for row in one.images.iter_rows(named=True)
    }
    assert found == parted
    lost, won = most_flipped(one.images, 5)
    most = max(second for first, second in parted.values() if second > first)
    assert won["only_second"][0] == most
    assert won["only_second"].is_sorted(descending=True)
    assert (lost["only_first"] > lost["only_second"]).all()
    first = won.row(0, named=True)
    for trial in range(3):
        wrong = (first["label"] + 1) % 4
        assert first["said_second"][trial] == (
            first["label"] if right["sam", first["target"], trial][first["index"]] else wrong
        )


def test_where_predictions_are_not_at_hand_images_are_left_out_and_it_is_said() -> None:
    compared = made(guesses({"erm": 0.5, "sam": 0.6}), blind=("sam",))
    (one,) = compared.against
    assert one.flips == ()
    assert one.images.is_empty()
    assert "not at hand" in words.absent(compared, one)
    assert one.lead.total.n == 12


def test_trainings_that_both_use_are_counted() -> None:
    (one,) = made(guesses({"erm": 0.5, "t3a": 0.6}), trainings="erm").against
    assert (one.trainings, one.shared) == (12, 12)
    compared = made(guesses({"erm": 0.5, "sam": 0.6}))
    assert (compared.against[0].trainings, compared.against[0].shared) == (12, 0)
    assert [cells[-1] for cells in words.costs(compared)] == ["–", "0"]


def test_tracks_may_be_compared_with_a_warning() -> None:
    compared = made(guesses({"erm": 0.5, "t3a": 0.6}))
    assert words.APART in words.warnings(compared, compared.against[0])


def test_other_images_are_refused() -> None:
    right = guesses({"erm": 0.5, "sam": 0.6})
    right["sam", "print", 1] = right["sam", "print", 1][:-1]
    with pytest.raises(StoreError, match="target print, trial 1: the two were not shown the same images"):
        made(right)
