"""Diversity and correlation shift, on data whose shifts are known."""

import itertools
import math

import numpy as np
import pytest

from dgbench.diagnostics.shift import FLOOR, Parts, Shift, parts, shift, thresholds

N = 800


def drawn(seed: int, flipped: bool = False, moved: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Two classes, four standard deviations apart along the first axis; what moves does so along the second."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(2, size=N)
    points = draw.normal(size=(N, 6))
    points[:, 0] += 4 * (labels ^ flipped) - 2
    points[:, 1] += moved
    return points, labels


def found(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> Shift:
    made = shift(*first, *second, "test")
    assert made is not None
    return made


def test_other_images_of_the_same_domain_do_not_shift() -> None:
    same = found(drawn(1), drawn(2))
    assert same.diversity < 2 * FLOOR
    assert same.correlation < 2 * FLOOR


def test_the_same_images_twice_do_not_shift() -> None:
    same = found(drawn(1), drawn(1))
    assert same.diversity < FLOOR
    assert same.correlation < FLOOR
    assert same == found(drawn(1), drawn(1))  # the same names draw the same numbers


def test_disjoint_supports_are_all_diversity() -> None:
    apart = found(drawn(1), drawn(2, moved=20))
    assert apart.diversity > 0.99
    assert apart.correlation < 1e-6


def test_flipped_labels_are_all_correlation() -> None:
    flipped = found(drawn(1), drawn(2, flipped=True))
    # 1 - the Bhattacharyya coefficient of N(-2, 1) and N(2, 1), that of both classes
    truth = 1 - math.exp(-2)
    assert flipped.correlation == pytest.approx(truth, abs=0.07)
    assert flipped.diversity < 2 * FLOOR


def test_a_mean_that_moves_is_the_squared_hellinger_distance() -> None:
    one, other = drawn(1), drawn(2, moved=1.5)
    moved, back = found(one, other), found(other, one)
    for either in (moved, back):
        assert either.whole_diversity == pytest.approx(1 - math.exp(-(1.5**2) / 8), abs=0.03)
        assert 10 * FLOOR < either.diversity <= either.whole_diversity
        assert either.whole_correlation < 2 * FLOOR
    assert moved.whole_diversity == pytest.approx(back.whole_diversity, abs=0.02)


def test_frequencies_of_classes_are_no_shift() -> None:
    points, labels = drawn(1)
    few = np.flatnonzero((labels == 0) | (np.arange(N) % 4 == 0))
    same = found((points[few], labels[few]), drawn(2))
    assert same.images < N
    assert same.diversity < 2.5 * FLOOR
    assert same.correlation < 2.5 * FLOOR


def test_domains_without_a_common_class_say_nothing() -> None:
    points, labels = drawn(1)
    assert shift(points, labels, points, labels + 2, "test") is None


def test_over_all_places_the_two_are_the_squared_hellinger_distance() -> None:
    draw = np.random.default_rng(0)
    prior = draw.dirichlet(np.ones(3))
    p, q = (draw.dirichlet(np.full(7, 0.5), size=3).T for _ in range(2))  # of seven places, in three classes
    p[0], q[1] = 0, 0
    made = parts(p, q, prior, np.full(7, 1 / 7))
    naive = sum(
        (math.sqrt(prior[y] * p[z, y]) - math.sqrt(prior[y] * q[z, y])) ** 2 / 2
        for z, y in itertools.product(range(7), range(3))
    )
    assert made.diversity.mean() + made.correlation.mean() == pytest.approx(naive, abs=1e-12)
    assert made.correlation[:2].tolist() == [0, 0]


def test_densities_that_vanish_break_nothing() -> None:
    tiny = np.array([[1e-310, 0.0], [1.0, 1.0]])
    made = parts(tiny, tiny[::-1], np.array([0.5, 0.5]), np.ones(2))
    assert np.isfinite(made.correlation).all()
    assert made.diversity == pytest.approx([0.5, 0.5])


def test_thresholds_are_as_far_out_as_random_halves_allow() -> None:
    draw = np.random.default_rng(0)
    noise = Parts(*draw.exponential(0.1, size=(3, 500)))
    below, above = thresholds(noise)

    def come_to(e_d: float, e_c: float) -> tuple[float, float]:
        return (
            (noise.diversity * (noise.least < e_d)).mean(),
            (noise.correlation * (noise.least > e_c)).mean(),
        )

    diversity, correlation = come_to(below, above)
    assert diversity <= FLOOR
    assert correlation <= FLOOR
    wider = come_to(np.nextafter(below, np.inf), np.nextafter(above, -np.inf))
    assert min(wider) > FLOOR
    quiet = Parts(noise.least, noise.diversity * 0, noise.correlation * 0)
    assert thresholds(quiet) == (np.inf, -np.inf)
