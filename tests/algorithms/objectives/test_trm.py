"""TRM against the worked example, and its closed forms against autograd and matrix inverses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dgbench.algorithms.objectives.trm import TRM, inverse, risks_under, transfer


def heads_of(forward, objective, sizes):
    objective.attach(forward.network, sizes)
    return forward.network.auxiliary.get_buffer("heads")


def test_the_worked_example(toy):
    forward, objective = toy(5), TRM(adversary_rate=0.5, alignment=0.1)
    heads_of(forward, objective, [2, 2, 2])
    assert (objective.loss(forward) - forward.cross_entropy.mean()).item() == pytest.approx(0.906531, abs=1e-6)
    objective.remember(forward.detached())
    expected = [[0, 0.518235, 0.960512], [0.575001, 0, 1.067745], [0.809660, 0.856008, 0]]
    found = forward.network.auxiliary.get_buffer("weights")
    torch.testing.assert_close(shares(found), shares(torch.tensor(expected).double()), atol=1e-6, rtol=0)


def shares(weights):
    """What counts of weights between domains: what each has of its row."""
    return weights / weights.sum(1, keepdim=True)


def test_the_sum_of_powers_of_the_worked_example(toy):
    forward = toy()
    start = torch.tensor([[[0.1, -0.2], [0.3, 0.4]]]).double()
    shares = torch.full((1, 6), 1 / 6).double()
    found = inverse(start, forward.logits.softmax(1)[None], shares, forward.features).detach()
    expected = torch.tensor([[[2.129801, 0.473658], [2.270199, 1.726342]]]).double()
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_the_sum_of_powers_is_that_of_the_hessian(uneven):
    """H by autograd, and matrices multiplied."""
    head = uneven.network.head
    shape, phi, y = head.weight.shape, uneven.features.detach(), uneven.batch.y
    start = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)).double()

    def risk(weight):
        return F.cross_entropy(F.linear(phi, weight.view(shape), head.bias), y)

    hessian = torch.autograd.functional.hessian(risk, head.weight.detach().flatten())
    step, power, total = torch.eye(len(hessian)).double() - hessian, start.flatten(), start.flatten()
    for _ in range(10):
        power = step @ power
        total = total + power
        if power.abs().max() > 10:
            break
    shares = torch.full((1, len(y)), 1 / len(y)).double()
    found = inverse(start, uneven.logits.detach().softmax(1)[None], shares, phi)
    torch.testing.assert_close(found.flatten(), total)


def test_powers_that_grow_end_the_sum():
    """One example of two classes as likely: H of a feature of 10 has the eigenvalue 50 along (1, -1)."""
    start = torch.tensor([[[1.0], [-1.0]]])
    half, share = torch.full((1, 1, 2), 0.5), torch.ones(1, 1)
    found = inverse(start, half, share, torch.tensor([[10.0]]))
    torch.testing.assert_close(found, start + (1 - 50) * start)
    found = inverse(
        start, half, share, torch.tensor([[2.5]])
    )  # the eigenvalue 3.125: powers of -2.125 up to the fourth
    torch.testing.assert_close(found, sum((-2.125) ** k for k in range(5)) * start)


def test_what_moves_features_is_the_gradient_with_heads_and_inverse_fixed(toy):
    forward, alignment = toy(), 0.3
    heads = heads_of(forward, TRM(), [2, 2, 2])
    heads += 0.1 * torch.randn(heads.shape, generator=torch.Generator().manual_seed(1)).double()
    weights = torch.tensor([[0, 0.25, 0.75], [0.5, 0, 0.5], [0.9, 0.1, 0]]).double()
    phi, y = forward.features.detach().clone().requires_grad_(), forward.batch.y
    total = 0.0
    for q in range(3):
        weight = heads[q, :, :2].clone().requires_grad_()

        def risk(e, weight, q=q):
            own = slice(2 * e, 2 * e + 2)
            return F.cross_entropy(F.linear(phi[own], weight, heads[q, :, 2]), y[own])

        others = sum(weights[q, e] * risk(e, weight) for e in range(3))
        (aim,) = torch.autograd.grad(others, weight, retain_graph=True)
        scores = F.linear(phi, weight, heads[q, :, 2]).detach()
        shares = torch.zeros(1, 6).double()
        shares[0, 2 * q : 2 * q + 2] = 0.5
        solved = inverse(aim[None], scores.softmax(1)[None], shares, phi.detach())[0]
        (slope,) = torch.autograd.grad(risk(q, weight), weight, create_graph=True)
        total = total + (others - alignment * (solved.detach() * slope).sum()) / 3
    mine = transfer(heads, weights, forward, alignment).mean()
    torch.testing.assert_close(mine, total.detach())
    (found,) = torch.autograd.grad(mine, forward.features)
    torch.testing.assert_close(found, torch.autograd.grad(total, phi)[0])


def test_the_networks_head_learns_from_the_cross_entropy_alone(toy):
    forward, objective = toy(5), TRM(alignment=1.0)
    heads_of(forward, objective, [2, 2, 2])
    weight = forward.network.head.weight
    mine = torch.autograd.grad(objective.loss(forward), weight, retain_graph=True)[0]
    torch.testing.assert_close(mine, torch.autograd.grad(forward.cross_entropy.mean(), weight)[0])


def test_before_the_switch_it_is_erm_and_nothing_moves(toy):
    forward, objective = toy(0), TRM(anneal=0.2)
    heads = heads_of(forward, objective, [2, 2, 2]).clone()
    assert torch.equal(objective.loss(forward), forward.cross_entropy.mean())
    objective.remember(forward.detached())
    assert torch.equal(forward.network.auxiliary.get_buffer("heads"), heads)


def test_heads_descend_on_their_own_domain(uneven):
    objective = TRM(anneal=0.0)
    before = heads_of(uneven, objective, [5, 3, 2]).clone()
    objective.remember(uneven.detached())
    after = uneven.network.auxiliary.get_buffer("heads")
    assert (risks_under(after, uneven).diagonal() < risks_under(before, uneven).diagonal()).all()


def test_a_step_that_sees_some_domains_moves_those_alone(toy):
    forward, objective = toy(5), TRM(adversary_rate=0.5)
    before = heads_of(forward, objective, [2] * 5).clone()
    some = torch.tensor([4, 1, 3])
    seen = forward.__class__(
        forward.network, forward.batch.replace(present=some), forward.features, forward.logits, 5, 10, 3
    )
    objective.remember(seen.detached())
    auxiliary = forward.network.auxiliary
    moved = (auxiliary.get_buffer("heads") != before).flatten(1).any(1)
    assert moved.tolist() == [False, True, False, True, True]
    expected = torch.tensor([[0, 0.518235, 0.960512], [0.575001, 0, 1.067745], [0.809660, 0.856008, 0]]).double()
    found = auxiliary.get_buffer("weights")
    torch.testing.assert_close(shares(found[some[:, None], some]), shares(expected), atol=1e-6, rtol=0)
    assert torch.equal(found[0], torch.tensor([0, 1, 1, 1, 1]).double())
    assert torch.equal(found[:, [0, 2]], 1 - torch.eye(5).double()[:, [0, 2]]), "what was not seen has what it had"
    torch.testing.assert_close(found.sum(1), torch.full((5,), 4.0).double())
