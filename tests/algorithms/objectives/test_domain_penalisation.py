from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

import domainbed_toy as toy
from dgbench.algorithms.objectives.domain_penalisation import DomainPenalisation
from dgbench.algorithms.step import Forward


def after(part: DomainPenalisation, passes: list[tuple[int, list[float]]], domains: int = 3) -> Tensor:
    """The weights after some steps of 10, each with its number and the domains' losses."""
    network = toy.network()
    part.attach(network, [7] * domains)
    for step, losses in passes:
        part.remember(_with_risks(replace(toy.seen(step=step), network=network), losses))
    return network.auxiliary.get_buffer("weights")


def _with_risks(forward: Forward, losses: list[float]) -> Forward:
    """A pass in which each domain's examples have a loss: logits (-log(e^l - 1), 0) for class 0."""
    wanted = torch.tensor(losses).double()[forward.batch.domain]
    logits = torch.stack([-(wanted.exp() - 1).log(), torch.zeros_like(wanted)], 1)
    y = torch.zeros_like(forward.batch.y)
    return replace(forward, logits=logits, batch=forward.batch.replace(y=y))


FIRST = [(0, [1.0, 0.5, 3.0]), (1, [3.0, 0.5, 1.0])]


def test_weights_are_the_softmax_of_the_epochs_mean_losses() -> None:
    expected = torch.tensor([2.0, 0.5, 2.0]).double().softmax(0)
    torch.testing.assert_close(after(DomainPenalisation(epochs=5), FIRST), 3 * expected)
    torch.testing.assert_close(after(DomainPenalisation(epochs=5, total="sum"), FIRST), expected)
    sharp = torch.tensor([4.0, 1.0, 4.0]).double().softmax(0)
    torch.testing.assert_close(after(DomainPenalisation(epochs=5, temperature=0.5), FIRST), 3 * sharp)


def test_within_an_epoch_weights_stay_and_the_next_one_forgets() -> None:
    part = DomainPenalisation(epochs=5)
    assert after(part, FIRST[:1]).tolist() == [1, 1, 1]
    second = [*FIRST, (2, [1.0, 1.0, 2.0]), (3, [1.0, 1.0, 2.0])]
    torch.testing.assert_close(after(part, second), 3 * torch.tensor([1.0, 1.0, 2.0]).double().softmax(0))


def test_the_last_epoch_ends_as_others_do() -> None:
    expected = 3 * torch.tensor([2.0, 0.5, 2.0]).double().softmax(0)
    late = [(step + 8, losses) for step, losses in FIRST]
    torch.testing.assert_close(after(DomainPenalisation(epochs=5), late), expected)


def test_the_same_for_all_changes_nothing_and_the_limits_of_temperature() -> None:
    higher = [(step, [loss + 2 for loss in losses]) for step, losses in FIRST]
    part = DomainPenalisation(epochs=5)
    torch.testing.assert_close(after(part, higher), after(part, FIRST))
    assert after(DomainPenalisation(epochs=5, temperature=1e9), FIRST).allclose(torch.ones(3).double())
    worst = after(DomainPenalisation(epochs=10, temperature=1e-3), FIRST[:1])
    torch.testing.assert_close(worst, torch.tensor([0.0, 0.0, 3.0]).double())


def test_the_loss_weighs_risks() -> None:
    part, forward = DomainPenalisation(), toy.seen()
    part.attach(forward.network, [7] * 3)
    risks = forward.domain_risks()
    assert torch.equal(part.loss(forward), risks.mean())
    weights = torch.tensor([0.5, 2.0, 0.1]).double()
    forward.network.auxiliary.get_buffer("weights").copy_(weights)
    torch.testing.assert_close(part.loss(forward), (weights * risks).sum() / 3)


def test_some_of_many_domains() -> None:
    """Those that a step sees are weighed by their own weights; one that no step saw has the mean of all."""
    seen = [4, 0, 2]
    part, network = DomainPenalisation(epochs=10), toy.network()
    part.attach(network, [7] * 5)
    given = toy.batch().replace(present=torch.tensor(seen))
    forward = replace(toy.seen(given=given), network=network, step=0)
    part.remember(_with_risks(forward, [1.0, 2.0, 3.0]))
    weights = network.auxiliary.get_buffer("weights")
    torch.testing.assert_close(weights, 5 * torch.tensor([2.0, 2.0, 3.0, 2.0, 1.0]).double().softmax(0))
    expected = (weights[seen] * forward.domain_risks()).mean()
    torch.testing.assert_close(part.loss(forward), expected)
