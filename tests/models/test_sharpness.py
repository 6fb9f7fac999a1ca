"""Sharpness against closed forms: of a quadratic at its minimum, and away from it."""

from __future__ import annotations

import math

import pytest
import torch

from dgbench.models.sharpness import Loss, average, worst

CURVED = torch.tensor([1.0, 4.0])


def quadratic(at: tuple[float, float], lowest: tuple[float, float]) -> tuple[Loss, list[torch.Tensor]]:
    """L(w) = 1/2 (w - w*) H (w - w*), H = diag(1, 4); and w, as two tensors."""
    weights = [torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in at]

    def loss(backward: bool) -> float:
        off = torch.cat(weights) - torch.tensor(lowest, dtype=torch.float64)
        value = 0.5 * (CURVED * off.square()).sum()
        if backward:
            value.backward()
        return float(value.detach())

    return loss, weights


@pytest.mark.parametrize(("adaptive", "mean", "most"), [(True, 0.085, 0.08), (False, 0.025, 0.02)])
def test_at_a_minimum_it_is_that_of_the_curvature(adaptive: bool, mean: float, most: float) -> None:
    """Average r^2 tr(cHc) / 2, worst r^2 times the largest eigenvalue of cHc / 2, at w = (1, 2) and r = .1."""
    loss, weights = quadratic((1.0, 2.0), (1.0, 2.0))
    draw = torch.Generator().manual_seed(0)
    assert average(loss, weights, 0.1, draw, adaptive=adaptive, draws=4000) == pytest.approx(mean, rel=0.05)
    assert worst(loss, weights, 0.1, draw, adaptive=adaptive) == pytest.approx(most, rel=1e-3)
    assert [float(one) for one in weights] == [1.0, 2.0], "the weights are left as they were"


def test_away_from_a_minimum_the_worst_is_along_the_slope() -> None:
    """To first order r ||c g||: with g = (1, 0) and c = 1 that is r."""
    loss, weights = quadratic((2.0, 2.0), (1.0, 2.0))
    draw = torch.Generator().manual_seed(0)
    assert worst(loss, weights, 1e-3, draw, adaptive=False) == pytest.approx(1e-3, rel=1e-2)


def test_no_radius_no_rise_and_more_of_it_no_less() -> None:
    loss, weights = quadratic((1.5, 1.0), (1.0, 2.0))
    found = [worst(loss, weights, r, torch.Generator().manual_seed(0), adaptive=True) for r in (0.0, 0.1, 0.2, 0.4)]
    assert found[0] == 0
    assert found == sorted(found)
    assert average(loss, weights, 0.0, torch.Generator(), adaptive=True) == 0


@pytest.mark.parametrize("beyond", [math.nan, math.inf])
def test_where_the_loss_is_no_finite_number_nothing_is_called_flat(beyond: float) -> None:
    weights = [torch.ones(3, requires_grad=True)]

    def loss(backward: bool) -> float:
        value = weights[0].square().sum() * (beyond if bool((weights[0] - 1).norm() > 1e-4) else 1.0)
        if backward:
            value.backward()
        return float(value.detach())

    for found in (average, worst):
        assert not math.isfinite(found(loss, weights, 0.1, torch.Generator().manual_seed(0), adaptive=False))
        assert torch.equal(weights[0].detach(), torch.ones(3))


def test_scaling_a_layer_and_the_next_one_back_changes_only_what_is_not_adaptive() -> None:
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(1))

    def found(scale: float, adaptive: bool) -> float:
        draw = torch.Generator().manual_seed(2)
        first, second = (torch.randn(shape, generator=draw) for shape in ((3, 4), (4, 1)))
        weights = [(first * scale).requires_grad_(), (second / scale).requires_grad_()]

        def loss(backward: bool) -> float:
            value = ((x @ weights[0]).relu() @ weights[1] - 1).square().mean()
            if backward:
                value.backward()
            return float(value.detach())

        return worst(loss, weights, 0.1, torch.Generator().manual_seed(3), adaptive=adaptive)

    assert found(10.0, True) == pytest.approx(found(1.0, True), rel=1e-3)
    assert found(10.0, False) > 2 * found(1.0, False)
