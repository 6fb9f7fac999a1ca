import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgbench.core.errors import DataError
from dgbench.data.domain import Dataset, Domain
from dgbench.data.splits import Split, split


def make(labels: list[int], groups: list[int] | None = None, name: str = "d") -> Domain:
    n = len(labels)
    own = np.arange(n) if groups is None else np.array(groups, np.int64)
    return Domain(name, np.zeros((n, 2, 2, 3), np.uint8), np.array(labels, np.int64), own)


def assert_partition(parts: Split, n: int) -> None:
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(together) == list(range(n))
    for part in (parts.train, parts.validation, parts.test):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()


@settings(max_examples=60, deadline=None)
@given(
    groups=st.lists(st.integers(0, 9), min_size=20, max_size=80).filter(lambda g: len(set(g)) >= 5),
    trial=st.integers(0, 5),
    validation=st.sampled_from([0.1, 0.2, 0.3]),
    test=st.sampled_from([0.0, 0.2]),
)
def test_a_split_is_a_partition_that_never_divides_a_group(
    groups: list[int], trial: int, validation: float, test: float
) -> None:
    domain = make([0, 1] * (len(groups) // 2) + [0] * (len(groups) % 2), groups)
    try:
        parts = split(domain, "set", trial, validation, test)
    except DataError:  # one huge group may leave nothing to train on
        assert max(np.bincount(groups)) > 0.3 * len(groups)
        return
    assert_partition(parts, len(groups))
    assert len(parts.validation) > 0
    assert (len(parts.test) > 0) == (test > 0)
    sides = [set(domain.groups[rows]) for rows in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, sides)) == len(set.union(*sides))


@pytest.mark.parametrize(("validation", "expected"), [(0.1, {0: 10, 1: 3, 2: 1}), (0.2, {0: 20, 1: 6, 2: 1})])
def test_without_groups_every_class_gives_its_share(validation: float, expected: dict[int, int]) -> None:
    domain = make([0] * 100 + [1] * 30 + [2] * 4)
    parts = split(domain, "set", 0, validation)
    assert_partition(parts, 134)
    assert {c: int((domain.labels[parts.validation] == c).sum()) for c in expected} == expected


def test_groups_of_one_size_meet_the_share_exactly() -> None:
    domain = make([0] * 100, [i // 10 for i in range(100)])
    parts = split(domain, "set", 0, 0.2, 0.3)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (50, 20, 30)


def test_the_test_part_is_the_same_in_all_trials_and_validation_is_not() -> None:
    domain = make([0, 1] * 100)
    first, second = (split(domain, "set", trial, 0.2, 0.2) for trial in (0, 1))
    assert (first.test == second.test).all()
    assert not np.array_equal(first.validation, second.validation)


def test_a_split_depends_on_the_names_and_the_trial_alone() -> None:
    labels = [0, 1] * 100
    reference = split(make(labels), "set", 3, 0.2)
    other_pixels = Domain("d", np.full((200, 5, 5, 3), 7, np.uint8), np.array(labels), np.arange(200))
    assert np.array_equal(split(other_pixels, "set", 3, 0.2).validation, reference.validation)
    assert not np.array_equal(split(make(labels), "other", 3, 0.2).validation, reference.validation)
    assert not np.array_equal(split(make(labels, name="e"), "set", 3, 0.2).validation, reference.validation)


def test_no_share_gives_no_rows() -> None:
    parts = split(make([0, 1] * 10), "set", 0, 0.0)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (20, 0, 0)


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(DataError, match="1 groups, too few"):
        split(make([0, 1], [0, 0]), "set", 0, 0.5)
    with pytest.raises(DataError, match="less than 1"):
        split(make([0, 1]), "set", 0, 0.5, 0.5)


@pytest.mark.parametrize("trial", range(5))
def test_every_part_of_the_digits_has_every_class(digits: Dataset, trial: int) -> None:
    for domain in digits.domains:
        parts = split(domain, digits.name, trial, 0.2, 0.2)
        for rows in (parts.train, parts.validation, parts.test):
            assert set(domain.labels[rows]) == set(range(10))
            assert 0.1 < len(rows) / len(domain) < 0.7
