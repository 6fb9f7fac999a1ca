"""AdaNPC's vote and memory against worked examples and a naive reference."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.algorithms.predictors.adanpc import AdaNPC, most_similar
from dgbench.core.errors import RecipeError

THREE = [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], [0, 0, 1]
TWO = [[1.0, 0.0], [0.0, 1.0]], [0, 1]
DRIFT = torch.tensor([[0.8, 0.6], [0.65, 0.76], [0.5, 0.866]])


def vote(memory: Tensor, labels: Tensor, query: Tensor, k: int, temperature: float, classes: int) -> Tensor:
    """One query, as the formula has it."""
    similarity = [float(F.cosine_similarity(row, query, dim=0)) for row in memory]
    nearest = sorted(range(len(memory)), key=lambda i: (-similarity[i], i))[:k]
    weights = [math.exp(similarity[i] / temperature) for i in nearest]
    shares = [sum(w for w, i in zip(weights, nearest, strict=True) if labels[i] == c) for c in range(classes)]
    return torch.tensor([min(1, share / sum(weights) + 1e-5) for share in shares])


@pytest.mark.parametrize(("k", "expected"), [(1, [1, 0]), (2, [0.832, 0.168]), (3, [0.836, 0.164])])
def test_worked_example(k, expected, head_of, source_of) -> None:
    stream = AdaNPC(k=k, threshold=2).prepare(head_of([[1.0, 0], [0, 1]]), source_of(*THREE))
    p = stream.observe(torch.tensor([[0.6, 0.8]]))
    torch.testing.assert_close(p, torch.tensor([expected], dtype=torch.float32), rtol=0, atol=5e-4)


@pytest.mark.parametrize(
    ("threshold", "batch", "expected"), [(0, 1, [0, 0, 0]), (2, 1, [0, 1, 1]), (0, 3, [0, 1, 1]), (2, 3, [0, 1, 1])]
)
def test_drift_is_followed_batch_by_batch(threshold, batch, expected, head_of, source_of) -> None:
    """Predict, then add: examples of one batch do not see each other."""
    stream = AdaNPC(k=1, threshold=threshold).prepare(head_of([[1.0, 0], [0, 1]]), source_of(*TWO))
    predicted = torch.cat([stream.observe(chunk) for chunk in DRIFT.split(batch)]).argmax(1)
    assert predicted.tolist() == expected


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.1), (5, 0.1), (50, 0.1), (10_000, 0.5)])
def test_static_memory_equals_a_naive_vote(k, temperature, head_of, source_of) -> None:
    draw = torch.Generator().manual_seed(0)
    memory, queries = torch.randn(60, 5, generator=draw), torch.randn(9, 5, generator=draw)
    labels = torch.randint(3, (60,), generator=draw)
    stream = AdaNPC(k, temperature, threshold=2).prepare(head_of([[0.0] * 5] * 3), source_of(memory, labels))
    expected = torch.stack([vote(memory, labels, query, k, temperature, classes=3) for query in queries])
    torch.testing.assert_close(stream.observe(queries), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 4, 32])
@pytest.mark.parametrize("threshold", [0.0, 0.6, 0.9])
def test_growing_memory_equals_a_naive_one(threshold, batch, head_of, source_of) -> None:
    draw = torch.Generator().manual_seed(1)
    memory, stream_of = torch.randn(6, 4, generator=draw), torch.randn(70, 4, generator=draw)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    stream = AdaNPC(k=3, threshold=threshold).prepare(head_of([[0.0] * 4] * 3), source_of(memory, labels))
    sizes = []
    for chunk in stream_of.split(batch):
        expected = torch.stack([vote(memory, labels, query, 3, 0.1, classes=3) for query in chunk])
        torch.testing.assert_close(stream.observe(chunk), expected, rtol=1e-4, atol=1e-5)
        sure = expected.max(1).values >= threshold
        memory, labels = torch.cat([memory, chunk[sure]]), torch.cat([labels, expected.argmax(1)[sure]])
        sizes.append(len(memory))
    assert sizes[-1] > 6
    assert sizes[-1] == 76 if threshold == 0 else sizes[-1] < 76
    assert stream.count == sizes[-1]
    assert torch.equal(stream.labels[: stream.count], labels)


def test_reset_forgets_what_was_added(head_of, source_of) -> None:
    stream = AdaNPC(k=1, threshold=0).prepare(head_of([[1.0, 0], [0, 1]]), source_of(*TWO))
    first = stream.observe(DRIFT[1:2])
    stream.reset(0)
    for chunk in DRIFT.split(1):
        stream.observe(chunk)
    stream.reset(0)
    assert stream.count == 2
    assert torch.equal(stream.observe(DRIFT[1:2]), first)


def test_every_memory_example_finds_itself(head_of, source_of) -> None:
    features, labels = torch.randn(30, 8), torch.arange(30) % 4
    stream = AdaNPC(k=1, threshold=2).prepare(head_of([[0.0] * 8] * 4), source_of(features, labels))
    assert torch.equal(stream.observe(features).argmax(1), labels)


def test_cold_votes_are_the_nearest_neighbour_and_hot_ones_count_heads(head_of, source_of) -> None:
    features, labels = torch.randn(30, 8), torch.tensor([0] * 12 + [1] * 18)
    source, network, queries = source_of(features, labels), head_of([[0.0] * 8] * 2), torch.randn(6, 8)
    nearest = AdaNPC(k=1, threshold=2).prepare(network, source).observe(queries)
    cold = AdaNPC(k=30, temperature=1e-4, threshold=2).prepare(network, source).observe(queries)
    assert torch.equal(cold.argmax(1), nearest.argmax(1))
    hot = AdaNPC(k=30, temperature=1e6, threshold=2).prepare(network, source).observe(queries)
    torch.testing.assert_close(hot, torch.tensor([[0.4, 0.6]]).expand(6, 2), rtol=0, atol=2e-5)


def test_doubling_every_row_and_k_changes_nothing(head_of, source_of) -> None:
    features, labels, queries = torch.randn(20, 5), torch.arange(20) % 3, torch.randn(7, 5)
    network = head_of([[0.0] * 5] * 3)
    once = AdaNPC(k=4, threshold=2).prepare(network, source_of(features, labels))
    twice = AdaNPC(k=8, threshold=2).prepare(network, source_of(features.repeat(2, 1), labels.repeat(2)))
    torch.testing.assert_close(twice.observe(queries), once.observe(queries))


def test_length_of_features_does_not_matter(head_of, source_of) -> None:
    features, labels, queries = torch.randn(20, 5), torch.arange(20) % 3, torch.randn(7, 5)
    network = head_of([[0.0] * 5] * 3)
    plain = AdaNPC(k=4, threshold=2).prepare(network, source_of(features, labels)).observe(queries)
    scaled = AdaNPC(k=4, threshold=2).prepare(network, source_of(8 * features, labels)).observe(queries / 4)
    torch.testing.assert_close(scaled, plain)


def test_equal_similarities_go_to_the_earlier_rows() -> None:
    similarity = torch.tensor([[0.5, 0.9, 0.5, 0.5, 0.1], [0.3, 0.3, 0.3, 0.3, 0.3]])
    assert most_similar(similarity, 3).tolist() == [[0, 1, 2], [0, 1, 2]]
    assert most_similar(similarity, 9).tolist() == [[0, 1, 2, 3, 4]] * 2


@pytest.mark.parametrize("k", [1, 3, 8])
def test_most_similar_equals_a_stable_sort(k) -> None:
    similarity = torch.randint(5, (40, 8), generator=torch.Generator().manual_seed(0)).float()
    expected = similarity.sort(dim=1, descending=True, stable=True).indices[:, :k].sort(1).values
    assert torch.equal(most_similar(similarity, k), expected)


def test_track_follows_the_threshold() -> None:
    assert AdaNPC(threshold=1.0).track == "online"
    assert AdaNPC(threshold=1.1).track == "inductive"


def test_without_source_examples_it_is_refused(head_of) -> None:
    with pytest.raises(RecipeError, match="source examples"):
        AdaNPC().prepare(head_of([[1.0, 0], [0, 1]]), None)
