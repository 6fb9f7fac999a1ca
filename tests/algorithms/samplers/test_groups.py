"""The domains of a step are those that the loader of WILDS would draw: distinct, uniformly or by size."""

import itertools

import pytest
import torch

from dgbench.algorithms.samplers.groups import drawn


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 10.0]])
def test_how_often_each_pair_is_drawn_follows_from_its_weights(weights: list[float]) -> None:
    """First i, then j among the others, or the other way round."""
    total, draws = sum(weights), 4_000
    found = torch.stack([drawn(torch.tensor(weights), 2, seed) for seed in range(draws)])
    assert (found[:, 0] < found[:, 1]).all()
    for i, j in itertools.combinations(range(4), 2):
        a, b = weights[i], weights[j]
        expected = a / total * b / (total - a) + b / total * a / (total - b)
        share = float(((found[:, 0] == i) & (found[:, 1] == j)).double().mean())
        assert share == pytest.approx(expected, abs=5 * (expected * (1 - expected) / draws) ** 0.5)


def test_a_draw_depends_on_its_seed_alone_and_takes_all_there_are() -> None:
    weights = torch.ones(1000)
    assert torch.equal(drawn(weights, 8, 3), drawn(weights, 8, 3))
    assert not torch.equal(drawn(weights, 8, 3), drawn(weights, 8, 4))
    assert drawn(weights[:5], 5, 0).tolist() == [0, 1, 2, 3, 4]
    assert drawn(torch.tensor([0.0, 1.0, 0.0, 2.0]), 2, 0).tolist() == [1, 3], "a domain without images is never drawn"
