"""IB-ERM and IB-IRM."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import domainbed_toy as toy
from dgbench.algorithms.objectives.ib_erm import IBERM, bottleneck
from dgbench.algorithms.objectives.ib_irm import IBIRM
from dgbench.algorithms.objectives.irm import IRM


def test_the_worked_example() -> None:
    assert bottleneck(toy.seen()).item() == pytest.approx(1.708333, abs=1e-6)
    assert IBERM(1, anneal=0).loss(toy.seen()).item() == pytest.approx(2.332262, abs=1e-6)
    both = IBIRM(2, anneal=0, bottleneck_weight=1, bottleneck_anneal=0)
    assert both.loss(toy.seen()).item() == pytest.approx(2.751606, abs=1e-6)


def test_is_the_unbiased_variance_of_each_feature_in_each_domain(uneven) -> None:
    expected = torch.stack([part.var(0).mean() for part in uneven.split(uneven.features)]).mean()
    torch.testing.assert_close(bottleneck(uneven), expected)


def test_a_lone_example_does_not_vary() -> None:
    lone = toy.batch().of([0]).replace(domain=torch.tensor([0, 1]))
    assert bottleneck(toy.seen(given=lone)) == 0


def test_the_bottleneck_is_absent_before_its_switch_and_resets_the_optimizer_there() -> None:
    part = IBERM(50, anneal=0.4)  # of 10 steps
    assert torch.equal(part.loss(toy.seen(step=3)), toy.seen().domain_risks().mean())
    expected = toy.seen().domain_risks().mean() + 50 * bottleneck(toy.seen())
    torch.testing.assert_close(part.loss(toy.seen(step=4)), expected)
    assert [step for step in range(10) if part.resets_optimizer(step, 10)] == [4]


def test_each_penalty_of_ib_irm_sets_in_at_its_time() -> None:
    part = IBIRM(30, anneal=0.2, bottleneck_weight=50, bottleneck_anneal=0.6)
    assert [step for step in range(10) if part.resets_optimizer(step, 10)] == [2, 6]
    for step in range(10):
        irm = IRM(30, anneal=0.2).loss(toy.seen(step=step))
        expected = irm + (50 if step >= 6 else 0) * bottleneck(toy.seen())
        torch.testing.assert_close(part.loss(toy.seen(step=step)), expected)


def test_what_is_left_on_features_that_do_not_move_is_irm() -> None:
    left = IBIRM(30, anneal=0.2).reduced()
    assert left == replace(IBIRM(30, anneal=0.2, bottleneck_weight=7, bottleneck_anneal=0.5)).reduced()
    for step in range(10):
        torch.testing.assert_close(left.loss(toy.seen(step=step)), IRM(30, anneal=0.2).loss(toy.seen(step=step)))
        assert left.resets_optimizer(step, 10) == IRM(30, anneal=0.2).resets_optimizer(step, 10)
