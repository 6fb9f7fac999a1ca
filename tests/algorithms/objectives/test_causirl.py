from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import domainbed_toy as toy
from dgbench.algorithms.objectives.causirl import CausIRL, mixtures
from dgbench.algorithms.objectives.coral import moment_distance
from dgbench.algorithms.objectives.mmd import kernel_distance
from dgbench.algorithms.step import Forward


def cut(*shares: float) -> Forward:
    """The worked example cut where shares of the examples say."""
    return toy.seen(given=toy.batch().replace(drawn=(torch.tensor(shares),)))


@pytest.mark.parametrize(("distance", "expected"), [("coral", 1.962348), ("mmd", 3.601005)])
def test_the_worked_example(distance: str, expected: float) -> None:
    forward = cut(0.5, 0.2, 0.99)
    part = CausIRL(2, distance=distance)  # type: ignore[arg-type]
    assert mixtures(forward).batch.domain.tolist() == [0, 1, 1, 1, 0, 1]
    assert (part.loss(forward) - forward.domain_risks().mean()).item() == pytest.approx(2 * expected, abs=2e-6)


@pytest.mark.parametrize("distance", ["coral", "mmd"])
def test_is_the_distance_of_two_domains(distance: str) -> None:
    forward = cut(0.5, 0.5, 0)
    first = torch.tensor([0, 2, 1, 3, 4, 5])
    batch = forward.batch.replace(domain=torch.tensor([0, 0, 1, 1, 1, 1]), drawn=())
    two = replace(forward, batch=batch, features=forward.features[first], domains=2)
    expected = moment_distance(two) if distance == "coral" else kernel_distance(two)
    loss = CausIRL(distance=distance).loss(forward)  # type: ignore[arg-type]
    torch.testing.assert_close(loss - forward.domain_risks().mean(), expected)


@pytest.mark.parametrize("distance", ["coral", "mmd"])
@pytest.mark.parametrize("shares", [(0, 0, 0), (0.5, 0, 0)])
def test_where_a_mixture_has_one_example_or_none_it_is_the_mean_risk(distance: str, shares: tuple[float, ...]) -> None:
    forward = cut(*shares)
    loss = CausIRL(distance=distance).loss(forward)  # type: ignore[arg-type]
    torch.testing.assert_close(loss, forward.domain_risks().mean())
    assert torch.autograd.grad(loss, forward.features)[0].isfinite().all()


def test_cuts_are_uniform_and_leave_each_domain_an_example() -> None:
    generator = torch.Generator().manual_seed(0)
    given = toy.batch().replace(
        x=torch.zeros(12, 2), y=torch.zeros(12, dtype=torch.int64), domain=torch.arange(3).repeat_interleave(4),
        index=torch.arange(12), sizes=(4, 4, 4),
    )  # fmt: skip
    counts = torch.zeros(4)
    for _ in range(400):
        batch = CausIRL().prepare(given, 2, generator)
        forward = Forward(toy.network(), batch, batch.x, batch.x, 0, 10, 3)
        for sides in mixtures(forward).batch.domain.view(3, 4):
            assert sides.tolist() == sorted(sides.tolist())
            counts[(sides == 0).sum()] += 1
    torch.testing.assert_close(counts / 1200, torch.full((4,), 0.25), atol=0.05, rtol=0)
