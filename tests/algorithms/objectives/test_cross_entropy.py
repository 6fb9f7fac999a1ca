from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.mixing import symmetric_beta
from dgbench.algorithms.step import Batch


def batch(n: int = 12, classes: int = 5) -> Batch:
    draw = torch.Generator().manual_seed(1)
    y = torch.randint(classes, (n,), generator=draw)
    return Batch(torch.randn(n, 3, 4, 4, generator=draw), y, torch.arange(n) % 3, torch.arange(n))


def generator(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_toy_value(one, two):
    assert CrossEntropy().loss(one()).item() == pytest.approx(0.8677352, abs=1e-7)
    assert CrossEntropy().loss(two()).item() == pytest.approx((0.8677352 + 0.7517207) / 2, abs=1e-7)


def test_plain_is_bitwise_cross_entropy(uneven):
    assert torch.equal(
        CrossEntropy().loss(uneven), F.cross_entropy(uneven.logits, uneven.batch.y, reduction="none").mean()
    )


def test_plain_draws_nothing_and_changes_nothing():
    given_batch, draw = batch(), generator()
    assert CrossEntropy().prepare(given_batch, 5, draw) is given_batch
    assert torch.equal(draw.get_state(), generator().get_state())


def test_label_smoothing_is_torchs_and_draws_nothing(uneven):
    draw = generator()
    prepared = CrossEntropy(label_smoothing=0.1).prepare(uneven.batch, 4, draw)
    assert torch.equal(draw.get_state(), generator().get_state())
    expected = F.cross_entropy(uneven.logits, uneven.batch.y, label_smoothing=0.1)
    torch.testing.assert_close(F.cross_entropy(uneven.logits, prepared.target), expected)


@given(e=st.floats(0, 1), m=st.floats(0, 20), seed=st.integers(0, 2**31))
def test_targets_are_distributions(e: float, m: float, seed: int):
    prepared = CrossEntropy(label_smoothing=e, mixup=m).prepare(batch(), 5, generator(seed))
    if prepared.target is not None:
        assert prepared.target.min() >= 0
        torch.testing.assert_close(prepared.target.sum(1), torch.ones(12))


def test_mixup_mixes_inputs_and_labels_with_one_weight_and_one_permutation():
    before = batch()
    after = CrossEntropy(mixup=1.0).prepare(before, 5, generator())
    # An input that says which row it came from shows weight and partner of every row.
    marked = before.replace(x=torch.eye(12))
    mixing = CrossEntropy(mixup=1.0).prepare(marked, 5, generator()).x
    share = mixing.diagonal().min()
    partner = (mixing - share * torch.eye(12)).argmax(1)
    assert sorted(partner.tolist()) == list(range(12))
    assert 0 < share < 1
    torch.testing.assert_close(after.x, share * before.x + (1 - share) * before.x[partner])
    hot = F.one_hot(before.y, 5).float()
    torch.testing.assert_close(after.target, share * hot + (1 - share) * hot[partner])
    assert torch.equal(after.y, before.y)
    assert torch.equal(after.domain, before.domain)


def test_mixup_depends_on_the_generator_alone():
    torch.manual_seed(0)
    first = CrossEntropy(mixup=0.5).prepare(batch(), 5, generator())
    torch.manual_seed(1)
    again = CrossEntropy(mixup=0.5).prepare(batch(), 5, generator())
    other = CrossEntropy(mixup=0.5).prepare(batch(), 5, generator(8))
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.target, again.target)
    assert not torch.equal(first.x, other.x)


def test_targets_that_are_soft_already_are_kept():
    soft = torch.rand(12, 5).softmax(1)
    prepared = CrossEntropy(label_smoothing=0.2).prepare(batch().replace(target=soft), 5, generator())
    torch.testing.assert_close(prepared.target, 0.8 * soft + 0.04)


@pytest.mark.parametrize("a", [0.1, 0.5, 1.0, 4.0])
def test_mixing_weights_are_beta_distributed(a: float):
    draw = generator()
    values = np.array([symmetric_beta(a, draw).item() for _ in range(3000)])
    assert stats.kstest(values, stats.beta(a, a).cdf).pvalue > 0.01


def test_mixing_weights_with_a_tiny_parameter_are_0_or_1():
    draw = generator()
    values = np.array([symmetric_beta(1e-4, draw).item() for _ in range(200)])
    assert set(values.round(6)) == {0.0, 1.0}
