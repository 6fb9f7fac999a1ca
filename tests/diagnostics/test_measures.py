"""Diagnostics of images, against what is known of constructed data and against naive references."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from dgbench.core.errors import DGBenchError
from dgbench.diagnostics.components import COMPONENTS, components
from dgbench.diagnostics.difficulty import Task, difficulty
from dgbench.diagnostics.distances import distances
from dgbench.diagnostics.domain_classifier import told_apart
from dgbench.diagnostics.intrinsic_dimension import maximum_likelihood, two_nearest_neighbours
from dgbench.diagnostics.label_priors import prior_distance
from dgbench.diagnostics.near_duplicates import near_duplicates
from dgbench.diagnostics.sharpness import Sharpness, across, sharpness

ESTIMATES = (maximum_likelihood, two_nearest_neighbours)
IMAGENET = Task(classes=1000, examples=1_280_901, radius=943.5923, resolution=65.0, error=0.1)


def turned(count: int, dimension: int, wide: int = 30, seed: int = 0) -> np.ndarray:
    """Normal points in a subspace that lies askew."""
    draw = np.random.default_rng(seed)
    basis = np.linalg.qr(draw.normal(size=(wide, dimension)))[0]
    return draw.normal(size=(count, dimension)) @ basis.T


def inside(points: np.ndarray) -> np.ndarray:
    return distances(points, points)


@pytest.mark.parametrize("dimension", [1, 2, 5, 10])
def test_the_dimension_of_normal_points_is_found(dimension: int) -> None:
    apart = inside(turned(2000, dimension))
    for estimate in ESTIMATES:
        assert estimate(apart) == pytest.approx(dimension, rel=0.1)


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_a_dimension_is_neither_turned_nor_scaled_nor_repeated(
    estimate: Callable[[np.ndarray], float | None],
) -> None:
    points = turned(300, 4)
    value = estimate(inside(points))
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(30, 30)))[0]
    assert estimate(inside(7 * points @ rotation + 3)) == pytest.approx(value)
    assert estimate(inside(np.concatenate([points, points[:100]]))) == pytest.approx(value)
    assert estimate(inside(points.astype(np.float32))) == pytest.approx(value, rel=1e-3)


def test_estimates_are_what_the_formulas_say() -> None:
    points = turned(40, 3)
    logs, ratios = [], []
    for here in range(40):
        near = sorted(math.dist(points[here], points[there]) for there in range(40) if there != here)
        logs.append(sum(math.log(near[4] / near[j]) for j in range(4)) / 4)
        ratios.append(math.log(near[1] / near[0]))
    assert maximum_likelihood(inside(points), 5) == pytest.approx(40 / sum(logs))
    assert two_nearest_neighbours(inside(points)) == pytest.approx(40 / sum(ratios))


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_too_few_points_have_no_dimension(estimate: Callable[[np.ndarray], float | None]) -> None:
    assert estimate(inside(np.repeat(turned(2, 2), 50, axis=0))) is None
    assert two_nearest_neighbours(inside(np.eye(5))) is None  # all equally far from each other


def test_distances_are_exact_where_points_nearly_coincide() -> None:
    far = 1e4 + turned(20, 5)
    close = np.concatenate([far[:3] + 1e-6, far])
    naive = [[math.dist(one, other) for other in close] for one in far]
    assert distances(far, close) == pytest.approx(np.array(naive), rel=1e-4, abs=1e-12)
    assert (distances(far, far).diagonal() == 0).all()


def naive_sharpness(points: np.ndarray, labels: np.ndarray) -> float:
    pairs = itertools.combinations(range(len(points)), 2)
    return max(1 / math.dist(points[i], points[j]) for i, j in pairs if labels[i] != labels[j])


def test_sharpness_is_that_of_pairs_of_different_classes() -> None:
    points, labels = turned(60, 4), np.arange(60) % 3
    value = sharpness(inside(points), labels).value
    assert value == pytest.approx(naive_sharpness(points, labels))
    nearest = np.argmin(distances(points, points) + np.diag(np.full(60, np.inf))) // 60
    alone = np.where(np.arange(60) == nearest, 0, 1)  # no pair is nearer than one of this point
    pair = np.argsort(distances(points[nearest : nearest + 1], points)[0])[1]
    together = np.where(np.arange(60) == pair, 0, alone)  # and now that pair is of one class
    assert sharpness(inside(points), together).value == pytest.approx(naive_sharpness(points, together))
    assert naive_sharpness(points, together) < 0.999 * naive_sharpness(points, alone)
    assert sharpness(inside(5 * points), labels).value == pytest.approx(value / 5)
    copies = inside(np.concatenate([points, points[:9]])), np.concatenate([labels, labels[:9]])
    assert sharpness(*copies) == Sharpness(pytest.approx(value), 0)
    crossed = across(distances(points[:30], points[30:]), labels[:30], labels[30:]).value
    within = [naive_sharpness(points[part], labels[part]) for part in (slice(30), slice(30, 60))]
    assert max(crossed, *within) == pytest.approx(value)


def test_equal_images_with_different_labels_are_counted_and_left_out() -> None:
    points, labels = turned(30, 4), np.arange(30) % 2
    value = sharpness(inside(points), labels).value
    more = inside(np.concatenate([points, points[:3]])), np.concatenate([labels, 1 - labels[:3]])
    made = sharpness(*more)
    assert made.contradictions == 3
    assert made.value is not None
    assert made.value >= value - 1e-9
    assert across(inside(points[:3]), labels[:3], 1 - labels[:3]).contradictions == 3
    assert sharpness(inside(points), np.zeros(30, int)) == Sharpness(None, 0)


def test_difficulty_is_the_published_one_on_imagenet() -> None:
    assert difficulty(IMAGENET, 48) == pytest.approx(math.log10(3.583252793803963e41), abs=1e-13)


def test_difficulty_falls_with_examples_and_rises_with_classes_and_dimension() -> None:
    here = difficulty(IMAGENET, 48)
    assert here is not None
    more = Task(1000, 10 * IMAGENET.examples, IMAGENET.radius, IMAGENET.resolution, 0.1)
    classes = Task(2000, IMAGENET.examples, IMAGENET.radius, IMAGENET.resolution, 0.1)
    scaled = Task(1000, IMAGENET.examples, 3 * IMAGENET.radius, 3 * IMAGENET.resolution, 0.1)
    assert difficulty(more, 48) < here < difficulty(classes, 48)
    assert difficulty(scaled, 48) == pytest.approx(here)
    assert difficulty(IMAGENET, 47) < here < difficulty(IMAGENET, 49)
    assert difficulty(Task(2, 10**12, 1.0, 1.0), 2) is None  # more examples than there is to know


@pytest.mark.parametrize("field", ["classes", "examples", "radius", "resolution", "error"])
def test_a_task_names_the_field_that_is_wrong(field: str) -> None:
    with pytest.raises(DGBenchError, match=f"{field} is 0"):
        Task(**{"classes": 2, "examples": 5, "radius": 1.0, "resolution": 1.0, "error": 0.1} | {field: 0})


def test_priors_differ_by_their_total_variation() -> None:
    one, other = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1, 2, 2, 2, 2])
    assert prior_distance(one, one) == 0
    assert prior_distance(one, np.array([2])) == 1
    assert prior_distance(one, other) == prior_distance(other, one) == (3 / 8 + 1 / 8 + 4 / 8) / 2


def test_copies_are_near_duplicates_whatever_their_contrast() -> None:
    first, second = turned(50, 20), turned(40, 20, seed=1)
    assert near_duplicates(first, second, np.zeros(30)).shape == (0, 2)
    second[[7, 30]] = 3 * first[11], first[4] + 0.05 * first[5]
    second[8] = 0
    assert near_duplicates(first, second, np.zeros(30)).tolist() == [[11, 7], [4, 30]]
    background = 1000 + np.arange(30.0)  # what all images have in common makes none alike
    assert near_duplicates(first + background, second + background, background).tolist() == [[11, 7], [4, 30]]


def test_domains_are_told_apart_where_they_differ() -> None:
    draw = np.random.default_rng(0)
    first, second = draw.normal(size=(400, 5)), draw.normal(size=(100, 5))
    assert told_apart(first, second, 0) == pytest.approx(0.5, abs=0.08)
    assert told_apart(first, second + 9 * np.eye(5)[0], 0) == 1
    moved = told_apart(first, draw.normal(size=(400, 5)) + 2 * np.eye(5)[0], 0)
    assert moved == pytest.approx(0.841, abs=0.03)  # Phi(1), the best that there is
    assert told_apart(first, second[:4], 0) is None


def test_components_are_uncorrelated_and_made_of_no_rounding() -> None:
    made = components(turned(200, 8, wide=100), 0)
    assert made.shape == (200, 8)
    assert np.cov(made.T) == pytest.approx(np.eye(8), abs=1e-6)
    assert components(turned(200, 80, wide=100), 0).shape == (200, COMPONENTS)
    assert components(turned(10, 20), 0).shape == (10, 9)
    with pytest.raises(DGBenchError, match="all images that were looked at are the same"):
        components(np.ones((10, 4)), 0)
