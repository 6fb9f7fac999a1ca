from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.groupdro import GroupDRO


def test_two_updates_of_the_worked_example(toy):
    forward, objective = toy(), GroupDRO(eta=0.1)
    objective.attach(forward.network, [2, 2, 2])
    for loss, weights in ((0.654029, (0.324200, 0.316755, 0.359045)), (0.684971, (0.314355, 0.300084, 0.385561))):
        assert objective.loss(forward).item() == pytest.approx(loss, abs=1e-6)
        assert objective.slopes(forward.detached())[0].item() == pytest.approx(loss, abs=1e-6)
        objective.remember(forward.detached())
        kept = forward.network.auxiliary.get_buffer("log_weights")
        assert kept.exp().tolist() == pytest.approx(weights, abs=1e-6)


def test_weights_are_constants_of_the_gradient(toy):
    forward, objective = toy(), GroupDRO(eta=2.0)
    objective.attach(forward.network, [2, 2, 2])
    weights = (2.0 * forward.domain_risks().detach()).softmax(0)
    expected = torch.autograd.grad((weights * forward.domain_risks()).sum(), forward.features, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(objective.loss(forward), forward.features)[0], expected)


def test_at_eta_0_risks_are_averaged(toy):
    forward, objective = toy(), GroupDRO(eta=0)
    objective.attach(forward.network, [2, 2, 2])
    torch.testing.assert_close(objective.loss(forward), CrossEntropy().loss(forward))


def test_of_many_domains_those_that_a_step_sees_gain_weight(toy):
    """The first, the third and the last of five."""
    whole, objective, here = toy(), GroupDRO(eta=0.7), [0, 2, 4]
    objective.attach(whole.network, [2] * 5)
    before = torch.tensor([0.1, 0.3, 0.2, 0.15, 0.25]).to(whole.logits)
    whole.network.auxiliary.get_buffer("log_weights").copy_(before.log())
    forward = replace(whole, batch=whole.batch.replace(present=torch.tensor(here)))
    risks = forward.domain_risks()
    after = before.tolist()
    for place, domain in enumerate(here):
        after[domain] *= math.exp(0.7 * risks[place].item())
    after = [weight / sum(after) for weight in after]
    expected = sum(after[domain] * risks[place] for place, domain in enumerate(here)) * 5 / 3
    torch.testing.assert_close(objective.loss(forward), expected)
    (slopes,) = torch.autograd.grad(expected, forward.logits, retain_graph=True)
    torch.testing.assert_close(objective.slopes(forward.detached())[1], slopes)
    objective.remember(forward.detached())
    assert forward.network.auxiliary.get_buffer("log_weights").exp().tolist() == pytest.approx(after, rel=1e-5)
