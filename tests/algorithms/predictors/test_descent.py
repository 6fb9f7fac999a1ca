"""Adam at test time against torch's own."""

from __future__ import annotations

import pytest
import torch

from dgbench.algorithms.predictors.descent import Descent, slopes


@pytest.mark.parametrize("length", [1.0, 1e-7])
@pytest.mark.parametrize("lr", [1e-3, 0.1])
def test_it_is_adam(lr, length) -> None:
    """Also where gradients are so short that the constant beside their root tells."""
    with torch.inference_mode(mode=False):
        draw = torch.Generator().manual_seed(0)
        start = [torch.randn(3, 4, generator=draw), torch.randn(3, generator=draw)]
        descent = Descent(start, lr)
        leaves = [weight.clone().requires_grad_() for weight in start]
        adam = torch.optim.Adam(leaves, lr=lr)
        for _ in range(20):
            gradients = [length * torch.randn(weight.shape, generator=draw) for weight in start]
            for leaf, gradient in zip(leaves, gradients, strict=True):
                leaf.grad = gradient
            adam.step()
            descent.step(gradients)
        for weight, leaf in zip(descent.weights, leaves, strict=True):
            torch.testing.assert_close(weight, leaf.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
def test_a_step_that_is_not_wanted_or_not_finite_is_none(odd) -> None:
    start, gradient = [torch.ones(2), torch.ones(3)], [torch.ones(2), torch.full((3,), 2.0)]
    plain, disturbed = Descent(start, 0.1), Descent(start, 0.1)
    disturbed.step([torch.ones(2), torch.tensor([1.0, odd, 1.0])])
    disturbed.step(gradient, torch.tensor(False))
    assert all(torch.equal(weight, first) for weight, first in zip(disturbed.weights, start, strict=True))
    for _ in range(2):
        plain.step(gradient, torch.tensor(True))
        disturbed.step(gradient)
        disturbed.step([torch.full((2,), odd), torch.ones(3)])
    assert all(torch.equal(one, other) for one, other in zip(plain.weights, disturbed.weights, strict=True))


def test_reset_goes_back_to_the_start_and_leaves_it_alone() -> None:
    given = torch.ones(4)
    descent = Descent([given], 0.1)
    for _ in range(3):
        descent.step([torch.arange(4.0)])
    moved = descent.weights[0]
    descent.reset()
    assert torch.equal(descent.weights[0], torch.ones(4))
    assert torch.equal(given, torch.ones(4))
    for _ in range(3):
        descent.step([torch.arange(4.0)])
    assert torch.equal(descent.weights[0], moved)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_gradients_come_in_any_mode(mode) -> None:
    with mode():
        weight, given = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
        (slope,) = slopes(lambda w, g: (w[0].square() * g[0]).sum(), [weight], [given])
        assert slope.tolist() == [6.0, 16.0]
