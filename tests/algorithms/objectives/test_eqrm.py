from __future__ import annotations

import pytest
import torch
from torch.special import ndtr

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.eqrm import EQRM, quantile


def test_the_worked_example():
    value, weights = quantile(torch.tensor([0.5, 1, 2]).double(), 0.75)
    assert value.item() == pytest.approx(1.802888, abs=1e-6)
    assert weights.tolist() == pytest.approx([-0.046339, 0.266621, 0.779718], abs=1e-6)


def test_the_toy_and_its_gradient(toy):
    forward, objective = toy(step=5), EQRM(quantile=0.75)
    risks = forward.domain_risks()
    loss = objective.loss(forward)
    assert loss.item() == pytest.approx(1.175593, abs=1e-6)
    (mine,) = torch.autograd.grad(loss, forward.features, retain_graph=True)
    weights = torch.tensor([0.184088, 0.014706, 0.801207]).double()
    (expected,) = torch.autograd.grad((weights * risks).sum(), forward.features)
    torch.testing.assert_close(mine, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.99])
def test_it_solves_its_equation_and_its_gradient_is_that_of_finite_differences(share):
    risks = torch.tensor([0.3, 1.1, 1.2, 4.0]).double()
    value, weights = quantile(risks, share)
    width = 1.06 * risks.std() * 4**-0.2
    assert ndtr((value - risks) / width).mean().item() == pytest.approx(share, abs=1e-9)
    steps = 1e-5 * torch.eye(4).double()
    slopes = [(quantile(risks + step, share)[0] - quantile(risks - step, share)[0]) / 2e-5 for step in steps]
    torch.testing.assert_close(weights, torch.stack(slopes), atol=1e-6, rtol=1e-5)
    assert weights.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("risks", [[0.7], [0.7, 0.7, 0.7], [0.0, 0.0]])
def test_risks_that_are_alike_are_their_own_quantile(risks):
    value, weights = quantile(torch.tensor(risks), 0.9)
    assert value.item() == pytest.approx(risks[0], abs=1e-6)
    assert weights.tolist() == pytest.approx([1 / len(risks)] * len(risks))


def test_until_the_switch_it_is_erm_bit_for_bit(two):
    objective = EQRM(anneal=0.4)
    assert torch.equal(objective.loss(two(step=3)), CrossEntropy().loss(two(step=3)))
    assert not torch.equal(objective.loss(two(step=4)), CrossEntropy().loss(two(step=4)))
    assert [step for step in range(10) if objective.resets_optimizer(step, 10)] == [4]
