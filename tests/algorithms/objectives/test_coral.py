from __future__ import annotations

from itertools import combinations

import pytest
import torch

from dgbench.algorithms.objectives.coral import CORAL
from dgbench.algorithms.step import Forward


def distance_by_pairs(forward: Forward) -> torch.Tensor:
    parts = forward.split(forward.features)
    pairs = [
        (a.mean(0) - b.mean(0)).square().mean() + (torch.cov(a.T) - torch.cov(b.T)).square().mean()
        for a, b in combinations(parts, 2)
    ]
    return torch.stack(pairs).mean()


def test_toy_value(two):
    penalty = CORAL().loss(two()) - two().domain_risks().mean()
    assert penalty.item() == pytest.approx(0.5625 + 0.2534722, abs=1e-7)


def test_is_the_mean_over_pairs_with_unbiased_covariance(uneven):
    expected = uneven.domain_risks().mean() + 3 * distance_by_pairs(uneven)
    torch.testing.assert_close(CORAL(penalty_weight=3).loss(uneven), expected)


def test_moves_features_together(uneven):
    features = uneven.features.clone().requires_grad_()
    moved = Forward(uneven.network, uneven.batch, features, uneven.logits, 0, 10, 3)
    mine = torch.autograd.grad(CORAL().loss(moved), features)[0]
    torch.testing.assert_close(mine, torch.autograd.grad(distance_by_pairs(moved), features)[0])


def test_identical_domains_have_no_penalty(twins):
    torch.testing.assert_close(CORAL(penalty_weight=1e6).loss(twins()), twins().domain_risks().mean())


def test_one_domain_has_no_penalty(one):
    assert torch.equal(CORAL().loss(one()), one().domain_risks().mean())


def test_a_single_example_has_covariance_0_and_no_nan(two):
    lone = two()
    domain = torch.tensor([0, 1, 1, 1, 1, 1, 1, 1])
    lone = Forward(lone.network, lone.batch.replace(domain=domain), lone.features, lone.logits, 0, 10, 2)
    a, b = lone.features[:1], lone.features[1:]
    expected = (a.mean(0) - b.mean(0)).square().mean() + torch.cov(b.T).square().mean()
    torch.testing.assert_close(CORAL().loss(lone) - lone.domain_risks().mean(), expected)
