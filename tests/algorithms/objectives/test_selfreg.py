from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from dgbench.algorithms.objectives.selfreg import SelfReg, _within_classes
from dgbench.algorithms.step import Batch

P, Q = torch.tensor([2, 3, 0, 4, 5, 1]), torch.tensor([0, 4, 2, 5, 1, 3])
"""The worked example's partners: it orders rows by class, and moves classes by one place, and by none and by two."""


@pytest.fixture
def example(toy):
    """The worked example, where the projection does nothing."""
    forward, objective = toy(), SelfReg()
    objective.attach(forward.network, [2, 2, 2])
    forward.network.auxiliary.projection = nn.Identity()
    return objective, replace(forward, batch=forward.batch.replace(drawn=(P, Q, torch.tensor(0.3).double())))


def test_the_worked_example(example):
    objective, forward = example
    projected = 0.3 * 0.525 + 0.7 * 0.414750
    assert objective.auxiliary_loss(forward.detached()).item() == pytest.approx(projected, abs=1e-6)
    assert objective.loss(forward).item() == pytest.approx(1.398511, abs=1e-6)
    without = SelfReg(projected_weight=0).loss(forward)
    assert without.item() == pytest.approx(0.623928 * (1 + 0.3 * 0.864583 + 0.7 * 0.763229), abs=1e-6)


def test_the_risk_s_factor_is_a_constant_of_at_most_1(example):
    objective, forward = example
    apart = (objective.loss(forward) - forward.cross_entropy.mean()) / forward.cross_entropy.mean().detach()
    expected = torch.autograd.grad(
        forward.cross_entropy.mean() + forward.cross_entropy.mean().detach() * _terms(objective, forward),
        forward.features,
        retain_graph=True,
    )[0]
    torch.testing.assert_close(apart, _terms(objective, forward))
    (mine,) = torch.autograd.grad(objective.loss(forward), forward.features, retain_graph=True)
    torch.testing.assert_close(mine, expected)
    wrong = replace(forward, logits=-9 * forward.logits)  # a risk above 1
    assert wrong.cross_entropy.mean() > 1
    torch.testing.assert_close(objective.loss(wrong), wrong.cross_entropy.mean() + _terms(objective, wrong))


def _terms(objective, forward):
    """R as it is written."""
    total = objective.auxiliary_loss(forward)
    for i, (p, q) in enumerate(zip(P.tolist(), Q.tolist(), strict=True)):
        z = forward.logits
        total = total + 0.3 * (z[i] - z[p]).square().sum() / 12
        total = total + 0.7 * (z[i] - 0.3 * z[p] - 0.7 * z[q]).square().sum() / 12
    return total


def test_partners_are_a_random_permutation_inside_each_class():
    y = torch.randint(4, (200,), generator=torch.Generator().manual_seed(0))
    partners = _within_classes(y, torch.Generator().manual_seed(1))
    assert torch.equal(y[partners], y)
    assert torch.equal(partners.sort().values, torch.arange(200))
    assert not torch.equal(partners, _within_classes(y, torch.Generator().manual_seed(2)))
    assert (partners == torch.arange(200)).float().mean() < 0.1


def test_draws_are_the_step_s():
    batch = Batch(torch.zeros(9, 2), torch.arange(9) % 3, torch.zeros(9).long(), torch.arange(9))
    drawn = [SelfReg().prepare(batch, 3, torch.Generator().manual_seed(7)).drawn for _ in range(2)]
    assert all(map(torch.equal, *drawn))
