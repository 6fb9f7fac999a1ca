"""Statistics of a board against the same numbers taken from its records by hand."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.stats
from board.synthetic import DOMAINS, candidate, tables

from dgbench.api.boards import rules
from dgbench.board.render.diagram import by_ranks, groups
from dgbench.board.render.report.page import render
from dgbench.board.render.statistics.sections import p_value, report
from dgbench.board.statistics import statistics
from dgbench.core.errors import UnknownNameError
from dgbench.runs.collect import Failure, Records
from dgbench.selection.rank_tests import rank_tests
from dgbench.selection.variance import split

NAMES = ("erm", "sam", "irm", "swad", "coral")
TRIALS, DRAWS = 3, 2

Key = tuple[str, str, int, int, int]
"""Algorithm, target, trial, draw, step."""


def made(
    domains: tuple[str, ...] = DOMAINS,
    names: tuple[str, ...] = NAMES,
    seed: int = 0,
    datasets: tuple[str, ...] = ("vlcs",),
    sources: dict[str, dict[str, float]] | None = None,
    **lost: Any,
) -> tuple[Records, dict[Key, float], dict[Key, float]]:
    """Records, with what each candidate scored on the source and reached on the target."""
    random = np.random.default_rng(seed)
    places = list(itertools.product(names, domains, range(TRIALS), range(DRAWS), (50, 100)))
    score = {key: float(random.uniform(0.7, 0.97)) for key in places}
    reached = {key: 0.4 + 0.05 * names.index(key[0]) + 0.1 * float(random.uniform()) for key in places}
    pool = []
    for name, target, trial, draw, step in places:
        key = (name, target, trial, draw, step)
        own = "s" if sources is None else next(iter(sources[target]))
        clean = {own: math.nan if (name, draw) == lost.get("diverged") else score[key]}
        dataset = next((one for one in datasets if target.startswith(f"{one}/")), datasets[0])
        pool.append(candidate(*key, clean=clean, on_target=reached[key], dataset=dataset))
    card = rules("quick").model_copy(
        update={"trials": TRIALS, "draws": DRAWS, "criterion": "source", "dataset": datasets, "name": "toy"}
    )
    size = {target: sum(t.split("/")[0] == target.split("/")[0] for t in domains) for target in domains}
    weights = {target: 1 / size[target] if len(datasets) > 1 else 1.0 for target in domains}
    manifests = dict.fromkeys(datasets, "0")
    return Records(card, *tables(pool), names, 0, (), ("2",), ("0.1",), manifests, domains, weights), score, reached


def chosen(score: dict[Key, float], name: str, target: str, trial: int) -> Key:
    return max((key for key in score if key[:3] == (name, target, trial)), key=lambda key: score[key])


APART = {domain: {f"source of {domain}": 0.9} for domain in DOMAINS}
"""Targets with trainings of their own."""


def test_tests_by_ranks_are_those_of_the_means_of_chosen_models() -> None:
    records, score, reached = made(sources=APART)
    found = statistics(records).tracks[0]
    table = {
        name: [np.mean([reached[chosen(score, name, d, trial)] for trial in range(TRIALS)]) for d in DOMAINS]
        for name in NAMES
    }
    assert found.blocks == "targets"
    in_order = sorted(NAMES, key=lambda name: -float(np.mean(table[name])))
    assert found.tests == rank_tests({name: table[name] for name in in_order}, DOMAINS, "erm")
    assert found.tests is not None
    assert found.tests.control == "erm"
    assert not found.lacking


def test_datasets_are_blocks_where_there_are_several() -> None:
    datasets = ("digits", "emoji", "colored-mnist")
    domains = tuple(f"{name}/{domain}" for name in datasets for domain in ("a", "b"))
    apart = {domain: {f"not {domain}": 0.9} for domain in domains}
    records, score, reached = made(domains, datasets=datasets, sources=apart)
    found = statistics(records, control="sam").tracks[0]
    assert found.tests is not None
    assert (found.blocks, found.tests.blocks, found.tests.control) == ("datasets", datasets, "sam")
    values = [
        [np.mean([reached[chosen(score, name, d, trial)] for trial in range(TRIALS)]) for d in domains]
        for name in NAMES
    ]
    means = np.array(values).reshape(len(NAMES), 3, 2).mean(axis=2)
    ranks = scipy.stats.rankdata(-means, axis=0).mean(axis=1)
    assert found.tests.ranks == pytest.approx(dict(zip(NAMES, ranks, strict=True)))


def test_targets_of_one_training_are_one() -> None:
    records, score, reached = made()
    found = statistics(records).tracks[0]
    assert found.tests is None
    assert "there are 5 and 1" in found.lacking[0]
    best = {key[:4]: max((k for k in score if k[:4] == key[:4]), key=lambda k: score[k]) for key in score}
    values = [
        np.mean([reached[best[name, d, trial, draw]] for d in DOMAINS])
        for name in sorted(NAMES)
        for trial in range(TRIALS)
        for draw in range(DRAWS)
    ]
    expected = split(np.array(values).reshape(len(NAMES), 1, TRIALS, DRAWS))
    assert found.split is not None
    assert [c.variance for c in found.split.components] == pytest.approx([c.variance for c in expected.components])
    assert found.split.targets == 1


def test_every_draw_varies_at_its_own_step_and_one_that_diverged_stays() -> None:
    records, score, reached = made(sources=APART, diverged=("sam", 1))
    found = statistics(records).tracks[0]
    best = {}
    for key in score:
        steps = [k for k in score if k[:4] == key[:4]]
        diverged = (key[0], key[3]) == ("sam", 1)
        best[key[:4]] = steps[0] if diverged else max(steps, key=lambda k: score[k])
    clusters = sorted(DOMAINS)
    values = [
        reached[best[name, d, trial, draw]]
        for name in sorted(NAMES)
        for d in clusters
        for trial in range(TRIALS)
        for draw in range(DRAWS)
    ]
    expected = split(np.array(values).reshape(len(NAMES), len(DOMAINS), TRIALS, DRAWS))
    assert found.split is not None
    assert (found.split.targets, found.split.trials, found.split.draws) == (4, TRIALS, DRAWS)
    assert [c.variance for c in found.split.components] == pytest.approx([c.variance for c in expected.components])


def test_whoever_lacks_a_draw_that_diverged_is_left_out_of_what_varies() -> None:
    records, _, _ = made(sources=APART)
    gone = (pl.col("algorithm") == "irm") & (pl.col("trial") == 1) & (pl.col("draw") == 1)
    failed = tuple(Failure("irm", "IRM", target, 1, 1, "the loss is no number", "diverged") for target in DOMAINS)
    lost = replace(records, streams=records.metrics.filter(~gone), runs=records.runs.filter(~gone), failed=failed)
    found = statistics(lost).tracks[0]
    other = pl.col("algorithm") != "irm"
    names = tuple(name for name in NAMES if name != "irm")
    four = replace(records, streams=records.metrics.filter(other), runs=records.runs.filter(other), names=names)
    assert found.tests is not None
    assert "irm" in found.tests.ranks, "it is ranked all the same"
    assert found.split == statistics(four).tracks[0].split
    assert found.lacking == ("What accuracies vary by leaves out whoever lacks a draw that failed: irm.",)


def test_effective_robustness_is_what_lies_above_the_line_of_each_target() -> None:
    records, score, reached = made(sources=APART)
    found = statistics(records)
    probit = scipy.stats.norm.ppf
    cells = {(name, d): [chosen(score, name, d, trial) for trial in range(TRIALS)] for name in NAMES for d in DOMAINS}
    above: dict[str, list[float]] = {name: [] for name in NAMES}
    for d in DOMAINS:
        source = [np.mean([score[key] for key in cells[name, d]]) for name in NAMES]
        target = [np.mean([reached[key] for key in cells[name, d]]) for name in NAMES]
        fit = scipy.stats.linregress(probit(source), probit(target))
        line = found.lines[d]
        assert (line.slope, line.intercept, line.r2) == pytest.approx((fit.slope, fit.intercept, fit.rvalue**2))
        for name in NAMES:
            for key in cells[name, d]:
                expected = scipy.stats.norm.cdf(fit.intercept + fit.slope * probit(score[key]))
                above[name].append(reached[key] - expected)
    for name in NAMES:
        assert found.robustness[name].mean == pytest.approx(np.mean(above[name]))
        assert found.robustness[name].interval is not None
    assert found.line is not None
    assert found.line.n == len(NAMES)


def test_a_control_that_is_not_there_is_said() -> None:
    records, _, _ = made(sources=APART)
    with pytest.raises(UnknownNameError, match=r"no algorithm on this board named 'smm'. Did you mean 'sam'"):
        statistics(records, control="smm")
    without = statistics(made(names=NAMES[1:], sources=APART)[0]).tracks[0]
    assert without.tests is not None
    assert (without.tests.control, without.tests.against) == (None, ())


def test_two_algorithms_are_too_few_and_one_has_nothing() -> None:
    two = statistics(made(names=("erm", "sam"), sources=APART)[0])
    assert two.tracks[0].tests is None
    assert two.tracks[0].split is not None
    assert (two.line, two.robustness) == (None, {})
    one = statistics(made(names=("erm",), sources=APART)[0])
    assert (one.tracks[0].tests, one.tracks[0].split, len(one.tracks[0].lacking)) == (None, None, 2)
    assert "needs three algorithms" in render(report(one))


def test_bars_join_the_longest_runs_within_the_difference() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        ranks = sorted(random.uniform(1, 8, 8).tolist())
        found = groups(ranks, 2.0)
        runs = [
            (first, last)
            for first in range(8)
            for last in range(first + 1, 8)
            if ranks[last] - ranks[first] < 2
            and (first == 0 or ranks[last] - ranks[first - 1] >= 2)
            and (last == 7 or ranks[last + 1] - ranks[first] >= 2)
        ]
        assert found == runs


def test_the_page_shows_every_rank_and_the_diagram_has_the_best_on_the_right() -> None:
    found = statistics(made(sources=APART)[0])
    tests = found.tracks[0].tests
    assert tests is not None
    drawn = by_ranks(tests, {})
    assert drawn is not None
    assert drawn.critical is not None
    assert [label.name for label in drawn.labels] == list(tests.ranks)
    one, five = (next(x for x, said in drawn.ticks if said == str(rank)) for rank in (1, 5))
    assert one > five
    for label, rank in zip(drawn.labels, tests.ranks.values(), strict=True):
        assert label.x == pytest.approx(one - (rank - 1) * (one - five) / 4, abs=0.1)
    assert drawn.critical == pytest.approx(tests.critical * (one - five) / 4, abs=0.1)
    source = render(report(found))
    for name, rank in tests.ranks.items():
        assert f"{name.upper()} {rank:.2f}" in source
    assert source.count('class="critical"') == source.count('class="dots"') == 1
    assert source.count("<table") == source.count("<caption")
    assert len(set(re.findall(r' id="([^"]+)"', source))) == len(re.findall(r' id="([^"]+)"', source))


@pytest.mark.parametrize(("p", "said"), [(0.0625, "0.0625"), (1.0, "1"), (0.00003, "< 0.0001"), (0.21456, "0.215")])
def test_p_values_are_said_in_three_digits(p: float, said: str) -> None:
    assert p_value(p) == said
