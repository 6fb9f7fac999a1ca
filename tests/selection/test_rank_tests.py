"""Tests by ranks against the published table of DomainBed, other programs, enumerations and the formulas themselves."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgbench.literature.source import sources
from dgbench.selection.rank_tests import (
    Table,
    against,
    critical_difference,
    friedman,
    mean_ranks,
    nemenyi,
    rank_tests,
)

DATASETS = ("colored-mnist-domainbed", "rotated-mnist", "vlcs", "pacs", "office-home", "terra-incognita", "domainnet")


def published(name: str) -> Table:
    """The 14 algorithms on the 7 datasets, as a table of the paper has them."""
    source = next(source for source in sources() if source.origin.name == "domainbed")
    found: dict[str, dict[str, float]] = {}
    for figure in source.figures:
        if figure.table == name and figure.dataset and not figure.target:
            found.setdefault(figure.method, {})[figure.dataset] = figure.value
    return {method: [values[dataset] for dataset in DATASETS] for method, values in found.items()}


@pytest.mark.parametrize(
    ("name", "chi2", "p", "pairs"),
    [
        ("iid", 27.11, 0.0120, set()),
        ("lodo", 24.04, 0.0308, {("IRM", "CORAL"), ("CORAL", "VREx")}),
        ("oracle", 22.05, 0.0547, {("IRM", "Mixup"), ("IRM", "CORAL")}),
    ],
)
def test_the_published_table_comes_out(name: str, chi2: float, p: float, pairs: set[tuple[str, str]]) -> None:
    found = rank_tests(published(name), DATASETS, "ERM")
    assert (len(found.ranks), len(found.blocks), len(found.nemenyi)) == (14, 7, 91)
    assert found.friedman.chi2 == pytest.approx(chi2, abs=0.005)
    assert found.friedman.p == pytest.approx(p, abs=0.00005)
    assert found.friedman.f_p < found.friedman.p
    assert found.friedman.df == (13, 78)
    assert found.critical == pytest.approx(7.50, abs=0.01)
    assert set(found.separated) == pairs
    assert next(iter(found.ranks)) == "CORAL"
    assert all(one.p_corrected > 0.05 for one in found.against), "seven blocks cannot reject any of thirteen"
    assert found.least == pytest.approx(13 / 64)


def test_what_the_published_table_says_of_single_algorithms() -> None:
    found = rank_tests(published("iid"), DATASETS, "ERM")
    ranks = {"CORAL": 3.50, "SagNet": 3.64, "Mixup": 5.14, "ERM": 6.14, "MMD": 10.43}
    assert {name: round(found.ranks[name], 2) for name in ranks} == ranks
    assert list(found.ranks)[-1] == "MMD"
    coral = next(one for one in found.against if one.algorithm == "CORAL")
    assert coral.p == pytest.approx(0.0625)
    assert (coral.wins, coral.ties, coral.losses) == (5, 2, 0)
    assert coral.difference == pytest.approx(0.9)


def test_pairs_as_scikit_posthocs_has_them() -> None:
    """Version 0.17.1 of that package, posthoc_nemenyi_friedman: what it gives to the same tables."""
    assert nemenyi(published("lodo"))["IRM", "CORAL"] == pytest.approx(0.049924, abs=1e-6)
    assert nemenyi(published("lodo"))["CORAL", "VREx"] == pytest.approx(0.02137, abs=1e-6)
    oracle = nemenyi(published("oracle"))
    assert oracle["IRM", "Mixup"] == pytest.approx(0.0367116, abs=1e-6)
    assert oracle["IRM", "CORAL"] == pytest.approx(0.019097, abs=1e-6)
    assert nemenyi(published("iid"))["CORAL", "MMD"] == pytest.approx(0.1060258, abs=1e-6)


def test_critical_differences_of_printed_tables() -> None:
    """From the quantiles that Demšar prints: 2.728 for five algorithms, 3.354 for fourteen."""
    assert critical_difference(14, 7) == pytest.approx(7.50, abs=0.005)
    assert critical_difference(14, 35) == pytest.approx(3.35, abs=0.005)
    assert critical_difference(5, 7) == pytest.approx(2.31, abs=0.005)
    assert critical_difference(5, 35) == pytest.approx(1.03, abs=0.005)


@given(st.integers(3, 6), st.integers(2, 8), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_friedman_by_its_formula(algorithms: int, blocks: int, seed: int) -> None:
    """Without ties: the plain formula, and that of Iman and Davenport as the analysis of variance of the ranks."""
    random = np.random.default_rng(seed)
    values = random.permuted(np.tile(np.arange(algorithms), (blocks, 1)), axis=1).T / 7
    found = friedman({str(name): row.tolist() for name, row in enumerate(values)})
    ranks = algorithms - 7 * values
    means = ranks.mean(axis=1)
    k, n = algorithms, blocks
    assert found.chi2 == pytest.approx(12 * n / (k * (k + 1)) * ((means**2).sum() - k * (k + 1) ** 2 / 4), abs=1e-9)
    between = n * ((means - (k + 1) / 2) ** 2).sum() / (k - 1)
    within = ((ranks - means[:, None]) ** 2).sum() / ((k - 1) * (n - 1))
    assert found.f == pytest.approx(between / within if within > 1e-9 else math.inf)


@given(st.lists(st.integers(-6, 6), min_size=2, max_size=7))
@settings(max_examples=25, deadline=None)
def test_wilcoxon_by_all_signs(gaps: list[int]) -> None:
    """With ties and zeros: the share of all ways to give signs whose sum of ranks lies as far from its mean."""
    table = {"control": [0.5] * len(gaps), "one": [0.5 + gap / 100 for gap in gaps], "two": [0.4] * len(gaps)}
    one = next(each for each in against(table, "control") if each.algorithm == "one")
    sizes = [abs(gap) for gap in gaps if gap]
    ranks = [sum(other < size for other in sizes) + (sizes.count(size) + 1) / 2 for size in sizes]
    middle = sum(ranks) / 2
    observed = abs(sum(rank for rank, gap in zip(ranks, filter(None, gaps), strict=True) if gap > 0) - middle)
    sums = [sum(itertools.compress(ranks, signs)) for signs in itertools.product((0, 1), repeat=len(ranks))]
    assert one.p == pytest.approx(sum(abs(s - middle) >= observed - 1e-9 for s in sums) / len(sums))
    assert one.wins - one.losses == sum((gap > 0) - (gap < 0) for gap in gaps)
    two = 2.0 ** (1 - len(gaps))
    assert one.p_corrected == pytest.approx(min(1.0, 2 * one.p if one.p <= two else max(one.p, 2 * two)))


def test_how_sums_were_taken_makes_no_rank() -> None:
    table = {"a": [0.1 + 0.2, 0.5], "b": [0.3, 0.5], "c": [0.2, 0.6]}
    assert mean_ranks(table) == {"a": 2.0, "b": 2.0, "c": 2.0}
    assert against(table, "a")[0].p == 1.0


def test_whoever_is_best_everywhere_and_whoever_is_equal() -> None:
    better = {name: [level + block for block in range(4)] for name, level in (("a", 0.3), ("b", 0.2), ("c", 0.1))}
    found = rank_tests(better, "wxyz")
    assert list(found.ranks.items()) == [("a", 1.0), ("b", 2.0), ("c", 3.0)]
    assert (found.friedman.chi2, found.friedman.f, found.friedman.f_p) == (pytest.approx(8), math.inf, 0.0)
    assert (found.control, found.against) == (None, ())
    same = rank_tests({name: [0.1, 0.2, 0.3] for name in "abc"}, "xyz", "a")
    assert (same.friedman.chi2, same.friedman.p, same.friedman.f_p) == (0.0, 1.0, 1.0)
    assert set(same.nemenyi.values()) == {1.0}
    assert {one.p for one in same.against} == {1.0}


@pytest.mark.parametrize(
    ("table", "blocks"),
    [
        ({"a": [1.0, 2.0], "b": [1.0, 2.0]}, "xy"),
        ({"a": [1.0], "b": [1.0], "c": [1.0]}, "x"),
        ({"a": [1.0, 2.0], "b": [1.0], "c": [1.0, 2.0]}, "xy"),
        ({"a": [1.0, 2.0], "b": [1.0, math.nan], "c": [1.0, 2.0]}, "xy"),
    ],
)
def test_what_is_too_little_is_refused(table: Table, blocks: str) -> None:
    with pytest.raises(ValueError, match="need"):
        rank_tests(table, blocks)
