"""Class-balanced batches: exact balance over rounds, every image of a class before one again, any step by itself."""

from __future__ import annotations

import torch

from dgbench.algorithms.samplers.class_balanced import ClassBalanced

POOLS = [torch.arange(100, 120), torch.arange(40, 47)]
LABELS = [torch.tensor([0] * 15 + [3] * 4 + [7]), torch.tensor([2, 0, 2, 2, 0, 0, 2])]
SEEDS = [5, 2**63 - 3]


def taken(steps: int, size: int = 6) -> list[torch.Tensor]:
    """All rows that each domain gives in so many steps."""
    sampler = ClassBalanced()
    found = [sampler.labelled_rows(POOLS, LABELS, size, step, SEEDS) for step in range(steps)]
    return [torch.cat(rows) for rows in zip(*found, strict=True)]


def classes(domain: int, rows: torch.Tensor) -> torch.Tensor:
    return LABELS[domain][rows - POOLS[domain][0]]


def test_every_round_has_every_class_of_the_domain_once() -> None:
    for domain, rows in enumerate(taken(10)):
        there = LABELS[domain].unique()
        rounds = classes(domain, rows).view(-1, len(there))
        assert torch.equal(rounds.sort(1).values, there.expand_as(rounds))
        assert len(rounds.unique(dim=0)) > 1  # in changing order


def test_all_images_of_a_class_are_seen_before_one_is_again() -> None:
    for domain, rows in enumerate(taken(20)):
        for label in LABELS[domain].unique():
            mine = rows[classes(domain, rows) == label]
            members = POOLS[domain][LABELS[domain] == label]
            for epoch in mine[: len(mine) // len(members) * len(members)].view(-1, len(members)):
                assert torch.equal(epoch.sort().values, members)


def test_what_a_step_takes_is_the_same_however_steps_are_cut() -> None:
    for one, other in zip(taken(10, size=6), taken(6, size=10), strict=True):
        assert torch.equal(one, other)


def test_seeds_alone_decide() -> None:
    sampler = ClassBalanced()
    first, again = (sampler.labelled_rows(POOLS, LABELS, 9, 3, SEEDS) for _ in range(2))
    other = sampler.labelled_rows(POOLS, LABELS, 9, 3, [6, 7])
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_without_its_augmentation_classes_stay_balanced() -> None:
    assert ClassBalanced("crop").without(frozenset({"geometric"})) == ClassBalanced("none")
