"""AdaNPC-BN against AdaNPC on features that were normalised before, and against a loop of torch."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgbench.algorithms.predictors.adanpc import AdaNPC
from dgbench.algorithms.predictors.adanpc_bn import AdaNPCBN
from dgbench.algorithms.slots import Source
from dgbench.core.errors import RecipeError

CLASSES, DIM = 3, 4


@pytest.fixture
def batches() -> list[Tensor]:
    return list((1 + 2 * torch.randn(24, DIM, generator=torch.Generator().manual_seed(1))).split(6))


@pytest.fixture
def source(source_of) -> Source:
    draw = torch.Generator().manual_seed(0)
    return source_of(3 + torch.randn(30, DIM, generator=draw), torch.randint(CLASSES, (30,), generator=draw))


@pytest.fixture
def network(head_of):
    return head_of([[0.0] * DIM] * CLASSES)


def plain(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True)


@pytest.mark.parametrize("threshold", [0.0, 0.6, 2.0])
def test_without_learning_it_is_adanpc_on_normalised_features(threshold, network, source, batches) -> None:
    stream = AdaNPCBN(k=5, threshold=threshold, lr=0.0, steps=3).prepare(network, source)
    normalised = Source(plain(source.features), source.labels, source.domains)
    other = AdaNPC(k=5, threshold=threshold).prepare(network, normalised)
    for batch in batches:
        torch.testing.assert_close(stream.observe(batch), other.observe(plain(batch)), rtol=1e-4, atol=1e-5)
    assert stream.count == other.count


def test_a_shift_and_a_scale_of_the_target_go_away(network, source, batches) -> None:
    one, other = (AdaNPCBN(k=5, threshold=0.6).prepare(network, source) for _ in range(2))
    for batch in batches:
        torch.testing.assert_close(other.observe(4 * batch - 7), one.observe(batch), rtol=1e-3, atol=1e-3)


def reference(settings: AdaNPCBN, source: Source, batches: list[Tensor]) -> tuple[list[Tensor], int]:
    """With a layer of torch, in training or, as released, in evaluation mode."""
    released, found = settings.compat == "released", []
    with torch.inference_mode(mode=False), torch.enable_grad():
        layer = nn.BatchNorm1d(DIM).train(not released)
        adam = torch.optim.Adam(layer.parameters(), lr=settings.lr)
        rows, labels = source.features.clone(), source.labels.clone()
        rows = F.normalize(rows if released else plain(rows), dim=1)

        def vote(queries: Tensor) -> Tensor:
            votes = []
            for query in queries:
                similarity = rows @ query
                nearest = similarity.argsort(descending=True, stable=True)[: settings.k]
                weights = (similarity[nearest] / settings.temperature).softmax(0)
                votes.append(torch.stack([weights[labels[nearest] == c].sum() for c in range(CLASSES)]))
            return (torch.stack(votes) + 1e-5).clamp(max=1)

        for batch in batches:
            for step in range(settings.steps):
                queries = F.normalize(layer(batch.clone()), dim=1)
                votes = vote(queries)
                judged = votes.softmax(1) if released else votes
                loss = -(judged * judged.log()).sum(1).mean()
                adam.zero_grad()
                loss.backward()
                if released or step == settings.steps - 1:
                    sure = judged.max(1).values >= settings.threshold
                    rows = torch.cat([rows, queries[sure].detach()])
                    labels = torch.cat([labels, votes.argmax(1)[sure]])
                adam.step()
            found.append(votes.detach())
    return found, len(rows)


@pytest.mark.parametrize("compat", ["none", "released"])
@pytest.mark.parametrize(("lr", "steps", "threshold"), [(1e-3, 1, 0.5), (0.05, 3, 0.45)])
def test_it_is_a_loop_of_torch(lr, steps, threshold, compat, network, source, batches) -> None:
    settings = AdaNPCBN(k=7, temperature=0.5, threshold=threshold, lr=lr, steps=steps, compat=compat)
    stream = settings.prepare(network, source)
    found = [stream.observe(batch) for batch in batches]
    expected, rows = reference(settings, source, batches)
    torch.testing.assert_close(torch.cat(found), torch.cat(expected), rtol=1e-3, atol=1e-4)
    assert stream.count == rows > len(source.labels)


@pytest.mark.parametrize(("classes", "cap"), [(4, 0.475), (5, 0.405), (7, 0.312), (10, 0.232), (65, 0.041)])
def test_the_released_confidence_has_a_cap(classes, cap, head_of, source_of) -> None:
    """A unanimous vote, softmaxed again, is e / (e + C - 1): above it nothing ever joins."""
    assert math.e / (math.e + classes - 1) == pytest.approx(cap, abs=1e-3)
    network = head_of([[0.0, 0.0]] * classes)
    source = source_of([[1.0, 0.0], [0.9, 0.1]], [0, 0])
    for threshold, joined in ((cap - 1e-3, 2), (cap + 1e-3, 0)):
        stream = AdaNPCBN(k=2, threshold=threshold, compat="released").prepare(network, source)
        stream.observe(torch.tensor([[1.0, 0.2], [0.8, 0.1]]))
        assert stream.count == 2 + joined


def test_a_single_example_is_normalised_as_the_source_is_or_the_last_batch_was(network, source, batches) -> None:
    alone = batches[1][:1]
    normalised = Source(plain(source.features), source.labels, source.domains)
    stream = AdaNPCBN(k=5, threshold=2.0, lr=0.0).prepare(network, source)
    static = AdaNPC(k=5, threshold=2.0).prepare(network, normalised)

    def by(other: Tensor) -> Tensor:
        return static.observe((alone - other.mean(0)) / (other.var(0, correction=0) + 1e-5).sqrt())

    torch.testing.assert_close(stream.observe(alone), by(source.features), rtol=1e-4, atol=1e-5)
    stream.observe(batches[0])
    torch.testing.assert_close(stream.observe(alone), by(batches[0]), rtol=1e-4, atol=1e-5)


def test_without_source_examples_it_is_refused(network) -> None:
    with pytest.raises(RecipeError, match="source examples"):
        AdaNPCBN().prepare(network, None)
