from __future__ import annotations

import pytest
import torch

import domainbed_toy as toy
from dgbench.algorithms.objectives.rdm import RDM, SCALES, matching


def test_the_worked_example() -> None:
    distance, variance = matching(toy.seen())
    assert distance.item() == pytest.approx(1.939895, abs=1e-6)
    assert variance.item() == pytest.approx(0.558632, abs=1e-6)
    assert RDM(5, anneal=0, variance_weight=0.004).loss(toy.seen()).item() == pytest.approx(10.325637, abs=1e-6)


def test_is_the_distance_of_the_worst_domains_losses_from_all(uneven) -> None:
    r = uneven.cross_entropy
    worst = max(uneven.split(r), key=lambda values: values.mean())

    def mean(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.exp(-s * (a[:, None] - b) ** 2).mean() for s in SCALES]).sum()

    distance, variance = matching(uneven)
    torch.testing.assert_close(distance, mean(worst, worst) + mean(r, r) - 2 * mean(worst, r))
    torch.testing.assert_close(variance, worst.var() + r.var())


def test_before_the_switch_it_is_the_mean_risk_and_there_the_optimizer_starts_afresh() -> None:
    part = RDM(5, anneal=0.6, variance_weight=9)
    assert torch.equal(part.loss(toy.seen(step=5)), toy.seen().domain_risks().mean())
    assert part.loss(toy.seen(step=6)) > part.loss(toy.seen(step=5)) + 5
    assert [step for step in range(10) if part.resets_optimizer(step, 10)] == [6]


def test_lone_examples_stay_finite() -> None:
    lone = toy.batch().of([0, 2]).replace(domain=torch.tensor([0, 1, 1, 1]))
    forward = toy.seen(given=lone)
    loss = RDM(anneal=0).loss(forward)
    assert loss.isfinite()
    assert torch.autograd.grad(loss, forward.features)[0].isfinite().all()
