from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.fishr import Fishr, variances
from dgbench.algorithms.step import Forward


def by_example(forward: Forward) -> list[Tensor]:
    """Biased variances of the head's gradient ``[C, d + 1]``, one backward pass for each example of each domain."""
    head, found = forward.network.head, []
    for phi, y in zip(forward.split(forward.features), forward.split(forward.batch.y), strict=True):
        gradients = []
        for one, label in zip(phi, y, strict=True):
            loss = F.cross_entropy(head(one[None]), label[None])
            weight, bias = torch.autograd.grad(loss, list(head.parameters()), create_graph=True)
            gradients.append(torch.cat([weight, bias[:, None]], 1))
        found.append(torch.stack(gradients).var(0, correction=0))
    return found


def _penalty(objective: Fishr, forward: Forward) -> Tensor:
    return objective.loss(forward) - CrossEntropy().loss(forward)


def test_the_worked_example_of_two_domains(two):
    """Without a past: a quarter of |v_1 - v_2|^2."""
    forward, objective = two(), Fishr(penalty_weight=1, anneal=0)
    objective.attach(forward.network, [4, 4])
    assert _penalty(objective, forward).item() == pytest.approx(0.01489747, abs=1e-8)


def test_variances_are_those_of_gradients_taken_one_by_one(uneven):
    torch.testing.assert_close(variances(uneven), torch.stack(by_example(uneven)))


def test_so_they_are_where_domains_of_one_size_lie_side_by_side(two):
    """As in every step of the loop: then products are taken domain by domain."""
    mixed = two()
    order = mixed.batch.domain.argsort(stable=True)
    batch = replace(mixed.batch, **{n: getattr(mixed.batch, n)[order] for n in ("x", "y", "domain", "index")})
    beside = replace(
        mixed, batch=batch.replace(sizes=(4, 4)), features=mixed.features[order], logits=mixed.logits[order]
    )
    torch.testing.assert_close(variances(beside), torch.stack(by_example(beside)))


def test_the_gradient_goes_through_the_step_s_own_variances_and_not_through_the_past(uneven):
    objective = Fishr(penalty_weight=3, anneal=0, decay=0.9)
    objective.attach(uneven.network, [5, 3, 2])
    past = torch.rand_like(uneven.network.auxiliary.get_buffer("variances"))
    uneven.network.auxiliary.get_buffer("variances").copy_(past)
    running = 0.9 * past + torch.stack(by_example(uneven))
    expected = 3 * (running - running.mean(0)).square().sum((1, 2)).mean()
    weights = list(uneven.network.head.parameters())
    torch.testing.assert_close(_penalty(objective, uneven), expected)
    mine = torch.autograd.grad(_penalty(objective, uneven), weights, retain_graph=True)
    for one, other in zip(mine, torch.autograd.grad(expected, weights), strict=True):
        torch.testing.assert_close(one, other)


def test_running_variances_are_a_sum_of_the_past(uneven):
    """The exponential mean of rate 1 - decay, over 1 - decay."""
    objective = Fishr(decay=0.5)
    objective.attach(uneven.network, [5, 3, 2])
    now = variances(uneven).detach()
    for total in (1.0, 1.5, 1.75):
        objective.remember(uneven.detached())
        torch.testing.assert_close(uneven.network.auxiliary.get_buffer("variances"), total * now)


def test_variances_are_kept_by_the_number_of_a_domain_among_all(two):
    forward, objective = two(), Fishr(decay=0.5, anneal=0, penalty_weight=1)
    objective.attach(forward.network, [9] * 5)
    some = replace(forward, batch=forward.batch.replace(present=torch.tensor([3, 1])))
    objective.remember(some.detached())
    kept = forward.network.auxiliary.get_buffer("variances")
    torch.testing.assert_close(kept[[3, 1]], variances(forward).detach())
    assert not kept[[0, 2, 4]].any()


def test_until_the_switch_it_is_erm_bit_for_bit(two):
    objective = Fishr(anneal=0.4)  # of the fixture's 10 steps
    assert torch.equal(objective.loss(two(step=3)), CrossEntropy().loss(two(step=3)))
    forward = two(step=4)
    objective.attach(forward.network, [4, 4])
    assert objective.loss(forward) > CrossEntropy().loss(forward)
    assert [step for step in range(10) if objective.resets_optimizer(step, 10)] == [4]


def test_domains_that_are_alike_have_no_penalty(twins):
    forward, objective = twins(), Fishr(anneal=0)
    objective.attach(forward.network, [4, 4])
    assert _penalty(objective, forward).item() == pytest.approx(0, abs=1e-12)
