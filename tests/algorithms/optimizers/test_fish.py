from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import domainbed_toy as toy
from dgbench.algorithms.optimizers import fish
from dgbench.algorithms.optimizers.fish import Fish
from dgbench.algorithms.slots import Optimizer
from dgbench.algorithms.step import Closure, Forward


def walked(order: list[int], part: Fish, monkeypatch: pytest.MonkeyPatch) -> float:
    """A weight at 0 after a step on 1/2 (w - 1)^2 in one domain and 2 w^2 in the other."""
    monkeypatch.setattr(fish, "shuffled", lambda closure: order)
    network = toy.network()
    weight = network.head.bias
    with torch.no_grad():
        weight.zero_()

    def loss(forward: Forward) -> torch.Tensor:
        w = weight[0]
        return (w - 1) ** 2 / 2 if torch.equal(forward.batch.x, toy.X[:2]) else 2 * w**2

    closure = Closure(network, loss, toy.batch(2), step=0, steps=1, domains=2)
    part.step(closure, [weight], part.build([weight]))
    return weight[0].item()


@pytest.mark.parametrize(("order", "expected"), [([0, 1], 0.03), ([1, 0], 0.05)])
def test_two_steps_of_sgd_and_half_the_way(order: list[int], expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    part = Fish(lr=0.1, base="sgd", momentum=0, meta_rate=0.5)
    assert walked(order, part, monkeypatch) == pytest.approx(expected)
    assert walked(order, replace(part, meta_rate=1), monkeypatch) == pytest.approx(2 * expected)
    assert walked(order, replace(part, meta_rate=0), monkeypatch) == 0


def test_what_is_reported_is_the_mean_of_what_the_walk_met() -> None:
    closure = toy.closure(domains=2)
    weights = [*closure.network.parameters()]
    part = Fish(lr=0.0)
    apart = [closure.of(domain)("descent") for domain in range(2)]
    reported = part.step(closure, weights, part.build(weights))
    torch.testing.assert_close(reported, torch.stack(apart).mean())


def test_steps_of_the_walk_are_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Fish(lr=0.1, base="sgd", momentum=0, meta_rate=1, clip_norm=0.5)
    assert walked([0, 1], part, monkeypatch) == pytest.approx(0.05 - 0.1 * 0.2)


@pytest.mark.parametrize("domains", [1, 3])
def test_the_whole_way_is_the_base_optimizer_on_each_domain_with_its_moments(domains: int) -> None:
    part = Fish(lr=0.01, meta_rate=1)
    mine, theirs = toy.closure(domains=domains), toy.closure(domains=domains)
    ours, plain = ([*c.network.parameters()] for c in (mine, theirs))
    base, reference = part.build(ours), torch.optim.AdamW(plain, lr=0.01, weight_decay=0)
    for seed in range(3):
        torch.manual_seed(seed)
        order = fish.shuffled(mine)
        part.step(mine, ours, base)
        for domain in order:
            theirs.of(domain)("descent")
            reference.step()
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b)


def test_the_order_follows_from_the_steps_seed_and_draws_nothing_of_it() -> None:
    closure, orders = toy.closure(), set()
    for seed in range(40):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        order = fish.shuffled(closure)
        assert torch.equal(torch.get_rng_state(), state)
        assert fish.shuffled(closure) == order
        orders.add(tuple(order))
    assert len(orders) == 6


def test_the_plain_step_is_direction_clipped() -> None:
    """What :meth:`Optimizer.step` does where a part does not say otherwise."""
    part = Fish(lr=1, base="sgd", momentum=0, clip_norm=0.1)
    closure = toy.closure()
    parameters = list(closure.network.parameters())
    before = [p.detach().clone() for p in parameters]
    Optimizer.step(part, closure, parameters, part.build(parameters))
    moved = nn.utils.get_total_norm([a.detach() - b for a, b in zip(parameters, before, strict=True)])
    assert moved.item() == pytest.approx(0.1, rel=1e-5)
