"""USEFUL: which images are slow, against clusters that a search over all partitions finds; what the pool becomes."""

from __future__ import annotations

import itertools

import pytest
import torch

from dgbench.algorithms.samplers.balanced import Balanced
from dgbench.algorithms.samplers.useful import Useful, slow
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import build_part


def logits_of(chances: list[float], label: int = 0) -> torch.Tensor:
    """Two classes, of which the given one has these probabilities."""
    p = torch.tensor(chances, dtype=torch.float64)
    both = torch.stack([p, 1 - p], 1).log()
    return both if label == 0 else both.flip(1)


def test_the_toy_of_four() -> None:
    assert slow(logits_of([0.9, 0.88, 0.2, 0.25]), torch.zeros(4, dtype=torch.int64)).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("first", [0.6, 0.1])
def test_few_that_are_bad_are_slow_beside_many_that_are_middling(first: float) -> None:
    """Whatever their losses come to in all, and whichever cluster is found first."""
    chances = [first, *[0.6] * 12, 0.1, 0.1]
    expected = [chance == 0.1 for chance in chances]
    assert slow(logits_of(chances), torch.zeros(len(chances), dtype=torch.int64)).tolist() == expected


def best_split(points: torch.Tensor) -> list[int]:
    """The two clusters of least spread, of all that there are; the first point is in cluster 0."""

    def spread(split: tuple[int, ...]) -> float:
        which = torch.tensor([0, *split])
        parts = [points[which == side] for side in (0, 1)]
        return sum(float((part - part.mean(0)).square().sum()) for part in parts if len(part))

    return [0, *min(itertools.product((0, 1), repeat=len(points) - 1), key=spread)]


@pytest.mark.parametrize("seed", range(4))
def test_separate_clusters_are_those_of_an_exhaustive_search(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    good, bad = torch.tensor([3.0, 0.0, -1.0]), torch.tensor([-1.0, 2.0, 0.5])
    labels = torch.zeros(11, dtype=torch.int64)
    logits = torch.cat([good.expand(6, 3), bad.expand(5, 3)]) + 0.3 * torch.randn(11, 3, generator=draw)
    logits = logits[torch.randperm(11, generator=draw)].double()
    split = torch.tensor(best_split(logits.softmax(1)), dtype=torch.bool)
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    expected = split if losses[split].mean() > losses[~split].mean() else ~split
    assert torch.equal(slow(logits, labels), expected)
    assert expected.sum() == 5
    shifted = logits + torch.randn(11, 1, generator=draw).double()
    assert torch.equal(slow(shifted, labels), expected), "what is added to all logits of an image says nothing"


def test_classes_are_split_apart_and_one_that_is_alike_has_no_slow_images() -> None:
    logits = torch.cat([logits_of([0.9, 0.2, 0.85]), logits_of([0.3, 0.3], 1), logits_of([0.99], 1)])
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    assert slow(logits, labels).tolist() == [False, True, False, True, True, False]
    assert not slow(logits_of([0.3, 0.3]), torch.zeros(2, dtype=torch.int64)).any()
    assert not slow(logits_of([0.3]), torch.zeros(1, dtype=torch.int64)).any()


def test_logits_can_split_where_probabilities_are_alike() -> None:
    logits = torch.tensor([[9.0, -9.0], [30.0, -30.0], [31.0, -31.0], [8.0, -8.0]])
    labels = torch.zeros(4, dtype=torch.int64)
    assert slow(logits, labels, "logits").tolist() == [True, False, False, True]


POOLS = [torch.arange(10, 16), torch.tensor([3, 1, 7])]
LABELS = [torch.tensor([0, 1, 0, 1, 0, 1]), torch.tensor([0, 0, 0])]
SAID = [[logits_of([0.9, 0.1, 0.2, 0.9, 0.8, 0.15]), logits_of([0.8, 0.1, 0.9])]]


def test_slow_rows_are_in_the_pool_once_more_each_time() -> None:
    assert [pool.tolist() for pool in Useful(times=3).resampled(POOLS, LABELS, SAID)] == [
        [10, 11, 12, 13, 14, 15, 12, 13, 12, 13],
        [3, 1, 7, 1, 1],
    ]


def test_a_pool_without_slow_images_is_the_plain_one() -> None:
    part = Useful("none")
    pools = part.resampled(POOLS, LABELS, [[torch.zeros(len(pool), 2) for pool in POOLS]])
    assert all(torch.equal(pool, plain) for pool, plain in zip(pools, POOLS, strict=True))
    for step in range(5):
        drawn = part.labelled_rows(pools, LABELS, 4, step, [1, 2])
        plain = Balanced("none").labelled_rows(POOLS, LABELS, 4, step, [1, 2])
        assert all(torch.equal(one, other) for one, other in zip(drawn, plain, strict=True))


def test_once_would_be_the_plain_sampler_after_a_probe_for_nothing() -> None:
    with pytest.raises(RecipeError, match=r"sampler\.times: Input should be greater than or equal to 2"):
        build_part("sampler", "useful", {"times": 1}, "here")


def test_the_probe_has_the_sampler_s_images_in_a_plain_pool() -> None:
    (probe,) = Useful("domainbed", probe=0.05).earlier()
    assert probe.parts == {"sampler": ("balanced", {"augmentation": "domainbed"})}
    assert probe.steps == 0.05
