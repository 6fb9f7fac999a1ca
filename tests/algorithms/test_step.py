"""A batch taken apart by domain, and the closures of its parts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dgbench.algorithms.step import Batch, Closure, Forward
from dgbench.models.network import Backbone, Network


@pytest.fixture
def batch() -> Batch:
    """Domains of 2, 0, 3 and 1 examples."""
    domain = torch.tensor([0, 0, 2, 2, 2, 3])
    x = torch.arange(12.0).view(6, 2)
    return Batch(x, torch.arange(6) % 2, domain, torch.arange(6), torch.eye(6)[:, :2], sizes=(2, 0, 3, 1))


def test_some_domains_are_numbered_in_the_order_given(batch: Batch) -> None:
    some = batch.of([3, 0])
    rows = torch.tensor([5, 0, 1])
    for name in ("x", "y", "index", "target"):
        assert torch.equal(getattr(some, name), getattr(batch, name)[rows])
    assert some.domain.tolist() == [0, 1, 1]
    assert some.sizes == (1, 2)
    assert batch.of([3, 0]) is some


def test_a_domain_without_examples_is_empty(batch: Batch) -> None:
    assert len(batch.of([1])) == 0


def test_hard_labels_stay_hard(batch: Batch) -> None:
    assert batch.replace(target=None).of([2]).target is None


def test_a_part_of_a_closure_sees_its_domains_and_counts_its_own_passes(batch: Batch) -> None:
    torch.manual_seed(0)
    network = Network(Backbone("toy", nn.BatchNorm1d(2, momentum=1.0), 2, size=1, mean=(0, 0, 0), std=(1, 1, 1)), 2)
    seen: list[Forward] = []

    def loss(forward: Forward) -> torch.Tensor:
        seen.append(forward)
        return forward.domain_risks().mean()

    whole = Closure(network, loss, batch, step=3, steps=9, domains=4)
    whole("descent")
    part = whole.of(2)
    part("descent")
    assert (whole.passes, part.passes, part.domains) == (1, 1, 1)
    assert torch.equal(seen[1].batch.x, batch.x[2:5])
    assert (seen[1].step, seen[1].steps) == (3, 9)
    torch.testing.assert_close(network.backbone.running_mean, batch.x[2:5].mean(0))


class Attending(nn.Module):
    """Features that attend to each other."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.view(-1, 1, 4, 8)
        return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens).flatten(1)


@pytest.mark.parametrize("twice", [False, True])
def test_attention_is_twice_differentiable_where_that_is_asked_for(twice: bool) -> None:
    """Fused kernels, which serve otherwise, are not."""
    torch.manual_seed(0)
    network = Network(Backbone("toy", nn.Sequential(nn.Linear(32, 32), Attending()), 32, 1, (0, 0, 0), (1, 1, 1)), 2)
    zeros = torch.zeros(6, dtype=torch.int64)
    given = Batch(torch.randn(6, 32), zeros, zeros, zeros)

    def loss(forward: Forward) -> torch.Tensor:
        weight = network.backbone[0].weight
        return torch.autograd.grad(forward.cross_entropy.mean(), weight, create_graph=True)[0].square().sum()

    closure = Closure(network, loss, given, step=0, steps=1, domains=1, twice=twice)
    if not twice:
        with pytest.raises(RuntimeError, match="is not implemented"):
            closure("descent")
        return
    closure("descent")
    assert network.backbone[0].weight.grad.isfinite().all()
