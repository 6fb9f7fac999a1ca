"""Toy passes: features go straight into a linear head, so every objective can be computed by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.step import Batch, Forward
from dgbench.models.network import Backbone, Network


def head_only(classes: int, dim: int, domain_heads: int = 0) -> Network:
    backbone = Backbone("toy", nn.Identity(), dim, size=1, mean=(0, 0, 0), std=(1, 1, 1))
    network = Network(backbone, classes)
    if domain_heads:
        network.domain_heads = nn.Linear(dim, domain_heads * classes)
    return network.double()


def pass_over(network: Network, x: Tensor, y: Tensor, domain: Tensor, step: int = 0, steps: int = 10) -> Forward:
    batch = Batch(x, y, domain, torch.arange(len(y)))
    features = network.features(x)
    return Forward(network, batch, features, network.head(features), step, steps, domains=int(domain.max()) + 1)


@pytest.fixture
def network() -> Network:
    """Two features, three classes, with the weights of the worked example."""
    network = head_only(classes=3, dim=2)
    with torch.no_grad():
        network.head.weight.copy_(torch.tensor([[0.5, -0.2], [0.0, 0.3], [-0.4, 0.1]]))
        network.head.bias.copy_(torch.tensor([0.0, 0.1, -0.1]))
    return network


FIRST = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0]]).double()
FIRST_Y = torch.tensor([0, 1, 2, 0])
SECOND = torch.tensor([[0.0, 1.0], [1.0, 0.0], [-1.0, 1.0], [1.0, 2.0]]).double()
SECOND_Y = torch.tensor([1, 0, 2, 1])


@pytest.fixture
def one(network: Network) -> Callable[..., Forward]:
    """A pass over the first domain alone, at a given step."""
    return lambda step=0: pass_over(network, FIRST, FIRST_Y, torch.zeros(4, dtype=torch.long), step)


@pytest.fixture
def two(network: Network) -> Callable[..., Forward]:
    """A pass over both domains, in an order that mixes them, at a given step."""
    x, y, domain = torch.cat([FIRST, SECOND]), torch.cat([FIRST_Y, SECOND_Y]), torch.arange(2).repeat_interleave(4)
    order = torch.tensor([4, 0, 1, 5, 6, 2, 7, 3])  # keeps the order inside each domain
    return lambda step=0: pass_over(network, x[order], y[order], domain[order], step)


TOY = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [-1.0, 0.5], [0.5, -1.0], [1.0, 2.0]]).double()
TOY_Y = torch.tensor([0, 1, 0, 1, 1, 1])
TOY_DOMAIN = torch.tensor([0, 0, 1, 1, 2, 2])


@pytest.fixture
def toy() -> Callable[..., Forward]:
    """A pass over three domains of two examples with two features and two classes, at a given step; the features are
    leaves. Its risks are (.361071, .128760, 1.381955)."""

    def passed(step: int = 0, steps: int = 10) -> Forward:
        network = head_only(classes=2, dim=2)
        with torch.no_grad():
            network.head.weight.copy_(torch.tensor([[1.0, 0.0], [-0.5, 0.5]]))
            network.head.bias.copy_(torch.tensor([0.1, -0.1]))
        return pass_over(network, TOY.clone().requires_grad_(), TOY_Y, TOY_DOMAIN, step, steps)

    return passed


@pytest.fixture
def twins(network: Network) -> Callable[..., Forward]:
    """A pass over two domains that hold the same examples, at a given step."""
    x, y = FIRST.repeat(2, 1), FIRST_Y.repeat(2)
    return lambda step=0: pass_over(network, x, y, torch.arange(2).repeat_interleave(4), step)


@pytest.fixture
def uneven() -> Forward:
    """Three domains of 5, 3 and 2 random examples, shuffled; four classes, six features."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(10, 6, generator=draw, dtype=torch.float64)
    y = torch.randint(4, (10,), generator=draw)
    domain = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])[torch.randperm(10, generator=draw)]
    torch.manual_seed(0)
    return pass_over(head_only(classes=4, dim=6, domain_heads=3), x, y, domain)
