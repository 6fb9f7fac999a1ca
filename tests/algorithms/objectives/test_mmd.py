from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import Tensor

import domainbed_toy as toy
from dgbench.algorithms.objectives.mmd import MMD, SCALES, kernel_distance
from dgbench.algorithms.step import Forward


def distance(a: Tensor, b: Tensor) -> Tensor:
    def mean(x: Tensor, y: Tensor) -> Tensor:
        squared = (x[:, None] - y).square().sum(2)
        return sum((-s * squared).exp() for s in SCALES).mean()  # type: ignore[union-attr, return-value]

    return mean(a, a) + mean(b, b) - 2 * mean(a, b)


def by_pairs(forward: Forward) -> Tensor:
    return torch.stack([distance(a, b) for a, b in combinations(forward.split(forward.features), 2)]).mean()


@pytest.mark.parametrize(
    ("domains", "expected"), [([0, 1], 3.938059), ([0, 2], 3.938059), ([1, 2], 4.062439), ([0, 1, 2], 3.979519)]
)
def test_the_worked_example(domains: list[int], expected: float) -> None:
    assert kernel_distance(toy.seen(given=toy.batch().of(domains))).item() == pytest.approx(expected, abs=1e-6)


def test_is_the_mean_over_pairs_and_so_are_its_gradients(uneven) -> None:
    features = (0.1 * uneven.features).requires_grad_()
    forward = Forward(uneven.network, uneven.batch, features, uneven.logits, 0, 10, 3)
    loss, expected = MMD(3).loss(forward), by_pairs(forward)
    torch.testing.assert_close(loss, uneven.domain_risks().mean() + 3 * expected)
    slope = torch.autograd.grad(loss, features, retain_graph=True)[0]
    torch.testing.assert_close(slope, torch.autograd.grad(3 * expected, features)[0])


def test_identical_domains_and_a_lone_one_have_no_penalty(twins, one) -> None:
    for forward in (twins(), one()):
        torch.testing.assert_close(MMD(1e6).loss(forward), forward.domain_risks().mean())


def test_large_features_in_float32_lose_nothing() -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 2048).double() * 0.02
    given = toy.batch().replace(domain=torch.arange(16) % 2)
    passes = [
        Forward(toy.network(), given, (x + 30).to(dtype), x, 0, 10, 2) for dtype in (torch.float32, torch.float64)
    ]
    small, large = (kernel_distance(forward) for forward in passes)
    torch.testing.assert_close(small.double(), large, rtol=2e-3, atol=0)
