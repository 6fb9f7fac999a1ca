from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.ps_kd import PSKD
from dgbench.algorithms.step import Batch, Forward


def test_the_worked_example(one):
    """z = (2, 0, 0), y = 0, q = (.5, .3, .2) at a = .4: a loss, and a gradient that is p - target."""
    network, objective = one().network, PSKD(weight=0.8)
    objective.attach(network, [4, 9])
    network.auxiliary.get_buffer("past")[4 + 7] = torch.tensor([0.5, 0.3, 0.2])
    batch = Batch(torch.zeros(1, 2).double(), torch.tensor([0]), torch.tensor([1]), torch.tensor([7]))
    logits = torch.tensor([[2.0, 0, 0]]).double().requires_grad_()
    forward = Forward(network, batch, batch.x, logits, step=4, steps=10, domains=2)  # 0.8 * 5 / 10
    loss = objective.loss(forward)
    assert loss.item() == pytest.approx(0.6395447, abs=2e-4)  # past probabilities are in float16
    (slope,) = torch.autograd.grad(loss, logits)
    assert slope[0].tolist() == pytest.approx([-0.013014, -0.013493, 0.026507], abs=2e-4)
    torch.testing.assert_close(objective.slopes(replace(forward, logits=logits.detach()))[1], slope)


def test_an_image_that_was_never_seen_has_its_label(two):
    forward, objective = two(step=9), PSKD()
    objective.attach(forward.network, [8, 8])
    torch.testing.assert_close(objective.loss(forward), CrossEntropy().loss(forward))


def test_what_is_remembered_is_found_by_domain_and_row(two):
    forward, objective = two(step=9), PSKD()
    objective.attach(forward.network, [20, 10, 15])
    batch = forward.batch.replace(index=torch.arange(8), present=torch.tensor([2, 1]))
    forward = replace(forward, batch=batch)
    objective.remember(forward.detached())
    past = forward.network.auxiliary.get_buffer("past")
    assert past.dtype == torch.float16
    start = torch.tensor([30, 20])[batch.domain]
    torch.testing.assert_close(past[start + batch.index], forward.logits.softmax(1).half())
    assert int((past.sum(1) > 0).sum()) == 8


def test_if_the_past_is_the_present_the_gradient_shrinks(two):
    """By the share of the label: dL/dz = p - ((1 - a) y + a p)."""
    forward, objective = two(step=4), PSKD(weight=0.6)  # a = 0.3
    objective.attach(forward.network, [8, 8])
    forward = replace(forward, batch=forward.batch.replace(index=torch.arange(8)))
    objective.remember(forward.detached())
    mine = torch.autograd.grad(objective.loss(forward), forward.network.head.weight, retain_graph=True)[0]
    plain = torch.autograd.grad(CrossEntropy().loss(forward), forward.network.head.weight)[0]
    torch.testing.assert_close(mine, 0.7 * plain, atol=1e-4, rtol=1e-3)


def test_without_weight_it_is_erm(two):
    forward, objective = two(step=9), PSKD(weight=0)
    objective.attach(forward.network, [8, 8])
    objective.remember(two().detached())
    torch.testing.assert_close(objective.loss(forward), CrossEntropy().loss(forward))
