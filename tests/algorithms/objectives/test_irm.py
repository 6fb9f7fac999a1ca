from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.irm import IRM
from dgbench.algorithms.objectives.vrex import VREx
from dgbench.algorithms.step import Forward


def penalty_by_double_backward(forward: Forward) -> torch.Tensor:
    """IRMv1 as it is written: the gradient in a scalar that multiplies the logits, on two halves of each domain."""
    penalties = []
    for logits, y in zip(forward.split(forward.logits), forward.split(forward.batch.y), strict=True):
        scale = torch.ones((), dtype=logits.dtype, requires_grad=True)
        slopes = [
            torch.autograd.grad(F.cross_entropy(logits[half::2] * scale, y[half::2]), scale, create_graph=True)[0]
            for half in (0, 1)
        ]
        penalties.append(slopes[0] * slopes[1])
    return torch.stack(penalties).mean()


def test_toy_value(one):
    penalty = IRM(penalty_weight=1, anneal=0).loss(one()) - CrossEntropy().loss(one())
    assert penalty.item() == pytest.approx(-0.0521773, abs=1e-7)


def test_is_irmv1_with_gradients(uneven):
    weight = uneven.network.head.weight
    expected = uneven.domain_risks().mean() + 7 * penalty_by_double_backward(uneven)
    loss = IRM(penalty_weight=7, anneal=0).loss(uneven)
    torch.testing.assert_close(loss, expected)
    mine = torch.autograd.grad(loss, weight, retain_graph=True)[0]
    torch.testing.assert_close(mine, torch.autograd.grad(expected, weight)[0])


def test_order_of_domains_in_the_batch_does_not_matter(two):
    mixed = two()
    order = mixed.batch.domain.argsort(stable=True)
    batch = mixed.batch.replace(x=mixed.batch.x[order], y=mixed.batch.y[order], domain=mixed.batch.domain[order])
    sorted_ = replace(mixed, batch=batch, features=mixed.features[order], logits=mixed.logits[order])
    torch.testing.assert_close(IRM(anneal=0).loss(sorted_), IRM(anneal=0).loss(mixed))


@pytest.mark.parametrize("part", [IRM, VREx])
def test_weight_is_1_until_the_switch_which_resets_the_optimizer(part, two):
    objective = part(penalty_weight=50, anneal=0.4)  # of the fixture's 10 steps
    before, after, risk = objective.loss(two(step=3)), objective.loss(two(step=4)), two().domain_risks().mean()
    torch.testing.assert_close(after - risk, 50 * (before - risk))
    assert [step for step in range(10) if objective.resets_optimizer(step, 10)] == [4]


def test_domainbeds_switch_is_at_step_500():
    assert IRM().resets_optimizer(500, 5001)


@pytest.mark.parametrize("part", [IRM, VREx])
def test_without_weight_gradients_are_those_of_erm(part, two):
    weight = two().network.head.weight
    mine = torch.autograd.grad(part(penalty_weight=0, anneal=0).loss(two()), weight)[0]
    torch.testing.assert_close(mine, torch.autograd.grad(CrossEntropy().loss(two()), weight)[0])
