"""Which algorithms can the data tell apart? Every pair by its difference, all pairs with one correction, and ranks.

A board has a paired difference for every pair of algorithms, and two degrees of freedom for each cluster of three
trials. So the variances of four algorithms or more are *moderated*: each is drawn towards what those of all pairs have
in common, with the degrees of freedom that this is worth (:mod:`dgbench.selection.moderated`). Those of pairs that have
an algorithm in common depend on each other: together they have the worth of A - 1, where A is the number of algorithms.

Where the rules let trials grow, a pair is tested at every look (:mod:`dgbench.selection.looks`).

``docs/statistics.md`` shows what that finds, and how often it errs.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from dgbench.selection.moderated import TOGETHER, Variances, together
from dgbench.selection.statistics import ANY, LEVEL, Estimate, Measured, Range, Values, largest_in, matrix_of, measured

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Pair:
    """Two algorithms, compared over all targets and trials.

    Attributes:
        first, second: Their names.
        difference: What the first has more than the second; its interval is that of this pair alone.
        p: p-value after Holm's correction over all pairs; 1 where chance cannot be measured.
        ahead: The difference on which p rests: that of all trials, or of the look that says most.
    """

    first: str
    second: str
    difference: Estimate
    p: float
    ahead: Estimate

    @property
    def better(self) -> str | None:
        """Which of them is shown to be better; None where the data cannot separate them."""
        if self.p > 1 - LEVEL:
            return None
        return self.first if self.ahead.mean > 0 else self.second


@dataclass(frozen=True)
class Evidence:
    """What speaks against two algorithms being equal.

    Attributes:
        p: p-value, over all looks.
        ahead: The difference at the look that says most.
    """

    p: float
    ahead: Estimate

    @classmethod
    def of(cls, gap: Estimate, share: float = 1.0) -> Evidence:
        """Of a look that has a share of the error. Where chance cannot be measured nothing speaks against it."""
        return cls(1.0 if gap.p is None else min(gap.p / share, 1.0), gap)

    def __neg__(self) -> Evidence:
        """The same the other way round."""
        return Evidence(self.p, -self.ahead)


@dataclass(frozen=True)
class Contrasts:
    """The paired differences of every two algorithms, on the targets and trials that both have.

    Attributes:
        known: What the first has more than the second, whichever of them is named first.
        looked: Where there were several looks, what speaks against each pair being equal.
    """

    known: Mapping[tuple[str, str], Estimate] = field(default_factory=dict)
    looked: Mapping[tuple[str, str], Evidence] = field(default_factory=dict)

    def between(self, one: str, other: str) -> Estimate | None:
        """What the one has more than the other; None where the two are not compared."""
        back = self.known.get((other, one))
        return self.known.get((one, other)) if back is None else -back

    def evidence(self, one: str, other: str) -> Evidence | None:
        """What speaks against the two being equal; None where they are not compared."""
        back = self.looked.get((other, one))
        if (found := self.looked.get((one, other)) if back is None else -back) is not None:
            return found
        gap = self.between(one, other)
        return None if gap is None else Evidence.of(gap)

    def pairs(self, names: Iterable[str]) -> tuple[Pair, ...]:
        """Every pair of some that are compared; Holm's procedure over these pairs decides which differ.

        The correction runs over all pairs, and not only over those with the best mean, because the best mean was
        picked by the same data: with the smaller family, twenty equal algorithms were torn apart in up to 18 % of
        simulated boards.
        """
        asked = itertools.combinations(names, 2)
        gaps = {(a, b): gap for a, b in asked if (gap := self.between(a, b)) is not None}
        found = {(a, b): seen for a, b in gaps if (seen := self.evidence(a, b)) is not None}
        # Where chance cannot be measured the pair stays in the family, as one that nothing speaks against.
        p_values = adjusted({pair: seen.p for pair, seen in found.items()})
        return tuple(Pair(a, b, gap, p_values[a, b], found[a, b].ahead) for (a, b), gap in gaps.items())


def contrasts(
    scores: Mapping[str, Values],
    weights: Sequence[float] | None = None,
    clusters: Sequence[Hashable] | None = None,
    within: Range = ANY,
    variances: Variances = "moderated",
) -> Contrasts:
    """Every two algorithms by their paired difference.

    Args:
        scores: The values of each algorithm, over the same targets and trials for all.
        weights, clusters: Of the targets, as in :func:`estimate`.
        within: What values a difference can take.
        variances: ``moderated``: those of ``TOGETHER`` algorithms or more are drawn towards what they have in common;
            ``own``: each difference has the variance of its own trials, as :func:`difference` has it.
    """
    names = list(itertools.combinations(scores, 2))
    if not names:
        return Contrasts()
    matrices = {name: matrix_of(values) for name, values in scores.items()}
    largest = {name: largest_in(matrix) for name, matrix in matrices.items()}
    batch = np.stack([matrices[a] - matrices[b] for a, b in names])
    if (np.isnan(batch) != np.isnan(batch[0])).any():
        raise ValueError("a paired difference needs the same targets and trials on both sides")
    scales = np.array([max(largest[a], largest[b]) for a, b in names])
    found = measured(batch, scales, weights, clusters, within)
    gaps = _together(found, names) if variances == "moderated" else found.alone()
    return Contrasts(dict(zip(names, gaps, strict=True)))


def over_looks(found: Sequence[Contrasts], shares: Sequence[float]) -> Contrasts:
    """Every pair over all looks at which it was compared; its difference is that of the last.

    Args:
        found: Of each look.
        shares: Of the error, that each look has.
    """
    known: dict[tuple[str, str], Estimate] = {}
    looked: dict[tuple[str, str], Evidence] = {}
    for contrasts_, share in zip(found, shares, strict=True):
        for pair, gap in contrasts_.known.items():
            seen = Evidence.of(gap, share)
            known[pair] = gap
            if pair not in looked or seen.p < looked[pair].p:
                looked[pair] = seen
    return Contrasts(known, looked)


def _together(found: Measured, compared: Sequence[tuple[str, str]]) -> list[Estimate]:
    """Estimates of differences whose variances are drawn towards what they have in common.

    Algorithms that differ by a constant count once.

    Args:
        found: Of every pair of some algorithms.
        compared: The pairs.
    """
    if found.variances is None:
        return found.alone()
    some = found.variances.sum(axis=1) > 0
    copies = {second for (_, second), differs in zip(compared, some.tolist(), strict=True) if not differs}
    distinct = len(set(itertools.chain.from_iterable(compared)) - copies)
    return together(found, distinct - 1) if distinct >= TOGETHER else found.alone()


def pairs(
    scores: Mapping[str, Values],
    weights: Sequence[float] | None = None,
    clusters: Sequence[Hashable] | None = None,
    within: Range = ANY,
) -> tuple[Pair, ...]:
    """Every pair of algorithms by :func:`contrasts`; Holm's procedure over all pairs decides which differ."""
    return contrasts(scores, weights, clusters, within).pairs(scores)


def ranks(names: Iterable[str], compared: Iterable[Pair]) -> dict[str, tuple[int, int]]:
    """Rank algorithms as far as the data can separate them: the best and the worst rank that each may have.

    The best is one more than the number of those shown to be better, the worst is the number of all without those
    shown to be worse. Algorithms share ranks: rank 1 is the group of all whom nobody is shown to beat, whatever their
    means, and with a single trial everyone may have any rank. With a confidence of LEVEL, the true ranks of all
    algorithms lie in these intervals (M. Mogstad, J. P. Romano, A. M. Shaikh, D. Wilhelm, "Inference for Ranks with
    Applications to Mobility across Neighbourhoods and Academic Achievement across Countries", Review of Economic
    Studies 2024).
    """
    listed, beaten, beats = list(names), Counter[str](), Counter[str]()
    for pair in compared:
        if pair.better is not None:
            beats[pair.better] += 1
            beaten[pair.second if pair.better == pair.first else pair.first] += 1
    return {name: (1 + beaten[name], len(listed) - beats[name]) for name in listed}


def adjusted(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Holm's step-down p-values: at a family-wise error of 5 % those are rejected whose own is at most .05."""
    largest, found = 0.0, {}
    for rank, key in enumerate(sorted(p_values, key=lambda k: p_values[k])):
        largest = max(largest, min((len(p_values) - rank) * p_values[key], 1.0))
        found[key] = largest
    return found
