"""The worked example of the classic algorithms: three domains of two points, which are their own features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Batch, Closure, Forward
from dgbench.models.network import Backbone, Network

X = torch.tensor([[1, 0], [0, 1], [2, 1], [-1, 0.5], [0.5, -1], [1, 2]]).double()
Y = torch.tensor([0, 1, 0, 1, 1, 1])
DOMAIN = torch.arange(3).repeat_interleave(2)


def network(module: nn.Module | None = None) -> Network:
    """Two features, two classes, with the head of the example."""
    network = Network(Backbone("toy", module or nn.Identity(), 2, 1, (0, 0, 0), (1, 1, 1)), 2).double()
    with torch.no_grad():
        network.head.weight.copy_(torch.tensor([[1, 0], [-0.5, 0.5]]))
        network.head.bias.copy_(torch.tensor([0.1, -0.1]))
    return network


def batch(domains: int = 3) -> Batch:
    """The first of the domains."""
    n = 2 * domains
    return Batch(X[:n], Y[:n], DOMAIN[:n], torch.arange(n), sizes=(2,) * domains)


def closure(objective: Objective | None = None, domains: int = 3, step: int = 5) -> Closure:
    """Of a step of 10; plain cross-entropy where no objective is given."""
    loss = (objective or CrossEntropy()).loss
    return Closure(network(), loss, batch(domains), step=step, steps=10, domains=domains)


def seen(step: int = 5, given: Batch | None = None) -> Forward:
    """A pass at a step of 10, whose features can be differentiated in."""
    made, given = network(), given or batch()
    features = given.x.clone().requires_grad_()
    domains = int(given.domain.max()) + 1
    return Forward(made, given, features, made.head(features), step, 10, domains)


def head_gradients(made: Closure) -> tuple[Tensor, Tensor]:
    """What a pass left of gradients in the head."""
    head = made.network.head
    assert head.weight.grad is not None
    assert head.bias.grad is not None
    return head.weight.grad, head.bias.grad
