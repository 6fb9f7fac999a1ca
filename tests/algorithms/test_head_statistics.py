"""The closed forms against the gradients that autograd gives, one example at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgbench.algorithms.head_statistics import gradient_moments, residuals, squared_norms
from dgbench.algorithms.step import Batch, Forward
from dgbench.models.network import Backbone, Network


def soft_pass() -> Forward:
    """Ten examples of three domains, with soft targets."""
    torch.manual_seed(0)
    network = Network(Backbone("toy", nn.Identity(), 6, size=1, mean=(0, 0, 0), std=(1, 1, 1)), 4).double()
    x, target = torch.randn(10, 6).double(), torch.rand(10, 4).double().softmax(1)
    domain = torch.tensor([0, 2, 1, 0, 0, 1, 2, 0, 1, 0])
    batch = Batch(x, torch.zeros(10, dtype=torch.long), domain, torch.arange(10), target)
    return Forward(network, batch, x, network.head(x), step=0, steps=1, domains=3)


def gradients(forward: Forward) -> Tensor:
    """Gradient of each example's cross-entropy in [W | b], ``[n, C, d + 1]``."""
    head = forward.network.head
    rows = []
    for x, target in zip(forward.batch.x, forward.batch.target, strict=True):
        weight, bias = torch.autograd.grad(F.cross_entropy(head(x[None]), target[None]), [head.weight, head.bias])
        rows.append(torch.cat([weight, bias[:, None]], 1))
    return torch.stack(rows)


def test_residuals_are_gradients_in_the_logits():
    forward = soft_pass()
    logits = forward.logits.detach().requires_grad_()
    F.cross_entropy(logits, forward.batch.target, reduction="sum").backward()
    torch.testing.assert_close(residuals(forward), logits.grad)


def test_moments_are_those_of_per_sample_gradients():
    forward = soft_pass()
    G = gradients(forward)
    mean, square = gradient_moments(forward)
    for d in range(3):
        mine = G[forward.batch.domain == d]
        torch.testing.assert_close(mean[d], mine.mean(0))
        torch.testing.assert_close(square[d], mine.square().mean(0))


def test_norms_are_those_of_per_sample_gradients():
    forward = soft_pass()
    G = gradients(forward)
    weight, bias = squared_norms(forward)
    torch.testing.assert_close(weight, G[:, :, :-1].square().sum((1, 2)))
    torch.testing.assert_close(bias, G[:, :, -1].square().sum(1))
