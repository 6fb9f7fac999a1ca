"""LAME against a naive reference, and against what its objective says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dgbench.algorithms.predictors.lame import LAME, affinity, smoothed


def naive(logits: Tensor, features: Tensor, k: int, steps: int) -> list[list[float]]:
    """Loops over pairs, in Python's numbers."""
    n, classes = logits.shape
    rows = features.double().tolist()
    lengths = [math.sqrt(sum(x * x for x in row)) for row in rows]
    cosine = [
        [
            sum(a * b for a, b in zip(one, other, strict=True)) / (lengths[i] * lengths[j])
            for j, other in enumerate(rows)
        ]
        for i, one in enumerate(rows)
    ]
    near = [sorted((j for j in range(n) if j != i), key=lambda j, i=i: (-cosine[i][j], j))[:k] for i in range(n)]
    q = logits.double().softmax(1).tolist()
    p = q
    for _ in range(steps):
        new = []
        for i in range(n):
            pull = [sum(((j in near[i]) + (i in near[j])) / 2 * p[j][c] for j in range(n)) for c in range(classes)]
            mass = [q[i][c] * math.exp(pull[c]) for c in range(classes)]
            new.append([m / sum(mass) for m in mass])
        p = new
    return p


def objective(p: Tensor, logs: Tensor, w: Tensor) -> float:
    return float((p * (p.log() - logs)).sum() - (w * (p @ p.T)).sum() / 2)


@pytest.fixture
def drawn() -> tuple[list[list[float]], Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(3, 4, generator=draw).tolist(), torch.randn(9, 4, generator=draw)


@pytest.mark.parametrize(("k", "steps"), [(1, 1), (2, 4), (5, 100), (50, 3)])
def test_it_is_a_naive_loop(k, steps, drawn, head_of) -> None:
    rows, features = drawn
    network = head_of(rows)
    found = LAME(k, steps).prepare(network, None).observe(features)
    torch.testing.assert_close(found, torch.tensor(naive(network(features), features, k, steps)), rtol=1e-4, atol=1e-5)


def test_one_example_keeps_what_the_network_says(drawn, head_of) -> None:
    rows, features = drawn
    network = head_of(rows)
    stream = LAME().prepare(network, None)
    torch.testing.assert_close(stream.observe(features[:1]), network(features[:1]).softmax(1))


def test_neighbours_outvote_a_doubt() -> None:
    """Two of three neighbours are sure; the third leans the other way a little, and gives in."""
    logs = torch.tensor([[0.95, 0.05], [0.95, 0.05], [0.45, 0.55]]).log()
    p = smoothed(logs, torch.ones(3, 3) - torch.eye(3), 100)
    assert p.argmax(1).tolist() == [0, 0, 0]
    assert p[0, 0] > 0.95


def test_without_neighbours_nothing_is_smoothed() -> None:
    logs = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).log_softmax(1)
    torch.testing.assert_close(smoothed(logs, torch.zeros(4, 4), 100), logs.exp())


def test_affinity_is_symmetric_and_nobody_is_a_neighbour_of_oneself() -> None:
    """In degrees 0, 10, 30: the second is nearest to both others, and the first to it."""
    angles = torch.tensor([0.0, 10.0, 30.0]) * torch.pi / 180
    w = affinity(torch.stack([angles.cos(), angles.sin()], 1), 1)
    assert w.tolist() == [[0, 1, 0], [1, 0, 0.5], [0, 0.5, 0]]
    copies = affinity(torch.ones(4, 2), 2)
    assert torch.equal(copies, copies.T)
    assert copies.diagonal().sum() == 0


def test_what_comes_out_is_a_least_value_of_the_objective(drawn, head_of) -> None:
    rows, features = drawn
    logs = head_of(rows)(features).log_softmax(1)
    w = affinity(features, 2)
    p = smoothed(logs, w, 200)
    torch.testing.assert_close(p, torch.softmax(logs + w @ p, 1), rtol=0, atol=1e-6)
    least = objective(p, logs, w)
    draw = torch.Generator().manual_seed(1)
    for _ in range(50):
        nearby = (p.log() + 0.1 * torch.randn(p.shape, generator=draw)).softmax(1)
        assert objective(nearby, logs, w) > least - 1e-6
