"""Naive Bayes against its worked example, the Gaussian likelihoods written out, and the rules for poor sources."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from dgbench.algorithms.predictors.naive_bayes import NaiveBayes, head
from dgbench.models.network import Backbone, Network

TWO = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]


def network(classes: int, dim: int) -> Network:
    return Network(Backbone("toy", nn.Identity(), dim, 1, (0, 0, 0), (1, 1, 1)), classes).requires_grad_(False)


def fitted(x: Tensor, y: Tensor, classes: int, floor: float = 0.0) -> tuple[Tensor, Tensor]:
    return head(x, y, torch.ones(len(y)).double(), classes, floor)


def test_worked_example(source_of) -> None:
    source = source_of(TWO, [0, 0, 1, 1])
    weight, bias = fitted(source.features, source.labels, 2)
    torch.testing.assert_close(weight, torch.tensor([[1.0, 2.0], [5.0, 6.0]]))
    torch.testing.assert_close(bias, torch.tensor([-3.193147, -31.193147]))
    scores = NaiveBayes().prepare(network(2, 2), source).observe(torch.tensor([[3.0, 4.0]]))
    torch.testing.assert_close(scores, torch.full((1, 2), 7.806853))


def test_scores_are_log_likelihoods_up_to_what_classes_share() -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(60, 4, generator=draw), torch.randint(3, (60,), generator=draw)
    x = x * torch.tensor([0.3, 1, 2, 5]) + y[:, None]
    weight, bias = fitted(x, y, 3)
    shares = torch.bincount(y) / 60
    means = torch.stack([x[y == k].mean(0) for k in range(3)])
    variance = sum(shares[k] * x[y == k].var(0, correction=0) for k in range(3))
    at = torch.randn(7, 4, generator=draw)
    likelihood = Normal(means, variance.sqrt()).log_prob(at[:, None]).sum(2) + shares.log()
    torch.testing.assert_close((at @ weight.T + bias).log_softmax(1), likelihood.log_softmax(1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_a_class_without_images_is_as_likely_as_half_an_image_about_the_mean_of_all(scale: float) -> None:
    x, y = torch.tensor(TWO).double(), torch.tensor([0, 0, 1, 1])
    weight, bias = head(x, y, torch.full((4,), scale).double(), 3, 0.0)
    means = torch.tensor([[1.0, 2.0], [5.0, 6.0], [3.0, 4.0]]).double()
    priors = torch.tensor([2 / 4, 2 / 4, 0.5 / 4]).double()
    at = torch.tensor([[0.0, 9.0], [3.0, 1.0]]).double()
    likelihood = Normal(means, torch.ones(2).double()).log_prob(at[:, None]).sum(2) + priors.log()
    torch.testing.assert_close((at @ weight.T + bias).log_softmax(1), likelihood.log_softmax(1))


def test_features_may_be_scaled_and_moved_one_by_one() -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 3, generator=draw).double(), torch.randint(3, (40,), generator=draw)
    scale, shift = torch.tensor([0.1, 3.0, -7.0]).double(), torch.tensor([5.0, 0.0, 1.0]).double()
    scores = [at @ w.T + b for at, (w, b) in [(z, fitted(z, y, 3)) for z in (x, x * scale + shift)]]
    torch.testing.assert_close(scores[0].log_softmax(1), scores[1].log_softmax(1))


def test_no_feature_decides_alone() -> None:
    x = torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 2.0], [6.0, 2.0]])  # the second has no variance in any class
    weight, _ = fitted(x, torch.tensor([0, 0, 1, 1]), 2, floor=0.01)
    torch.testing.assert_close(weight, torch.tensor([[1.0, 100.0], [5.0, 200.0]]))


def test_balanced_domains_count_alike(source_of) -> None:
    """Three copies of one domain's images weigh as much as one."""
    few = source_of(TWO, [0, 0, 1, 1])
    other = torch.tensor([[1.0, 0.0], [5.0, 9.0]])

    def both(copies: int):
        x = torch.cat([*[few.features] * copies, other])
        y = torch.cat([*[few.labels] * copies, torch.tensor([0, 1])])
        return replace(few, features=x, labels=y, domains=(torch.arange(len(y)) >= 4 * copies).long())

    at = torch.tensor([[3.0, 4.0]])
    balanced = [NaiveBayes(balanced=True).prepare(network(2, 2), both(n)).observe(at) for n in (1, 3)]
    pooled = [NaiveBayes().prepare(network(2, 2), both(n)).observe(at) for n in (1, 3)]
    torch.testing.assert_close(balanced[0], balanced[1])
    assert not torch.allclose(pooled[0], pooled[1])


@pytest.mark.parametrize("labels", [[0, 0, 1, 1], [1, 1, 1, 1]])
def test_classes_without_images_and_sources_without_spread_give_finite_scores(labels: list[int], source_of) -> None:
    for features in (TWO, [[1.0, 1.0]] * 4):
        scores = NaiveBayes().prepare(network(3, 2), source_of(features, labels)).observe(torch.tensor(TWO))
        assert scores.isfinite().all()
