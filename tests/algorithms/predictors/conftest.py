"""Features go straight into a linear head, so every prediction can be computed by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.slots import Source
from dgbench.models.network import Backbone, Network


@pytest.fixture
def head_of() -> Callable[[list[list[float]]], Network]:
    """A network whose head has these rows and no bias."""

    def make(rows: list[list[float]]) -> Network:
        network = Network(Backbone("toy", nn.Identity(), len(rows[0]), 1, (0, 0, 0), (1, 1, 1)), len(rows))
        with torch.no_grad():
            network.head.weight.copy_(torch.tensor(rows))
            network.head.bias.zero_()
        return network.requires_grad_(False)

    return make


@pytest.fixture
def source_of() -> Callable[..., Source]:
    """Source examples with these features and labels, all of one domain."""

    def make(features: list[list[float]] | Tensor, labels: list[int] | Tensor) -> Source:
        y = torch.as_tensor(labels)
        return Source(torch.as_tensor(features), y, torch.zeros_like(y))

    return make


@pytest.fixture(autouse=True)
def _no_grad():
    """As the harness runs them."""
    with torch.no_grad():
        yield
