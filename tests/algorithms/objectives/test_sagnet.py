from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dgbench.algorithms.objectives.sagnet import SagNet, _taken_apart
from dgbench.algorithms.step import Batch

PARTNER = torch.tensor([1, 2, 3, 4, 5, 0])


@pytest.fixture
def example(toy):
    """The worked example: a quarter of the own style, and the next example's style and content."""
    forward = toy()
    objective = SagNet(adversary_weight=0.1)
    objective.attach(forward.network, [2, 2, 2])
    style = forward.network.auxiliary.get_submodule("style").double()
    with torch.no_grad():
        style.weight.copy_(torch.tensor([[0, 1], [1, 0]]))
        style.bias.zero_()
    drawn = (PARTNER, torch.full((6, 1), 0.25).double(), PARTNER)
    return objective, replace(forward, batch=forward.batch.replace(drawn=drawn))


def test_the_worked_example(example):
    objective, forward = example
    unsure = objective.loss(forward) - SagNet(adversary_weight=0).loss(forward)
    assert SagNet(adversary_weight=0).loss(forward).item() == pytest.approx(0.770367, abs=1e-6)
    assert unsure.item() == pytest.approx(0.085931, abs=1e-6)
    assert objective.auxiliary_loss(forward.detached()).item() == pytest.approx(0.525977, abs=1e-6)


def test_the_adversary_moves_styles_and_no_contents(uneven):
    """Its gradient in a vector of six features lies along the two directions that change mean and variance."""
    objective = SagNet(adversary_weight=1)
    objective.attach(uneven.network, [5, 3, 2])
    uneven.network.auxiliary.double()
    features = uneven.features.clone().requires_grad_()
    drawn = (torch.arange(10), torch.ones(10, 1).double(), torch.arange(10).roll(3))
    forward = replace(uneven, features=features, batch=uneven.batch.replace(drawn=drawn))
    unsure = objective.loss(forward) - SagNet(adversary_weight=0).loss(forward)
    (slope,) = torch.autograd.grad(unsure, features)
    _, _, content = _taken_apart(features.detach())
    basis = torch.stack([torch.ones_like(content), content], 2)
    within = torch.linalg.lstsq(basis, slope[..., None]).solution
    torch.testing.assert_close(basis @ within, slope[..., None])
    assert slope.any()


def test_what_is_drawn_follows_from_the_step_and_serves_all_its_passes():
    batch = Batch(torch.zeros(50, 2), torch.zeros(50).long(), torch.zeros(50).long(), torch.arange(50))
    first, again, other = (
        SagNet().prepare(batch, 2, torch.Generator().manual_seed(number)).drawn for number in (1, 1, 2)
    )
    assert all(map(torch.equal, first, again))
    assert not any(map(torch.equal, first, other))
    styles, own, contents = first
    assert styles.sort().values.equal(torch.arange(50))
    assert contents.sort().values.equal(torch.arange(50))
    assert not torch.equal(styles, contents)
    assert 0 <= own.min() < 0.1
    assert 0.9 < own.max() <= 1


def test_the_constant_of_normalisation_is_added_to_the_variance():
    """By which features that hardly differ are told from noise: of variance 2e-10 they stay near 0."""
    mean, variance, content = _taken_apart(torch.tensor([[1.0 - 1e-5, 1.0 + 1e-5]], dtype=torch.float64))
    assert mean.item() == pytest.approx(1)
    assert variance.item() == pytest.approx(2e-10)
    assert content.tolist() == [pytest.approx([-1e-5 / (2e-10 + 1e-5) ** 0.5, 1e-5 / (2e-10 + 1e-5) ** 0.5])]
