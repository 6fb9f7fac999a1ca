from __future__ import annotations

import pytest
import torch
from torch import nn

from dgbench.algorithms.optimizers.asam import ASAM


@pytest.mark.parametrize(
    ("eta", "shift", "descent"),
    [
        (0.0, [0.006238, 0.199611], [1.006238, 8.798442]),
        (0.01, [0.006331, 0.200605], None),
    ],
)
def test_quadratic(quadratic, eta, shift, descent):
    closure = quadratic([1, 4], [1, 2])
    w = closure.network.weight
    closure("ascent")
    part = ASAM(rho=0.1, eta=eta)
    e = part.ascent(closure.network, [w], [w.grad])[0]
    torch.testing.assert_close(e, torch.tensor(shift).double(), atol=1e-6, rtol=0)
    assert (e / (w.abs() + eta)).norm().item() == pytest.approx(0.1)
    if descent is not None:
        part.direction(closure, [w])
        torch.testing.assert_close(w.grad, torch.tensor(descent).double(), atol=1e-6, rtol=0)


def shifts_of(part: ASAM, network: nn.Module, x: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """The perturbations, and the loss with them."""
    weights = list(network.parameters())
    slopes = torch.autograd.grad(network(x).square().mean(), weights)
    shifts = part.ascent(network, weights, list(slopes))
    with torch.no_grad():
        for w, e in zip(weights, shifts, strict=True):
            w.add_(e)
        return list(shifts), network(x).square().mean()


@pytest.mark.parametrize("k", [0.01, 3.0, 100.0])
def test_rescaled_layers_see_the_same_neighbourhood(k: float):
    torch.manual_seed(0)
    x = torch.randn(20, 4).double()
    losses = []
    for scale in (1.0, k):
        torch.manual_seed(1)
        network = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 1, bias=False)).double()
        with torch.no_grad():
            network[0].weight.mul_(scale)
            network[2].weight.div_(scale)
        losses.append(shifts_of(ASAM(eta=0.0), network, x)[1])
    torch.testing.assert_close(losses[0], losses[1])


def test_biases_are_scaled_only_where_asked():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)).double()
    x = torch.randn(5, 3).double()
    weights = list(network.parameters())
    slopes = torch.autograd.grad(network(x).exp().mean(), weights)
    for scale_bias in (False, True):
        shifts = ASAM(rho=0.1, eta=0.01, scale_bias=scale_bias).ascent(network, weights, list(slopes))
        T = [
            w.abs() + 0.01 if scale_bias or "weight" in name else torch.ones_like(w)
            for name, w in network.named_parameters()
        ]
        length = torch.cat([(t * g).flatten() for t, g in zip(T, slopes, strict=True)]).norm()
        for e, t, g in zip(shifts, T, slopes, strict=True):
            torch.testing.assert_close(e, 0.1 * t**2 * g / length)
