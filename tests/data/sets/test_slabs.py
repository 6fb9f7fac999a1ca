import importlib.metadata

import numpy as np
import pytest
from numpy.typing import NDArray

from dgbench.core.dataset_card import dataset_card
from dgbench.core.reader_cards import BuiltIn
from dgbench.core.seeds import generator
from dgbench.data.domain import Dataset
from dgbench.data.sets import slabs

MARGIN = 0.1


@pytest.fixture(scope="module")
def lms() -> Dataset:
    return slabs.build_lms_5()


@pytest.fixture(scope="module")
def ms() -> Dataset:
    return slabs.build_ms_5_7()


def unrotated(dataset: Dataset, name: str) -> NDArray[np.float64]:
    """The coordinates before the rotation, up to rounding."""
    return slabs.to_points(np.asarray(dataset.domain(name).inputs)) @ slabs.rotation(dataset.name)


@pytest.mark.parametrize(("k", "width"), [(5, 0.24), (7, 0.8 / 7)])
def test_slabs_fill_the_interval_with_gaps_of_two_margins(k: int, width: float) -> None:
    lower, found = slabs.intervals(k)
    assert found == pytest.approx(width)
    assert lower[0] == pytest.approx(-1)
    assert lower[-1] + found == pytest.approx(1)
    assert np.diff(lower) - found == pytest.approx(np.full(k - 1, 2 * MARGIN))
    assert lower + found / 2 == pytest.approx(-(lower + found / 2)[::-1]), "symmetric"


@pytest.mark.parametrize(
    ("k", "negative", "positive"),
    [
        (5, [1 / 8, 0, 3 / 4, 0, 1 / 8], [0, 1 / 2, 0, 1 / 2, 0]),
        (7, [0, 1 / 4, 0, 1 / 2, 0, 1 / 4, 0], [1 / 16, 0, 7 / 16, 0, 7 / 16, 0, 1 / 16]),
    ],
)
def test_how_often_a_class_is_in_each_slab(k: int, negative: list[float], positive: list[float]) -> None:
    labels = np.arange(80_000) % 2
    values = slabs.coordinate(labels, k, np.random.default_rng(0))
    lower, width = slabs.intervals(k)
    slab = np.searchsorted(lower, values, side="right") - 1
    assert (values - lower[slab] <= width).all()
    assert ((values - lower[slab]) / width).mean() == pytest.approx(0.5, abs=0.01)
    for label, shares in enumerate((negative, positive)):
        assert np.bincount(slab[labels == label], minlength=k) / 40_000 == pytest.approx(shares, abs=0.01)


def test_the_best_threshold_on_five_slabs_is_right_in_eleven_of_sixteen() -> None:
    """Between the centre and the slab beside it: 7/8 of class 0 are on one side, 1/2 of class 1 on the other."""
    labels = np.arange(40_000) % 2
    values = slabs.coordinate(labels, 5, np.random.default_rng(0))
    best = max(max(np.mean((values > t) == labels), np.mean((values < t) == labels)) for t in np.linspace(-1, 1, 101))
    assert best == pytest.approx(11 / 16, abs=0.01)


def test_a_linear_coordinate_keeps_its_margin() -> None:
    labels = np.arange(10_000) % 2
    signed = (2 * labels - 1) * slabs.coordinate(labels, 1, np.random.default_rng(0))
    assert MARGIN <= signed.min() < MARGIN + 0.001
    assert 1 - 0.001 < signed.max() <= 1
    assert signed.mean() == pytest.approx((1 + MARGIN) / 2, abs=0.01)


@pytest.mark.parametrize("name", ["slabs-lms-5", "slabs-ms-5-7"])
def test_rotations_are_orthogonal_and_differ(name: str) -> None:
    matrix = slabs.rotation(name)
    assert matrix @ matrix.T == pytest.approx(np.eye(50), abs=1e-12)
    assert np.abs(matrix).max() < 0.9


def test_rounding_moves_points_by_a_fourteenth_of_the_margin() -> None:
    points = generator("test").uniform(-1, 1, (2000, 50))
    matrix = slabs.rotation("slabs-lms-5")
    moved = slabs.to_points(slabs.to_images(points @ matrix.T)) @ matrix - points
    assert np.std(moved) == pytest.approx(2 * slabs.REACH / 255 / np.sqrt(12), rel=0.02)
    assert np.std(moved) < MARGIN / 14
    assert np.abs(moved).max() < MARGIN / 2


def test_each_coordinate_of_the_images_still_tells_the_class(lms: Dataset, ms: Dataset) -> None:
    for dataset, kinds in ((lms, (1, 5)), (ms, (5, 7))):
        labels = dataset.domain("test").labels
        points = unrotated(dataset, "test")
        for position, k in ((0, kinds[0]), (1, kinds[1]), (49, kinds[1])):
            if k == 1:
                predicted = points[:, position] > 0
            else:
                lower, width = slabs.intervals(k)
                slab = np.abs(points[:, position, None] - (lower + width / 2)).argmin(axis=1)
                predicted = (slab - k // 2) % 2 == 1  # the centre is negative, and they take turns
            assert (predicted == labels).all(), "no example is moved across a gap"


def test_given_the_class_coordinates_are_independent(lms: Dataset) -> None:
    points, labels = unrotated(lms, "test"), lms.domain("test").labels
    for label in (0, 1):
        members = points[labels == label]
        for values in (members, np.abs(members)):
            correlations = np.corrcoef(values.T) - np.eye(50)
            assert np.abs(correlations).max() < 5 / np.sqrt(len(members))


def test_what_is_randomised_says_nothing_and_the_rest_all(lms: Dataset) -> None:
    for name, informed in (("random-simple", False), ("random-others", True)):
        points, labels = unrotated(lms, name), lms.domain(name).labels
        assert (np.mean((points[:, 0] > 0) == labels) == 1) == informed
        sides = np.abs(points[:, 1:])  # the mean distance from the centre tells the class, by all 49 together
        score = (sides.mean(axis=1) > sides.mean()) == labels
        assert (score.mean() > 0.9) == (not informed)
        if informed:
            assert score.mean() == pytest.approx(0.5, abs=0.03)
        else:
            assert np.mean((points[:, 0] > 0) == labels) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("name", ["slabs-lms-5", "slabs-ms-5-7"])
def test_the_data_is_what_the_card_says(name: str, lms: Dataset, ms: Dataset) -> None:
    card, dataset = dataset_card(name), {d.name: d for d in (lms, ms)}[name]
    assert [(d.name, len(d)) for d in dataset.domains] == [(d.name, d.count) for d in card.domains]
    assert dataset.classes == card.classes
    assert all(abs(d.labels.mean() - 0.5) < 0.02 for d in dataset.domains)
    assert isinstance(card.reader, BuiltIn)
    installed = {package: importlib.metadata.version(package) for package in card.reader.built_with}
    if installed != card.reader.built_with:
        pytest.skip(f"the card's bytes are those of {card.reader.built_with}; installed are {installed}")
    assert dataset.manifest == card.reader.manifest
