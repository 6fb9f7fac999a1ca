"""Diversity and correlation shift: do two domains show other things, or do the same things mean other classes there?

N. Ye, K. Li, H. Bai, R. Yu, L. Hong, F. Zhou, Z. Li, J. Zhu: OoD-Bench: Quantifying and Understanding Two Dimensions of
Out-of-Distribution Generalization, CVPR 2022, in the later form that is made of square roots. With densities ``p`` and
``q`` of what is seen in two domains that are equally made up of classes::

    diversity   = 1/2 integral over S of (sqrt p - sqrt q)^2,                            S: min(p, q) < e_d
    correlation = 1/2 integral over T of sqrt(p q) sum_y (sqrt p(y|z) - sqrt q(y|z))^2,  T: min(p, q) > e_c

Both lie in [0, 1]. Over all ``z`` their sum is the squared Hellinger distance of the joint distributions of image and
class. As in the paper, ``z`` is what a classifier of the domain learned to see on one part of the images, and densities
are estimated on the other; ``e_d`` and ``e_c`` are such that two random halves of the same images come to .01.

Otherwise than there:

* The classifier is bilinear on given features (:mod:`.environments`); no backbone is fine-tuned, so published values do
  not compare. It has two coordinates, not eight: with a thousand images a density in eight is so uncertain that two
  halves of one domain lie .3 apart.
* One kernel serves all densities, shaped as the covariance within a class of a domain. So ``p`` *is* the mean of its
  classes' densities, the sum above is exact, and no class is left out since its own covariance is singular.
* The thresholds are read off the sorted contributions of the halves, in place of twenty bisections.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgbench.core.seeds import generator
from dgbench.diagnostics.arrays import Labels
from dgbench.diagnostics.environments import directions, spread

TRIALS = 4
FLOOR = 0.01
"""What two halves of the same images come to, at most."""
_DRAWN = 2000
"""Places that integrals are estimated at, in each trial."""
_LEAST = 20
"""Images of each domain below which nothing is said."""


@dataclass(frozen=True)
class Shift:
    """How two domains differ; all values lie in [0, 1].

    Attributes:
        diversity, correlation: Calibrated; means over trials, which deal the images anew.
        diversity_sd, correlation_sd: Standard deviations over trials (ddof 0).
        whole_diversity, whole_correlation: Over all ``z``; their sum is the squared Hellinger distance.
        noise_diversity, noise_correlation: What those are for random halves of the same images: what estimating alone
            makes of nothing.
        images: Of each domain, after classes were made equally frequent.
    """

    diversity: float
    diversity_sd: float
    correlation: float
    correlation_sd: float
    whole_diversity: float
    whole_correlation: float
    noise_diversity: float
    noise_correlation: float
    images: int


@dataclass(frozen=True)
class Parts:
    """Contributions of places to the two shifts; the mean of each is its integral.

    Attributes:
        least: ``min(p, q)``.
        diversity, correlation: What a place contributes.
    """

    least: NDArray[np.float64]
    diversity: NDArray[np.float64]
    correlation: NDArray[np.float64]


def shift(
    first: NDArray[np.float64], labels: Labels, second: NDArray[np.float64], their_labels: Labels, *names: str | int
) -> Shift | None:
    """Diversity and correlation shift between two domains; None where they share too few images of the same classes.

    Args:
        first: Of one domain, ``[n, d]``, each coordinate with a variance of about one over both.
        labels: ``[n]``.
        second: Of the other, ``[m, d]``.
        their_labels: ``[m]``.
        names: What it is for, which seeds are made of.
    """
    draws = [generator("shift", *names, trial) for trial in range(TRIALS)]
    real, halves = [], []
    for draw in draws:
        rows = _alike(labels, their_labels, draw)
        if len(rows[0]) < _LEAST:
            return None
        points = np.concatenate([first[rows[0]], second[rows[1]]])
        classes = np.unique(np.concatenate([labels[rows[0]], their_labels[rows[1]]]), return_inverse=True)[1]
        side = np.repeat([False, True], len(rows[0]))
        real.append(_trial(points, classes, side, draw))
        halves.append(_trial(points, classes, _mixed(side, classes, draw), draw))
    noise = _together(halves)
    below, above = thresholds(noise)
    diversity = [float((part.diversity * (part.least < below)).mean()) for part in real]
    correlation = [float((part.correlation * (part.least > above)).mean()) for part in real]
    whole = _together(real)
    return Shift(
        *(float(np.mean(diversity)), float(np.std(diversity)), float(np.mean(correlation)), float(np.std(correlation))),
        *(float(whole.diversity.mean()), float(whole.correlation.mean())),
        *(float(noise.diversity.mean()), float(noise.correlation.mean())),
        images=len(rows[0]),
    )


def thresholds(noise: Parts) -> tuple[float, float]:
    """The largest ``e_d`` and the smallest ``e_c`` with which random halves come to .01 at most."""
    order = np.argsort(noise.least, kind="stable")
    count = len(order)
    over = np.flatnonzero(np.cumsum(noise.diversity[order]) > FLOOR * count)
    below = float(noise.least[order[over[0]]]) if len(over) else np.inf
    over = np.flatnonzero(np.cumsum(noise.correlation[order[::-1]]) > FLOOR * count)
    above = float(noise.least[order[::-1][over[0]]]) if len(over) else -np.inf
    return below, above


def parts(
    p: NDArray[np.float64], q: NDArray[np.float64], prior: NDArray[np.float64], drawn: NDArray[np.float64]
) -> Parts:
    """What each place contributes.

    Args:
        p: Densities of the classes in one domain at some places, ``[places, classes]``.
        q: In the other.
        prior: Shares of the classes, the same in both, ``[classes]``.
        drawn: Density that the places were drawn from, ``[places]``.
    """
    one, other = p @ prior, q @ prior
    both = ((one > 0) & (other > 0))[:, None]
    classes = [
        np.sqrt(np.divide(each * prior, whole[:, None], out=np.zeros_like(each), where=both))
        for each, whole in ((p, one), (q, other))
    ]
    diversity = (np.sqrt(one) - np.sqrt(other)) ** 2
    correlation = np.sqrt(one * other) * ((classes[0] - classes[1]) ** 2).sum(1)
    return Parts(np.minimum(one, other), diversity / (2 * drawn), correlation / (2 * drawn))


def _alike(labels: Labels, others: Labels, draw: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of both domains, as many of each class in one as in the other; of none fewer than can be halved."""
    found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = [(np.array([], int), np.array([], int))]
    for label in np.intersect1d(labels, others):
        own, theirs = (draw.permutation(np.flatnonzero(each == label)) for each in (labels, others))
        count = min(len(own), len(theirs))
        if count >= 2:
            found.append((own[:count], theirs[:count]))
    one, other = zip(*found, strict=True)
    return np.concatenate(one), np.concatenate(other)


def _mixed(side: NDArray[np.bool_], labels: Labels, draw: np.random.Generator) -> NDArray[np.bool_]:
    """Two domains mixed at random within each class."""
    mixed = side.copy()
    for label in np.unique(labels):
        mixed[labels == label] = draw.permutation(side[labels == label])
    return mixed


def _trial(points: NDArray[np.float64], labels: Labels, side: NDArray[np.bool_], draw: np.random.Generator) -> Parts:
    """One half tells what to look at, the other how much is seen there."""
    group = 2 * labels + side
    learn = np.zeros(len(points), bool)
    for number in np.unique(group):
        members = draw.permutation(np.flatnonzero(group == number))
        learn[members[: len(members) // 2]] = True
    seen = points[~learn] @ directions(points[learn], labels[learn], side[learn], draw)
    return _seen(spread(seen), group[~learn], draw)


def _seen(z: NDArray[np.float64], group: Labels, draw: np.random.Generator) -> Parts:
    """Densities of all groups at places that are drawn from their mean, and what follows.

    Group ``2 y + s`` is class ``y`` of domain ``s``; of each class there are as many in both.
    """
    wide = z.shape[1]
    counts = np.bincount(group)
    means = np.stack([np.bincount(group, column) for column in z.T], axis=1) / counts[:, None]
    within = z - means[group]
    covariance = within.T @ within / max(len(z) - len(counts), 1) + 1e-6 * np.eye(wide)
    narrow = np.linalg.cholesky(covariance) * counts.mean() ** (-1 / (wide + 4))  # Scott's rule
    centres = z[draw.integers(len(z), size=_DRAWN)] + draw.normal(size=(_DRAWN, wide)) @ narrow.T
    places, own = (np.linalg.solve(narrow, some.T).T for some in (centres, z))
    squared = (places**2).sum(1)[:, None] + (own**2).sum(1)[None] - 2 * places @ own.T
    kernel = np.exp(-np.maximum(squared, 0) / 2) / ((2 * np.pi) ** (wide / 2) * np.diag(narrow).prod())
    density = kernel @ (np.eye(len(counts))[group] / counts)
    p, q = density[:, ::2], density[:, 1::2]
    prior = counts[::2] / counts[::2].sum()
    return parts(p, q, prior, (p @ prior + q @ prior) / 2)


def _together(trials: list[Parts]) -> Parts:
    return Parts(*(np.concatenate([getattr(each, name) for each in trials]) for name in Parts.__dataclass_fields__))
