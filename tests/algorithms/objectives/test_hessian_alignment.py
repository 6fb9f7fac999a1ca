"""HGP, the Hessian's diagonal and IGA: closed forms against one or two backward passes through the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.algorithms.head_statistics import inner_products, one_sided, residuals, spread
from dgbench.algorithms.objectives.hessian_diagonal import HessianDiagonal, diagonal_spread, estimated_spread
from dgbench.algorithms.objectives.hgp import HGP, product_spread
from dgbench.algorithms.objectives.iga import IGA
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward


def leaf(forward: Forward) -> Forward:
    """The same pass with features that can be differentiated in."""
    features = forward.features.detach().clone().requires_grad_()
    return replace(forward, features=features, logits=forward.network.head(features))


def risks(forward: Forward) -> list[Tensor]:
    return [values.mean() for values in forward.split(forward.cross_entropy)]


def gradient(risk: Tensor, forward: Forward) -> Tensor:
    """In the head's weight and bias, as one vector with a graph."""
    head = forward.network.head
    return torch.cat([g.flatten() for g in torch.autograd.grad(risk, [head.weight, head.bias], create_graph=True)])


def product(risk: Tensor, forward: Forward) -> Tensor:
    """The Hessian times the gradient: the gradient of half the gradient's square."""
    return gradient(gradient(risk, forward).square().sum() / 2, forward)


def diagonal(risk: Tensor, forward: Forward) -> Tensor:
    """Of the Hessian, from its rows."""
    slope = gradient(risk, forward)
    return torch.stack([gradient(one, forward)[i] for i, one in enumerate(slope)])


def apart(of: Callable[[Tensor, Forward], Tensor], forward: Forward) -> Tensor:
    """Mean square distance of the domains' values from the value of the mean risk, which is held constant."""
    everyone = of(torch.stack(risks(forward)).mean(), forward).detach()
    return torch.stack([(of(risk, forward) - everyone).square().sum() for risk in risks(forward)]).mean()


def closed(forward: Forward) -> Tensor:
    return spread(forward, residuals(forward), inner_products(forward.features))


CASES: list[tuple[Objective, Callable[[Forward], Tensor]]] = [
    (HGP(0, 3), lambda f: 3 * apart(gradient, f)),
    (HGP(7, 3), lambda f: 7 * apart(product, f) + 3 * apart(gradient, f)),
    (HessianDiagonal(7, 3), lambda f: 7 * apart(diagonal, f) + 3 * apart(gradient, f)),
    (IGA(2, weights="head"), lambda f: 2 * f.domains * apart(gradient, f)),
    (IGA(2), lambda f: 2 * f.domains * apart(gradient, f)),
]
IDS = ["gradients", "hgp", "diagonal", "iga of the head", "iga"]


@pytest.mark.parametrize(("objective", "naive"), CASES, ids=IDS)
def test_loss_and_gradients_are_those_of_double_backward(objective, naive, uneven) -> None:
    found = []
    for loss in (objective.loss, lambda f: f.domain_risks().mean() + naive(f)):
        forward = leaf(uneven)
        value = loss(forward)
        head = forward.network.head
        found.append([value, *torch.autograd.grad(value, [forward.features, head.weight, head.bias])])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_toy_values(two) -> None:
    forward = two()
    products = one_sided(forward.features)
    assert closed(forward).item() == pytest.approx(0.1043852, abs=1e-7)
    assert product_spread(forward, residuals(forward), products).item() == pytest.approx(0.0524909, abs=1e-7)
    assert diagonal_spread(forward).item() == pytest.approx(0.0316925, abs=1e-7)


def test_soft_targets_change_the_gradients_and_no_hessian(uneven) -> None:
    target = torch.rand(10, 4).double().softmax(1)
    soft = leaf(replace(uneven, batch=uneven.batch.replace(target=target)))
    head = soft.network.head
    slopes = []
    for d in range(3):
        mine = soft.batch.domain == d
        risk = F.cross_entropy(soft.logits[mine], target[mine])
        grads = torch.autograd.grad(risk, [head.weight, head.bias], retain_graph=True)
        slopes.append(torch.cat([g.flatten() for g in grads]))
    stacked = torch.stack(slopes)
    torch.testing.assert_close(closed(soft), (stacked - stacked.mean(0)).square().sum(1).mean())
    torch.testing.assert_close(diagonal_spread(soft), diagonal_spread(uneven))


@pytest.mark.parametrize("objective", [HGP(9, 9), HessianDiagonal(9, 9), HessianDiagonal(9, 9, probes=3), IGA(9)])
def test_identical_domains_and_a_lone_one_have_no_penalty(objective, twins, one) -> None:
    for forward in (leaf(twins()), leaf(one())):
        risk = forward.domain_risks().mean()
        torch.testing.assert_close(objective.loss(forward) - risk, torch.zeros_like(risk), atol=1e-13, rtol=0)


def test_all_signs_as_probes_give_the_diagonal_itself(two) -> None:
    """2^9 of them for 3 classes and 2 features."""
    forward = two()
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 9).double().view(-1, 3, 3)
    forward.batch.once(("probes", 512), lambda: signs)
    torch.testing.assert_close(estimated_spread(forward, 512), diagonal_spread(forward))


def test_probes_follow_from_the_seed_and_are_the_same_for_all_passes_of_a_step(two) -> None:
    def estimate(forward: Forward, seed: int) -> Tensor:
        torch.manual_seed(seed)
        return HessianDiagonal(1, 0, probes=5).loss(forward)

    passes = two()
    assert torch.equal(estimate(passes, 0), estimate(passes, 1))
    assert torch.equal(estimate(two(), 1), estimate(two(), 1))
    assert not torch.equal(estimate(two(), 1), estimate(two(), 2))


def test_many_probes_come_near(uneven) -> None:
    torch.manual_seed(0)
    torch.testing.assert_close(estimated_spread(uneven, 4000), diagonal_spread(uneven), rtol=0.15, atol=0)


def test_iga_takes_the_gradients_of_all_weights_that_are_trained(uneven) -> None:
    """A layer before the features joins; one that nothing depends on, and one that is frozen, do not."""
    forward = leaf(uneven)
    network = forward.network
    layer = torch.nn.Linear(6, 6).double()
    network.backbone = torch.nn.ModuleList([layer, torch.nn.Linear(2, 2), torch.nn.Linear(2, 2).requires_grad_(False)])
    features = layer(forward.features.detach()).tanh()
    forward = replace(forward, features=features, logits=network.head(features))
    weights = [*layer.parameters(), *network.head.parameters()]
    slopes = [
        torch.cat([g.flatten() for g in torch.autograd.grad(r, weights, create_graph=True)]) for r in risks(forward)
    ]
    stacked = torch.stack(slopes)
    expected = forward.domain_risks().mean() + 5 * (stacked - stacked.mean(0)).square().sum()
    torch.testing.assert_close(IGA(5).loss(forward), expected)
