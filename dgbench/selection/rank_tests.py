"""Do algorithms differ over datasets at all, and which of them? Tests by ranks, of a table of algorithms by blocks.

J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006. In each of N blocks, mostly a
dataset, k algorithms are ranked: 1 for the best, and those that tie share the mean of their ranks. R_j is the mean rank
of algorithm j over blocks::

    chi2 = 12 N / (k (k + 1)) (sum_j R_j^2 - k (k + 1)^2 / 4)    M. Friedman 1937, here corrected for ties; k - 1 df
    F    = (N - 1) chi2 / (N (k - 1) - chi2)                     R. L. Iman, J. M. Davenport 1980; k - 1, (k - 1)(N - 1)
    CD   = q sqrt(k (k + 1) / (12 N))                            P. B. Nemenyi 1963; q: of the studentised range of k

Two algorithms whose mean ranks differ by CD or more differ, by Nemenyi's test of all pairs. Where one of them is the
control that all others are held against, F. Wilcoxon's signed-rank test of the differences to it with Holm's correction
finds more: it sees how large differences are, and there are k - 1 of them. Its p-values are exact, but for more than
fifty blocks, or thirteen with ties. Equal values, as differences that are zero, are left out by it.

Here blocks are the sample, and one number stands for all trials of a block: the tests speak of *datasets like these*,
where the ranks of a board (:mod:`dgbench.selection.pairs`) speak of these targets, trained for again. Blocks must be
independent: the domains of one dataset are not, since each is a source of the others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dgbench.selection.pairs import adjusted
from dgbench.selection.statistics import LEVEL, RESOLUTION

Table = Mapping[str, Sequence[float]]
"""For each algorithm its value in every block, in one order; higher is better."""

_DECIMALS = -round(math.log10(RESOLUTION))
"""Values that differ by less are the same: the order in which a sum was taken makes no rank."""


@dataclass(frozen=True)
class Friedman:
    """Whether any algorithms differ.

    Attributes:
        algorithms, blocks: How many there are.
        chi2, p: Friedman's statistic and its p-value, for a chi-square distribution with ``algorithms - 1``.
        f, f_p: That of Iman and Davenport, which is less conservative; infinite where all blocks rank alike.
    """

    algorithms: int
    blocks: int
    chi2: float
    p: float
    f: float
    f_p: float

    @property
    def df(self) -> tuple[int, int]:
        """Degrees of freedom of ``f``; the first are those of ``chi2``."""
        return self.algorithms - 1, (self.algorithms - 1) * (self.blocks - 1)


@dataclass(frozen=True)
class Against:
    """One algorithm against the control.

    Attributes:
        algorithm: Which.
        difference: Its mean over blocks minus that of the control.
        wins, ties, losses: Blocks in which it was better, as good, worse.
        p: Two-sided p-value of Wilcoxon's signed-rank test; 1 where no block differs.
        p_corrected: After Holm's correction over all that are held against the control.
    """

    algorithm: str
    difference: float
    wins: int
    ties: int
    losses: int
    p: float
    p_corrected: float


@dataclass(frozen=True)
class RankTests:
    """Every test of a table.

    Attributes:
        blocks: Their names.
        ranks: Mean rank of each algorithm, the best first.
        friedman: Whether any differ.
        critical: By how much mean ranks must differ, at 5 %, for all pairs together.
        nemenyi: p-value of every pair, corrected for all of them.
        control: What the others are held against; None where it is not in the table.
        against: The others, in the order of ``ranks``; nothing without a control.
    """

    blocks: tuple[str, ...]
    ranks: Mapping[str, float]
    friedman: Friedman
    critical: float
    nemenyi: Mapping[tuple[str, str], float]
    control: str | None
    against: tuple[Against, ...]

    @property
    def separated(self) -> list[tuple[str, str]]:
        """The pairs that differ by Nemenyi's test, at 5 %."""
        return [pair for pair, p in self.nemenyi.items() if p <= 1 - LEVEL]

    @property
    def least(self) -> float:
        """The smallest p that Wilcoxon's test can give after the correction, with so many blocks and comparisons."""
        return min(1.0, len(self.against) * 2.0 ** (1 - len(self.blocks)))


def rank_tests(table: Table, blocks: Sequence[str], control: str | None = None) -> RankTests:
    """Every test of a table.

    Args:
        table: Three algorithms or more, in two blocks or more.
        blocks: Names of the blocks.
        control: What the others are held against; none if it is not in the table.

    Raises:
        ValueError: there is too little, or values are missing.
    """
    if any(len(values) != len(blocks) for values in table.values()):
        raise ValueError(f"each algorithm needs one value for each of {len(blocks)} blocks")
    ranks = mean_ranks(table)
    known = control if control in table else None
    others = {one.algorithm: one for one in against(table, known)} if known is not None else {}
    return RankTests(
        tuple(blocks),
        dict(sorted(ranks.items(), key=lambda item: item[1])),
        friedman(table),
        critical_difference(len(table), len(blocks)),
        nemenyi(table),
        known,
        tuple(sorted(others.values(), key=lambda one: ranks[one.algorithm])),
    )


def mean_ranks(table: Table) -> dict[str, float]:
    """The mean rank of each algorithm, 1 for one that is best in every block; arguments as for :func:`rank_tests`."""
    return dict(zip(table, stats.rankdata(-_matrix(table), axis=0).mean(axis=1).tolist(), strict=True))


def friedman(table: Table) -> Friedman:
    """Friedman's test with the statistic of Iman and Davenport; arguments as for :func:`rank_tests`."""
    matrix = _matrix(table)
    algorithms, blocks = matrix.shape
    if (matrix == matrix[0]).all():
        return Friedman(algorithms, blocks, 0.0, 1.0, 0.0, 1.0)
    chi2, p = map(float, stats.friedmanchisquare(*matrix))
    left = blocks * (algorithms - 1) - chi2
    f = (blocks - 1) * chi2 / left if left > RESOLUTION * chi2 else math.inf
    f_p = float(stats.f.sf(f, algorithms - 1, (algorithms - 1) * (blocks - 1)))
    return Friedman(algorithms, blocks, chi2, p, f, f_p)


def critical_difference(algorithms: int, blocks: int) -> float:
    """By how much mean ranks must differ for Nemenyi's test at 5 %."""
    return float(stats.studentized_range.isf(1 - LEVEL, algorithms, math.inf)) * _error(algorithms, blocks)


def nemenyi(table: Table) -> dict[tuple[str, str], float]:
    """Nemenyi's p-value of every pair, corrected for all of them; arguments as for :func:`rank_tests`."""
    matrix, ranks = _matrix(table), mean_ranks(table)
    error = _error(*matrix.shape)
    pairs = list(itertools.combinations(ranks, 2))
    gaps = [abs(ranks[one] - ranks[other]) / error for one, other in pairs]
    p_values = stats.studentized_range.sf(gaps, len(ranks), math.inf)
    return dict(zip(pairs, np.clip(p_values, 0, 1).tolist(), strict=True))


def against(table: Table, control: str) -> tuple[Against, ...]:
    """Wilcoxon's signed-rank test of all others against the control, with Holm's correction.

    Args:
        table: As for :func:`rank_tests`.
        control: One of its algorithms.
    """
    matrix = dict(zip(table, _matrix(table), strict=True))
    gaps = {name: (values - matrix[control]).round(_DECIMALS) for name, values in matrix.items() if name != control}
    p_values = {name: float(stats.wilcoxon(gap[gap != 0]).pvalue) if gap.any() else 1.0 for name, gap in gaps.items()}
    corrected = adjusted(p_values)
    return tuple(
        Against(
            name,
            float(gap.mean()),
            int((gap > 0).sum()),
            int((gap == 0).sum()),
            int((gap < 0).sum()),
            p_values[name],
            corrected[name],
        )
        for name, gap in gaps.items()
    )


def _error(algorithms: int, blocks: int) -> float:
    """What mean ranks of equal algorithms scatter by, as the studentised range takes it."""
    return math.sqrt(algorithms * (algorithms + 1) / (12 * blocks))


def _matrix(table: Table) -> NDArray[np.float64]:
    """Algorithms by blocks."""
    if len(table) < 3 or len({len(values) for values in table.values()}) != 1:
        raise ValueError(f"tests by ranks need three algorithms or more in the same blocks, got {len(table)}")
    matrix = np.array(list(table.values()), dtype=float)
    if matrix.shape[1] < 2 or not np.isfinite(matrix).all():
        raise ValueError("tests by ranks need two blocks or more, and a number for each algorithm in each of them")
    return matrix.round(_DECIMALS)
