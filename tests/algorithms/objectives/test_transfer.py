from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dgbench.algorithms.objectives.transfer import Transfer


def _adversary(forward):
    return forward.network.auxiliary.get_buffer("adversary")


def test_the_worked_example(toy):
    forward, objective = toy(), Transfer(ascent_rate=10, radius=0.5, ascent_steps=1)
    objective.attach(forward.network, [2, 2, 2])
    gap = objective.loss(forward) - forward.cross_entropy.mean()
    assert gap.item() == pytest.approx(1.253194, abs=2e-6)
    objective.remember(forward.detached())
    expected = [[1.242735, 0.088636, 0.341296], [-0.742735, 0.411364, -0.341296]]
    torch.testing.assert_close(_adversary(forward), torch.tensor(expected).double(), atol=1e-6, rtol=0)


def test_the_ascent_is_gradient_ascent(uneven):
    objective = Transfer(penalty_weight=2, ascent_rate=0.1, ascent_steps=3, radius=1e3)
    objective.attach(uneven.network, [5, 3, 2])
    head = _adversary(uneven).clone()
    for _ in range(3):
        head.requires_grad_()
        risks = [
            F.cross_entropy(F.linear(phi, head[:, :-1], head[:, -1]), y)
            for phi, y in zip(uneven.split(uneven.features.detach()), uneven.split(uneven.batch.y), strict=True)
        ]
        (slope,) = torch.autograd.grad(max(risks) - min(risks), head)
        head = (head + 0.1 * 2 * slope).detach()
    objective.remember(uneven.detached())
    torch.testing.assert_close(_adversary(uneven), head)
    moved = objective.loss(uneven) - uneven.cross_entropy.mean()
    assert moved > 2 * (uneven.domain_risks().max() - uneven.domain_risks().min())


def test_the_gap_has_no_gradient_in_the_head(toy):
    forward, objective = toy(), Transfer(penalty_weight=5)
    objective.attach(forward.network, [2, 2, 2])
    mine = torch.autograd.grad(objective.loss(forward), forward.network.head.weight, retain_graph=True)[0]
    plain = torch.autograd.grad(forward.cross_entropy.mean(), forward.network.head.weight)[0]
    torch.testing.assert_close(mine, plain)


def test_the_adversary_starts_from_the_head_and_stays_near(uneven):
    objective = Transfer(ascent_rate=50, ascent_steps=4, radius=0.3)
    objective.attach(uneven.network, [5, 3, 2])
    head = _adversary(uneven).clone()
    for _ in range(2):
        objective.remember(uneven.detached())
        assert (_adversary(uneven) - head).norm().item() == pytest.approx(0.3)
