import hashlib
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgbench.core.errors import DataError
from dgbench.data.domain import Dataset, Domain
from dgbench.data.splits import Split, split, viewed


def make(
    labels: list[int], groups: list[int] | None = None, name: str = "d", official: list[str] | None = None
) -> Domain:
    n = len(labels)
    own = np.arange(n) if groups is None else np.array(groups, np.int64)
    parts = None if official is None else np.array(official)
    return Domain(name, np.zeros((n, 2, 2, 3), np.uint8), np.array(labels, np.int64), own, parts)


def of(*domains: Domain, name: str = "set", shared: bool = False) -> Dataset:
    return Dataset(name, ("zero", "one", "two"), domains, "", shared)


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
        parts = split(of(domain), "d", trial, validation, test)
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
    parts = split(of(domain), "d", 0, validation)
    assert_partition(parts, 134)
    assert {c: int((domain.labels[parts.validation] == c).sum()) for c in expected} == expected


@pytest.mark.parametrize("n", [10, 14, 15, 30, 64, 95])
@pytest.mark.parametrize("share", [0.1, 0.2])
def test_of_few_values_no_more_than_their_share_is_drawn(n: int, share: float) -> None:
    values = np.random.default_rng(n).normal(size=n)
    domain = Domain("d", np.zeros((n, 2, 2, 3), np.uint8), values, np.arange(n))
    parts = split(Dataset("set", (), (domain,), ""), "d", 0, share, share)
    assert_partition(parts, n)
    for drawn in (parts.validation, parts.test):
        assert abs(len(drawn) - share * n) <= max(1, share * n / 3)
    assert len(parts.train) >= 0.5 * n


def test_groups_of_one_size_meet_the_share_exactly() -> None:
    domain = make([0] * 100, [i // 10 for i in range(100)])
    parts = split(of(domain), "d", 0, 0.2, 0.3)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (50, 20, 30)


def test_the_test_part_is_the_same_in_all_trials_and_validation_is_not() -> None:
    domain = make([0, 1] * 100)
    first, second = (split(of(domain), "d", trial, 0.2, 0.2) for trial in (0, 1))
    assert (first.test == second.test).all()
    assert not np.array_equal(first.validation, second.validation)


def test_a_split_depends_on_the_names_and_the_trial_alone() -> None:
    labels = [0, 1] * 100
    reference = split(of(make(labels)), "d", 3, 0.2)
    other_pixels = Domain("d", np.full((200, 5, 5, 3), 7, np.uint8), np.array(labels), np.arange(200))
    assert np.array_equal(split(of(other_pixels), "d", 3, 0.2).validation, reference.validation)
    assert not np.array_equal(split(of(make(labels), name="other"), "d", 3, 0.2).validation, reference.validation)
    assert not np.array_equal(split(of(make(labels, name="e")), "e", 3, 0.2).validation, reference.validation)


def test_no_share_gives_no_rows() -> None:
    parts = split(of(make([0, 1] * 10)), "d", 0, 0.0)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (20, 0, 0)


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(DataError, match="1 groups, too few"):
        split(of(make([0, 1], [0, 0])), "d", 0, 0.5)
    with pytest.raises(DataError, match="less than 1"):
        split(of(make([0, 1])), "d", 0, 0.5, 0.5)
    with pytest.raises(DataError, match="2 groups, too few"):
        split(of(make([0, 1])), "d", 0, 0.1, 0.1)


@pytest.mark.parametrize("trial", range(5))
def test_every_part_of_the_digits_has_every_class(digits: Dataset, trial: int) -> None:
    for domain in digits.domains:
        parts = split(digits, domain.name, trial, 0.2, 0.2)
        for rows in (parts.train, parts.validation, parts.test):
            assert set(domain.labels[rows]) == set(range(10))
            assert 0.1 < len(rows) / len(domain) < 0.7


def test_splits_of_the_first_boards_stay_what_they_were(digits: Dataset) -> None:
    """Finished trainings were split like this: other rows would make their results incomparable."""
    rows = [split(digits, domain.name, 1, 0.1, 0.2) for domain in digits.domains]
    parts = [part.astype("<i8").tobytes() for made in rows for part in (made.train, made.validation, made.test)]
    assert hashlib.sha256(b"".join(parts)).hexdigest()[:16] == "61383ef16b0aa742"


@st.composite
def concepts(draw: st.DrawFn) -> Dataset:
    """Domains that show some of a set of concepts, each once or more; a concept has one class."""
    classes = draw(st.lists(st.integers(0, 2), min_size=6, max_size=25))
    domains = []
    for name in "abc"[: draw(st.integers(1, 3))]:
        groups = draw(st.lists(st.integers(0, len(classes) - 1), min_size=1, max_size=60))
        domains.append(make([classes[g] for g in groups], groups, name))
    return of(*domains, shared=True)


@settings(max_examples=100, deadline=None)
@given(
    dataset=concepts(),
    trial=st.integers(0, 5),
    validation=st.sampled_from([0.1, 0.3]),
    test=st.sampled_from([0.0, 0.2]),
)
def test_shared_groups_are_on_one_side_in_every_domain(
    dataset: Dataset, trial: int, validation: float, test: float
) -> None:
    sides: dict[int, set[str]] = {}
    for domain in dataset.domains:
        try:
            parts = split(dataset, domain.name, trial, validation, test)
        except DataError:  # a domain may show none of the few concepts of a part
            continue
        assert_partition(parts, len(domain))
        for side in ("train", "validation", "test"):
            for group in domain.groups[getattr(parts, side)].tolist():
                sides.setdefault(group, set()).add(side)
    assert all(len(of_group) == 1 for of_group in sides.values())


def test_every_class_gives_its_share_of_the_groups_that_any_domain_has() -> None:
    classes = [0] * 20 + [1] * 10 + [2] * 2
    first = make(classes[:31] * 2, list(range(31)) * 2, "a")
    second = make(classes[12:], list(range(12, 32)), "b")
    dataset = of(first, second, shared=True)
    for part, share in (("validation", 0.2), ("test", 0.3)):
        taken: set[int] = set()
        for domain in dataset.domains:
            taken |= set(domain.groups[getattr(split(dataset, domain.name, 0, 0.2, 0.3), part)].tolist())
        assert [sum(classes[g] == c for g in taken) for c in range(3)] == [20 * share, 10 * share, 1]


def test_shared_groups_are_drawn_by_trial_and_the_test_part_is_not() -> None:
    dataset = of(make([0, 1] * 50, list(range(100)), "a"), make([0, 1] * 50, list(range(100)), "b"), shared=True)
    first, second, other = (split(dataset, name, trial, 0.2, 0.2) for name, trial in (("a", 0), ("a", 1), ("b", 0)))
    assert np.array_equal(first.test, second.test)
    assert not np.array_equal(first.validation, second.validation)
    assert np.array_equal(first.validation, other.validation), "the domains show the same concepts in the same rows"


def test_a_domain_without_any_of_the_drawn_groups_is_refused() -> None:
    dataset = of(make([0] * 10, list(range(10)), "a"), make([0], [3], "b"), shared=True)
    with pytest.raises(DataError, match="domain 'b' has 1 groups, too few"):
        split(dataset, "b", 0, 0.4)


def test_official_splits_are_taken_as_they_are() -> None:
    names = ["test", "train", "validation", "train", "test", "train"]
    dataset = of(make([0, 1] * 3, [0] * 6, official=names))
    for trial in (0, 1):
        parts = split(dataset, "d", trial, 0.5, official=True)
        assert_partition(parts, 6)
        assert [part.tolist() for part in (parts.train, parts.validation, parts.test)] == [[1, 3, 5], [2], [0, 4]]


@pytest.mark.parametrize("groups", [None, [n // 2 for n in range(40)]])
def test_validation_is_drawn_from_the_official_training_part_where_there_is_none(groups: list[int] | None) -> None:
    names = ["train"] * 30 + ["test"] * 10
    dataset = of(make([0, 1] * 20, groups, official=names))
    drawn = {trial: split(dataset, "d", trial, 0.2, official=True) for trial in (0, 1)}
    for parts in drawn.values():
        assert_partition(parts, 40)
        assert parts.test.tolist() == list(range(30, 40))
        assert len(parts.validation) == 6, "a fifth of the training part"
        own = dataset.domain("d").groups
        assert not set(own[parts.validation]) & set(own[parts.train])
    assert drawn[0].validation.tolist() != drawn[1].validation.tolist()


@pytest.mark.parametrize(
    ("official", "said"),
    [
        (None, "nothing to train on (it has: 3 none)"),
        (["test", "validation", "test"], "nothing to train on (it has: 2 test, 1 validation)"),
    ],
)
def test_official_splits_that_leave_nothing_to_learn_from_are_refused(official: list[str] | None, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said) + ".*official = false"):
        split(of(make([0, 1, 2], official=official)), "d", 0, 0.2, official=True)


@settings(max_examples=100, deadline=None)
@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    most=st.integers(1, 200),
    trial=st.integers(0, 3),
)
def test_views_are_drawn_by_class(counts: list[int], most: int, trial: int) -> None:
    """Every class gives one where that is possible, and no class is far from its share of what is taken."""
    domain = make([label for label, count in enumerate(counts) for _ in range(count)])
    rows = np.arange(len(domain))[::-1]
    taken = viewed(of(domain), "d", trial, rows, most)
    assert len(taken) == min(most, len(domain))
    assert set(taken) <= set(rows)
    if most >= len(rows):
        assert np.array_equal(taken, rows)
        return
    assert (np.diff(taken) > 0).all()
    given_ = np.bincount(domain.labels[taken], minlength=len(counts))
    assert (given_ >= 1).all() if most >= len(counts) else (given_ <= 1).all()
    for count, more in zip(counts, given_, strict=True):  # what one image more would have been worth: Webster's rule
        for other, less in zip(counts, given_, strict=True):
            if 0 < less < other and more > 1:
                assert (more - 0.5) / count <= (less + 0.5) / other + 1e-9


def test_views_depend_on_names_and_trial_and_grow() -> None:
    labels = [0, 1] * 50
    dataset = of(make(labels), make(labels, name="e"))
    rows = np.arange(100)
    taken = {(d, trial): viewed(dataset, d, trial, rows, 20) for d in "de" for trial in (0, 1)}
    assert len({tuple(one) for one in taken.values()}) == 4
    assert np.array_equal(taken["d", 0], viewed(dataset, "d", 0, rows, 20))
    assert set(taken["d", 0]) < set(viewed(dataset, "d", 0, rows, 35))
    assert viewed(dataset, "d", 0, rows, "all") is rows
