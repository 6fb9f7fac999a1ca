"""All diagnostics of one dataset: of each domain, of each pair of domains, and of the whole."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dgbench.core.seeds import seed
from dgbench.diagnostics.arrays import Labels, Points
from dgbench.diagnostics.components import components
from dgbench.diagnostics.difficulty import Task, difficulty
from dgbench.diagnostics.distances import distances
from dgbench.diagnostics.domain_classifier import told_apart
from dgbench.diagnostics.intrinsic_dimension import maximum_likelihood, two_nearest_neighbours
from dgbench.diagnostics.label_priors import prior_distance
from dgbench.diagnostics.near_duplicates import near_duplicates
from dgbench.diagnostics.sharpness import Sharpness, across, sharpness
from dgbench.diagnostics.shift import Shift, shift

_POOLED, _POOLED_NEIGHBOURS = 2000, 5
"""Images whose dimension stands for the dataset's, and k of its estimate, as the paper on difficulty has it."""
Reduced: TypeAlias = NDArray[np.float64]
"""Principal components of one domain's points."""
_SHOWN = 12
"""Near-duplicates that are kept by row."""


@dataclass(frozen=True)
class Seen:
    """Some images of a domain.

    Attributes:
        name: Of the domain.
        rows: Which they are, in random order, ``[n]``.
        images: Pixels in [0, 1], ``[n, d]``.
        labels: Their classes, ``[n]``.
        every_label: Of all images of the domain.
        features: Of a backbone, ``[n, f]``, in place of pixels where domains are told apart.
    """

    name: str
    rows: Labels
    images: Points
    labels: Labels
    every_label: Labels
    features: Points | None = None

    @property
    def points(self) -> Points:
        """What domains are told apart by."""
        return self.images if self.features is None else self.features


@dataclass(frozen=True)
class Dimensions:
    """Two estimates of an intrinsic dimension; None where too few points differ.

    Attributes:
        maximum_likelihood: By twenty neighbours (Levina and Bickel; MacKay).
        two_nearest_neighbours: By two (TwoNN).
    """

    maximum_likelihood: float | None
    two_nearest_neighbours: float | None


@dataclass(frozen=True)
class Within:
    """One domain.

    Attributes:
        name: Which.
        images: How many were looked at.
        of: How many there are.
        dimension: Of the images.
        feature_dimension: Of their features; None where no backbone was asked for.
        sharpness: How steeply labels change with images.
    """

    name: str
    images: int
    of: int
    dimension: Dimensions
    feature_dimension: Dimensions | None
    sharpness: Sharpness


@dataclass(frozen=True)
class Between:
    """Two domains.

    Attributes:
        first, second: Their names.
        shift: Diversity and correlation shift; None where too few images are of classes that both have.
        told_apart: Share of images whose domain a linear classifier finds; 1/2 is chance.
        prior_distance: Total variation between the frequencies of classes, over all images; in [0, 1].
        sharpness: How steeply labels change from images of one to images of the other.
        near: Near-duplicates among the images that were looked at.
        near_rows: The most alike of them: rows of the first and of the second.
    """

    first: str
    second: str
    shift: Shift | None
    told_apart: float | None
    prior_distance: float
    sharpness: Sharpness
    near: int
    near_rows: tuple[tuple[int, int], ...]

    @property
    def proxy_distance(self) -> float | None:
        """The proxy of the A-distance, from 0 (chance) to 2; below 0 where the classifier is worse than chance."""
        return None if self.told_apart is None else 4 * self.told_apart - 2


@dataclass(frozen=True)
class Difficulty:
    """Generalisation difficulty of the dataset.

    Attributes:
        task: What it follows from.
        dimension: Of the images of all domains together, by maximum likelihood with five neighbours.
        bits: Common logarithm of the bits, for one dimension less, this one, and one more.
    """

    task: Task
    dimension: float
    bits: tuple[float | None, float | None, float | None]


@dataclass(frozen=True)
class Diagnosis:
    """What a dataset is like.

    Attributes:
        dataset: Its name.
        side: Of the images in pixels, as they were looked at.
        backbone: Whose features told domains apart; None for pixels.
        images: How many were looked at in a domain, at most.
        domains: Each of them.
        pairs: All pairs of them.
        difficulty: None where images do not differ enough to say.
    """

    dataset: str
    side: int
    backbone: str | None
    images: int
    domains: tuple[Within, ...]
    pairs: tuple[Between, ...]
    difficulty: Difficulty | None


def diagnose(
    dataset: str,
    classes: int,
    seen: Sequence[Seen],
    *,
    side: int,
    images: int,
    backbone: str | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Diagnosis:
    """Every diagnostic of every domain, pair of domains, and of all together.

    Args:
        dataset: Its name, of which seeds are made as well.
        classes: How many it has.
        seen: The domains.
        side, images, backbone: As :class:`Diagnosis` tells them.
        progress: Is called after each domain and each pair.
    """
    within = []
    for one in seen:
        within.append(_within(one))
        progress()
    points = np.concatenate([one.points for one in seen])
    middle = points.mean(0)
    reduced = np.split(components(points, seed("components", dataset)), np.cumsum([len(one.rows) for one in seen])[:-1])
    between = []
    for first, second in itertools.combinations(range(len(seen)), 2):
        between.append(_between(dataset, seen[first], seen[second], reduced[first], reduced[second], middle))
        progress()
    sharpest = max(
        found.value or 0 for found in (*(one.sharpness for one in within), *(two.sharpness for two in between))
    )
    hard = _difficulty(classes, seen, 1 / sharpest) if sharpest and classes > 1 else None
    return Diagnosis(dataset, side, backbone, images, tuple(within), tuple(between), hard)


def _within(one: Seen) -> Within:
    apart = distances(one.images, one.images)
    features = None if one.features is None else _dimensions(distances(one.features, one.features))
    sharp = sharpness(apart, one.labels)
    return Within(one.name, len(one.rows), len(one.every_label), _dimensions(apart), features, sharp)


def _dimensions(apart: NDArray[np.float64]) -> Dimensions:
    return Dimensions(maximum_likelihood(apart), two_nearest_neighbours(apart))


def _between(
    dataset: str, first: Seen, second: Seen, reduced: Reduced, their_reduced: Reduced, middle: Points
) -> Between:
    names = (dataset, first.name, second.name)
    near = near_duplicates(first.points, second.points, middle)
    return Between(
        first.name,
        second.name,
        shift(reduced, first.labels, their_reduced, second.labels, *names),
        told_apart(reduced, their_reduced, seed("told apart", *names)),
        prior_distance(first.every_label, second.every_label),
        across(distances(first.images, second.images), first.labels, second.labels),
        len(near),
        tuple((int(first.rows[one]), int(second.rows[other])) for one, other in near[:_SHOWN]),
    )


def _difficulty(classes: int, seen: Sequence[Seen], resolution: float) -> Difficulty | None:
    share = max(1, _POOLED // len(seen))
    images = np.concatenate([one.images[:share] for one in seen])
    dimension = maximum_likelihood(distances(images, images), _POOLED_NEIGHBOURS)
    if dimension is None or dimension <= 1:
        return None
    radius = float(np.linalg.norm(images - images.mean(0), axis=1).max())
    task = Task(classes, sum(len(one.every_label) for one in seen), radius, resolution)
    below, here, above = (difficulty(task, dimension + step) for step in (-1, 0, 1))
    return Difficulty(task, dimension, (below, here, above))
