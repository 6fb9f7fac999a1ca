"""What holds for every predictor in the registry, by default and in its corners."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.slots import Predictor, Source, Stream
from dgbench.core import registry
from dgbench.models.network import Backbone, Network

CLASSES, DIM, DOMAINS = 4, 6, 3
CORNERS: list[tuple[str, dict[str, Any]]] = [
    ("drm", {"gamma": 0.0}),
    ("drm", {"gamma": 5.0}),
    ("drm", {"gamma": "hard"}),
    ("adanpc", {"k": 1, "threshold": 0.0}),
    ("adanpc", {"k": 7, "threshold": 0.5}),
    ("adanpc", {"k": 10_000, "threshold": 0.0, "temperature": 1.0}),
    ("adanpc", {"threshold": 2.0}),
    ("t3a", {"filter_size": 1}),
    ("t3a", {"filter_size": 3}),
    ("t3a", {"filter_size": "all"}),
]
CASES = [(name, {}) for name in sorted(registry.BUILT_IN["predictor"])] + CORNERS
every_predictor = pytest.mark.parametrize(("name", "settings"), CASES, ids=lambda value: str(value))


def build(name: str, settings: dict[str, Any]) -> Predictor:
    return registry.load("predictor", name)(**settings)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    network = Network(Backbone("toy", nn.Identity(), DIM, 1, (0, 0, 0), (1, 1, 1)), CLASSES)
    network.domain_heads = nn.Linear(DIM, DOMAINS * CLASSES)
    return network.requires_grad_(False)


@pytest.fixture
def source() -> Source:
    draw = torch.Generator().manual_seed(1)
    y = torch.randint(CLASSES, (40,), generator=draw)
    means = torch.randn(CLASSES, DIM, generator=draw)
    return Source(means[y] + torch.randn(40, DIM, generator=draw), y, torch.randint(DOMAINS, (40,), generator=draw))


@pytest.fixture
def target() -> Tensor:
    return 2 * torch.randn(50, DIM, generator=torch.Generator().manual_seed(2))


def run(stream: Stream, features: Tensor, batch: int = 8) -> Tensor:
    return torch.cat([stream.observe(chunk) for chunk in features.split(batch)])


@every_predictor
def test_scores_are_what_they_are_declared(name, settings, network, source, target) -> None:
    predictor = build(name, settings)
    scores = run(predictor.prepare(network, source), target)
    assert scores.shape == (50, CLASSES)
    assert scores.dtype == torch.float32
    if predictor.scores == "probabilities":
        assert scores.min() >= 0
        torch.testing.assert_close(scores.sum(1), torch.ones(50), rtol=0, atol=1e-4)  # AdaNPC adds 1e-5 to each


@every_predictor
def test_reset_brings_back_the_same_bits(name, settings, network, source, target) -> None:
    stream = build(name, settings).prepare(network, source)
    first = run(stream, target)
    stream.reset(7)
    assert torch.equal(run(stream, target), first)
    stream.observe(target[:3])
    stream.reset(7)
    assert torch.equal(run(stream, target), first)


@every_predictor
def test_a_fresh_stream_equals_a_reset_one(name, settings, network, source, target) -> None:
    fresh, reset = (build(name, settings).prepare(network, source) for _ in range(2))
    reset.reset(7)
    assert torch.equal(run(fresh, target), run(reset, target))


@every_predictor
def test_inductive_predictions_depend_on_their_own_example_alone(name, settings, network, source, target) -> None:
    predictor = build(name, settings)
    stream = predictor.prepare(network, source)
    together = run(stream, target)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(3))
    stream.reset(0)
    permuted = torch.empty_like(together)
    permuted[order] = run(stream, target[order])
    stream.reset(0)
    single = run(stream, target, batch=1)
    others = target.clone()
    others[1::2] = -others[1::2]
    stream.reset(0)
    among_others = run(stream, others)[::2]
    same = [
        torch.allclose(together, permuted, atol=1e-5),
        torch.allclose(together, single, atol=1e-5),
        torch.allclose(together[::2], among_others, atol=1e-5),
    ]
    if predictor.track == "inductive":
        assert all(same)
    else:
        assert not all(same), "declared online, but nothing in this stream tells it from an inductive predictor"


@every_predictor
def test_the_past_does_not_know_the_future(name, settings, network, source, target) -> None:
    predictor = build(name, settings)
    whole = run(predictor.prepare(network, source), target)
    altered = torch.cat([target[:24], 10 - target[24:]])
    assert torch.equal(run(predictor.prepare(network, source), altered)[:24], whole[:24])
    assert torch.equal(run(predictor.prepare(network, source), target[:24]), whole[:24])


@every_predictor
def test_nothing_but_features_is_observed(name, settings, network, source) -> None:
    stream = build(name, settings).prepare(network, source)
    assert list(inspect.signature(stream.observe).parameters) == ["features"]


@every_predictor
def test_network_and_source_are_left_alone(name, settings, network, source, target) -> None:
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    kept = source.features.clone(), source.labels.clone(), target.clone()
    run(build(name, settings).prepare(network, source), target)
    assert all(torch.equal(weights[key], value) for key, value in network.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(kept, (source.features, source.labels, target), strict=True))


@every_predictor
def test_state_does_not_grow_beyond_twice_the_examples(name, settings, network, source, target) -> None:
    stream = build(name, settings).prepare(network, source)
    before = state_bytes(stream)
    for _ in range(5):
        run(stream, target)
    row = (DIM * 4) + 8
    seen = len(source.labels) + 5 * len(target) if name == "adanpc" else 0
    assert state_bytes(stream) <= max(before, 2 * seen * row)


def state_bytes(stream: Stream) -> int:
    return sum(value.numel() * value.element_size() for value in vars(stream).values() if isinstance(value, Tensor))


@every_predictor
def test_reset_before_each_batch_makes_their_order_irrelevant(name, settings, network, source, target) -> None:
    stream = build(name, settings).prepare(network, source)

    def episodic(batches: list[Tensor]) -> list[Tensor]:
        scores = []
        for batch in batches:
            stream.reset(0)
            scores.append(stream.observe(batch))
        return scores

    batches = list(target.split(8))
    forwards, backwards = episodic(batches), episodic(batches[::-1])[::-1]
    assert all(torch.equal(a, b) for a, b in zip(forwards, backwards, strict=True))


@every_predictor
@pytest.mark.parametrize(
    "batches",
    [
        [torch.ones(5, DIM)] * 2,
        [torch.ones(1, DIM)],
        [torch.zeros(4, DIM)] * 2,
        [1e4 * torch.eye(DIM)] * 2,
        [1e-20 * torch.eye(DIM)] * 2,
    ],
    ids=["identical", "one", "zero", "certain", "tiny"],
)
def test_odd_batches_give_finite_scores(name, settings, batches, network, source) -> None:
    stream = build(name, settings).prepare(network, source)
    for batch in batches:
        assert torch.isfinite(stream.observe(batch)).all()


@every_predictor
def test_two_streams_side_by_side_do_not_meet(name, settings, network, source, target) -> None:
    predictor = build(name, settings)
    first, second = predictor.prepare(network, source), predictor.prepare(network, source)
    apart = run(first, target), run(second, -target)
    first.reset(0)
    second.reset(0)
    pairs = zip(target.split(8), (-target).split(8), strict=True)
    interleaved = [(first.observe(a), second.observe(b)) for a, b in pairs]
    for one, scores in zip(apart, zip(*interleaved, strict=True), strict=True):
        assert torch.equal(torch.cat(scores), one)


@every_predictor
def test_source_is_asked_for_where_it_is_used(name, settings, network, source, target) -> None:
    predictor = build(name, settings)
    if predictor.needs_source:
        other = Source(source.features, source.labels.roll(1), source.domains)
        changed = run(predictor.prepare(network, other), target)
        assert not torch.equal(changed, run(predictor.prepare(network, source), target))
    else:
        assert torch.equal(
            run(predictor.prepare(network, None), target), run(predictor.prepare(network, source), target)
        )


def test_argmax_is_the_network(network, target) -> None:
    assert torch.equal(build("argmax", {}).prepare(network, None).observe(target), network(target))


@pytest.mark.gpu
@every_predictor
def test_an_accelerator_gives_the_same_scores(name, settings, network, source, target) -> None:
    predictor = build(name, settings)
    expected = run(predictor.prepare(network, source), target)
    there = Source(source.features.cuda(), source.labels.cuda(), source.domains.cuda())
    scores = run(predictor.prepare(network.cuda(), there), target.cuda())
    assert scores.is_cuda
    torch.testing.assert_close(scores.cpu(), expected, rtol=1e-4, atol=1e-4)
