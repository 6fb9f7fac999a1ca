"""The loss over images and edge maps against a loop, at both ends of its weight, and on parts of a batch."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.edge_branch import EdgeBranch
from dgbench.algorithms.step import Batch, Forward
from dgbench.models.network import Backbone, Network

DIM, CLASSES, SIZES = 4, 3, (6, 4)
"""Of two domains: three images and their edge maps, two and theirs."""
OF_EDGES = [False] * 3 + [True] * 3 + [False] * 2 + [True] * 2


@pytest.fixture
def forward() -> Forward:
    torch.manual_seed(0)
    network = Network(Backbone("toy", nn.Identity(), DIM, 1, (0, 0, 0), (1, 1, 1)), CLASSES).double()
    n = sum(SIZES)
    domain = torch.arange(2).repeat_interleave(torch.tensor(SIZES))
    batch = Batch(torch.randn(n, DIM).double(), torch.randint(CLASSES, (n,)), domain, torch.arange(n), sizes=SIZES)
    return Forward(network, batch, batch.x, network.head(batch.x), step=0, steps=1, domains=2)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0, 2.0])
def test_it_is_the_sum_over_both_views_by_the_number_of_all(weight: float, forward: Forward) -> None:
    expected = 0.0
    for p, label, edges in zip(forward.logits.softmax(1).tolist(), forward.batch.y.tolist(), OF_EDGES, strict=True):
        expected -= (weight if edges else 1) * math.log(p[label]) / len(OF_EDGES)
    assert EdgeBranch(weight).loss(forward).item() == pytest.approx(expected, rel=1e-12)


def test_at_weight_one_it_is_cross_entropy_to_the_bit(forward: Forward) -> None:
    found, plain = (each.loss(forward) for each in (EdgeBranch(), CrossEntropy()))
    assert torch.equal(found, plain)
    gradients = [
        torch.autograd.grad(each, forward.network.head.weight, retain_graph=True)[0] for each in (found, plain)
    ]
    assert torch.equal(*gradients)


def test_without_edges_it_is_half_of_that_of_images_alone(forward: Forward) -> None:
    images = ~torch.tensor(OF_EDGES)
    alone = replace(forward, batch=forward.batch.replace(y=forward.batch.y[images]), logits=forward.logits[images])
    torch.testing.assert_close(EdgeBranch(0.0).loss(forward), CrossEntropy().loss(alone) / 2)


def test_a_domain_by_itself_has_the_same_edge_maps(forward: Forward) -> None:
    """Which an optimizer that takes batches apart shows alone: the mean of both, by their sizes, is that of all."""
    parts = []
    for domain in range(2):
        batch = forward.batch.of([domain])
        logits = forward.network.head(batch.x)
        parts.append(EdgeBranch(0.3).loss(replace(forward, batch=batch, features=batch.x, logits=logits, domains=1)))
    whole = sum(size * part for size, part in zip(SIZES, parts, strict=True)) / sum(SIZES)
    torch.testing.assert_close(EdgeBranch(0.3).loss(forward), whole)
