"""What holds for every predictor in the registry, by default and in its corners."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.adapters.levi import LEVI
from dgbench.algorithms.slots import Predictor, Source, Stream
from dgbench.core import registry
from dgbench.models.consistency import Consistency
from dgbench.models.network import Backbone, Network

CLASSES, DIM, DOMAINS = 4, 6, 3
BATCH, COUNT, EARLY = 8, 20, 16
"""Examples of a batch, of a stream, whose last batch is not a full one, and of the full ones."""
FEW = 4
"""Examples that are shown one by one."""
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
    ("lame", {"k": 1}),
    ("lame", {"k": 10_000, "steps": 1}),
    ("tent_head", {"lr": 0.0}),
    ("tent_head", {"lr": 0.1, "steps": 2, "timing": "after"}),
    ("tent_bn", {"lr": 0.0}),
    ("tent_bn", {"lr": 0.1, "steps": 2, "timing": "after"}),
    ("tast", {"members": 1, "k": 1, "lr": 0.0}),
    ("tast", {"filter_size": 3, "k": 8, "lr": 0.1, "steps": 2}),
    ("tast_bn", {"supports": 1, "k": 1, "lr": 0.0}),
    ("tast_bn", {"supports": 13, "k": 8, "lr": 0.1, "steps": 2}),
    ("drm_retrain", {"threshold": 1.1}),
    ("drm_retrain", {"threshold": 0.5, "label": "own", "lr": 0.1, "steps": 2, "gamma": "hard"}),
    ("drm_retrain", {"threshold": 0.3, "label": "uniform"}),
    ("drm_retrain", {"threshold": 0.3, "label": "last", "gamma": 0.0}),
    ("drm_full", {"threshold": 1.1}),
    ("drm_full", {"threshold": 0.5, "label": "own", "lr": 0.1, "steps": 2, "gamma": "hard"}),
    ("drm_full", {"threshold": 0.3, "label": "last", "gamma": 0.0}),
    ("adanpc_bn", {"k": 1, "threshold": 2.0, "lr": 0.0}),
    ("adanpc_bn", {"k": 7, "threshold": 0.0, "lr": 0.1, "steps": 2}),
    ("adanpc_bn", {"k": 7, "threshold": 0.0, "lr": 0.1, "steps": 2, "compat": "released"}),
    ("pl_head", {"threshold": 1.0}),
    ("pl_head", {"threshold": 0.5, "lr": 0.1, "steps": 2, "timing": "after"}),
    ("edge_branch", {"weight": 0.0}),
    ("edge_branch", {"weight": 1.0}),
    ("bn_adapt", {"prior": 16.0}),
    ("tent", {"lr": 0.0, "statistics": "source"}),
    ("tent", {"lr": 0.0}),
    ("tent", {"lr": 0.1, "statistics": "source", "timing": "after"}),
    ("tent", {"lr": 0.1, "steps": 2}),
    ("itta", {"lr": 0.0}),
    ("itta", {"lr": 0.1, "bank": 3, "steps": 2, "timing": "before"}),
    ("itta", {"lr": 0.1, "compat": "released"}),
    ("pl", {"threshold": 1.0}),
    ("pl", {"threshold": 0.4, "lr": 0.1, "steps": 2, "timing": "after"}),
    ("shot_im", {"lr": 0.0}),
    ("shot_im", {"theta": 0.1, "lr": 0.1, "steps": 2, "timing": "after"}),
]
NOTHING_MOVES: list[tuple[str, dict[str, Any]]] = [
    ("tent_head", {"lr": 0.0, "steps": 2, "timing": "after"}),
    ("pl_head", {"threshold": 1.0, "lr": 0.1}),
    ("edge_branch", {"weight": 1.0}),
    ("bn_adapt", {"prior": 1e12}),
    ("tent", {"lr": 0.0, "statistics": "source"}),
    ("tent", {"lr": 0.0, "statistics": "source", "steps": 2, "timing": "after"}),
    ("pl", {"threshold": 1.0, "lr": 0.1}),
    ("pl", {"threshold": 0.0, "lr": 0.0}),
    ("shot_im", {"theta": 0.1, "lr": 0.0}),
    ("itta", {"lr": 0.0, "steps": 2}),
    ("itta", {"lr": 0.0, "timing": "before"}),
]
Case = tuple[str, dict[str, Any], str]


def on_networks(cases: list[tuple[str, dict[str, Any]]]) -> list[Case]:
    """Each on a plain network, and if it sees images, on one with a side network, whose backbone has no gradients."""
    seeing = [case for case in cases if registry.load("predictor", case[0]).sees == "images"]
    return [(*case, "plain") for case in cases] + [(*case, "levi") for case in seeing]


DEFAULTS = [(name, {}) for name in sorted(registry.BUILT_IN["predictor"])]
MOVING: list[Case] = [
    ("itta", {"compat": "released"}, "levi"),
    ("tent", {"lr": 0.1, "steps": 2}, "levi"),
    ("pl", {"threshold": 0.4, "lr": 0.1, "steps": 2, "timing": "after"}, "levi"),
    ("shot_im", {"theta": 0.1, "lr": 0.1, "steps": 2, "timing": "after"}, "levi"),
]
CASES = on_networks(DEFAULTS) + [(*case, "plain") for case in CORNERS] + MOVING
"""What a predictor's settings change depends little on the network: beside a side network some that move are tried."""


def every(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("tried", cases, indirect=True, ids=lambda case: "-".join(map(str, case)))


every_predictor = every(CASES)


def build(name: str, settings: dict[str, Any]) -> Predictor:
    return registry.load("predictor", name)(**settings)


def shown(sees: str, rows: Tensor) -> Tensor:
    """Rows ``[n, DIM]`` as features, or as images of 4 x 4 pixels."""
    return rows.repeat(1, 8).view(-1, 3, 4, 4) if sees == "images" else rows


def two_stages(width: int) -> nn.Sequential:
    """What a side network asks of its small one, in two thirds of the layers."""
    layers = [nn.Conv2d(3, 8, 3), nn.GroupNorm(4, 8), nn.ReLU(), nn.Conv2d(8, width, 2), nn.ReLU(), nn.Flatten()]
    module = nn.Sequential(*layers)
    module.feature_info = [{"module": "2", "num_chs": 8}, {"module": "4", "num_chs": width}]  # type: ignore[assignment]
    return module


def toy_network(sees: str, kind: str = "plain") -> Network:
    return copy.deepcopy(_toy_network(sees, kind))


@cache
def _toy_network(sees: str, kind: str) -> Network:
    torch.default_generator.manual_seed(0)  # that of all devices notes from where it was called, which takes a while
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, DIM), nn.LayerNorm(DIM)]
    module = nn.Sequential(*layers) if sees == "images" else nn.Identity()
    module.feature_info = [{"module": "0", "num_chs": 8}, {"module": "2", "num_chs": 8}]
    network = Network(Backbone("toy", module, DIM, 1, (0, 0, 0), (1, 1, 1)), CLASSES)
    network.consistency = Consistency(2, DIM)
    if kind == "levi":
        LEVI(width=DIM).attach(network, DOMAINS)
        assert network.side is not None
        network.side.small = two_stages(96)
    network.domain_heads = nn.Linear(DIM, DOMAINS * CLASSES)
    for head in (network.head, network.domain_heads):  # trained heads are sure of something; some predictors go by that
        head.weight.mul_(4 if kind == "plain" else 40)
    return network.requires_grad_(False).eval()


def toy_source() -> Source:
    draw = torch.Generator().manual_seed(1)
    y = torch.randint(CLASSES, (40,), generator=draw)
    means = torch.randn(CLASSES, DIM, generator=draw)
    return Source(means[y] + torch.randn(40, DIM, generator=draw), y, torch.randint(DOMAINS, (40,), generator=draw))


def toy_target(sees: str) -> Tensor:
    return shown(sees, 2 * torch.randn(COUNT, DIM, generator=torch.Generator().manual_seed(2)))


def run(stream: Stream, target: Tensor, batch: int = BATCH) -> Tensor:
    return torch.cat([stream.observe(chunk) for chunk in target.split(batch)])


@dataclass(frozen=True)
class Tried:
    """A predictor, and what a stream of it said that nobody reset. All tests of a predictor share it."""

    name: str
    settings: dict[str, Any]
    kind: str
    predictor: Predictor
    network: Network
    source: Source
    target: Tensor
    scores: Tensor

    def fresh(self) -> Stream:
        return self.predictor.prepare(self.network, self.source)


@pytest.fixture(scope="module")
def tried(request: pytest.FixtureRequest) -> Tried:
    name, settings, kind = request.param
    predictor = build(name, settings)
    with torch.no_grad():
        network, source, target = toy_network(predictor.sees, kind), toy_source(), toy_target(predictor.sees)
        scores = run(predictor.prepare(network, source), target)
    return Tried(name, settings, kind, predictor, network, source, target, scores)


@every_predictor
def test_scores_are_what_they_are_declared(tried: Tried) -> None:
    assert tried.scores.shape == (COUNT, CLASSES)
    assert tried.scores.dtype == torch.float32
    if tried.predictor.scores == "probabilities":
        assert tried.scores.min() >= 0
        torch.testing.assert_close(tried.scores.sum(1), torch.ones(COUNT), rtol=0, atol=1e-4)  # AdaNPC adds 1e-5 each


@every_predictor
def test_reset_brings_back_the_same_bits_and_state_stays_below_twice_the_examples(tried: Tried) -> None:
    stream = tried.fresh()
    run(stream, tried.target)
    before = state_bytes(stream)
    run(stream, tried.target)
    row = (DIM * 4) + 8
    times = tried.settings.get("steps", 1) if tried.settings.get("compat") == "released" else 1
    seen = len(tried.source.labels) + 2 * times * COUNT if tried.name.startswith("adanpc") else 0
    assert state_bytes(stream) <= before + 2 * seen * row
    stream.reset(7)
    assert torch.equal(run(stream, tried.target), tried.scores)


def state_bytes(held: Any, seen: set[int] | None = None) -> int:
    """Of the tensors in an object, and in what it holds, each once."""
    seen = set() if seen is None else seen
    if id(held) in seen:
        return 0
    seen.add(id(held))
    if isinstance(held, Tensor):
        return held.numel() * held.element_size()
    inside = held.values() if isinstance(held, dict) else held if isinstance(held, list | tuple) else None
    inside = vars(held).values() if inside is None and hasattr(held, "__dict__") else inside
    return 0 if inside is None or isinstance(held, type) else sum(state_bytes(one, seen) for one in inside)


@every_predictor
def test_inductive_predictions_depend_on_their_own_example_alone(tried: Tried) -> None:
    stream, target = tried.fresh(), tried.target

    def permuted() -> Tensor:
        order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(3))
        return run(stream, target[order])[order.argsort()]

    def among_others() -> Tensor:
        others = target.clone()
        others[1::2] = -others[1::2]
        return run(stream, others)[::2]

    others = [
        (permuted, slice(None)),
        (among_others, slice(None, None, 2)),
        (lambda: run(stream, target[:FEW], batch=1), slice(FEW)),
    ]

    def is_the_same(predict: Callable[[], Tensor], rows: slice) -> bool:
        stream.reset(0)
        return torch.allclose(tried.scores[rows], predict(), atol=1e-5)

    if tried.predictor.track == "inductive":
        assert all(is_the_same(*other) for other in others)
    else:
        told = any(not is_the_same(*other) for other in others)
        assert told, "declared online, but nothing in this stream tells it from an inductive predictor"


@every_predictor
def test_nothing_but_what_is_predicted_is_observed(tried: Tried) -> None:
    assert list(inspect.signature(tried.fresh().observe).parameters) == [tried.predictor.sees]


@every_predictor
def test_a_stream_is_what_it_has_seen(tried: Tried) -> None:
    """The past does not know the future, nor whether a fresh stream was reset; and what a stream has come to know is in
    it, so that a copy in the middle goes on as the stream would have."""
    stream = tried.fresh()
    stream.observe(tried.target[:3])
    stream.reset(7)
    first = run(stream, tried.target[:EARLY])
    elsewhere, onwards = copy.deepcopy(stream), copy.deepcopy(stream)
    run(elsewhere, 10 - tried.target[EARLY:])
    assert torch.equal(first, tried.scores[:EARLY])
    assert torch.equal(run(stream, tried.target[EARLY:]), tried.scores[EARLY:]), "and copies leave the stream alone"
    assert torch.equal(run(onwards, tried.target[EARLY:]), tried.scores[EARLY:])


@every(on_networks(NOTHING_MOVES))
def test_where_nothing_moves_it_is_the_plain_prediction(tried: Tried) -> None:
    torch.testing.assert_close(tried.scores, tried.network(tried.target), rtol=1e-4, atol=1e-4)


MOVERS: dict[str, dict[str, Any]] = {
    "tent": {}, "pl": {"threshold": 0.0}, "shot_im": {}, "tast_bn": {}, "drm_full": {"threshold": 0.0},
}  # fmt: skip


@every(on_networks([(name, settings | {"lr": 0.1}) for name, settings in MOVERS.items()]))
def test_whatever_a_stream_says_it_moves_moves(tried: Tried) -> None:
    stream, name = tried.predictor.prepare(tried.network, None), tried.name
    run(stream, tried.target)
    own = dict(tried.network.named_parameters())
    stay = [key for key, now in zip(stream.names, stream.descent.weights, strict=True) if torch.equal(own[key], now)]
    assert stay == []
    assert ("head.weight" in stream.names) == (name in {"pl", "drm_full"}), "the head of Tent and of SHOT stays"
    assert ("domain_heads.weight" in stream.names) == (name == "drm_full")


@every_predictor
def test_network_and_source_are_left_alone(tried: Tried) -> None:
    """By all that the tests above have done with them."""
    sees = tried.predictor.sees
    weights, source, target = toy_network(sees, tried.kind).state_dict(), toy_source(), toy_target(sees)
    now = tried.network.state_dict()
    assert weights.keys() == now.keys()
    assert all(torch.equal(weights[key], value) for key, value in now.items())
    assert torch.equal(tried.source.features, source.features)
    assert torch.equal(tried.source.labels, source.labels)
    assert torch.equal(tried.target, target)


@every_predictor
def test_reset_before_each_batch_makes_their_order_irrelevant(tried: Tried) -> None:
    stream = tried.fresh()

    def episodic(batches: list[Tensor]) -> list[Tensor]:
        scores = []
        for batch in batches:
            stream.reset(0)
            scores.append(stream.observe(batch))
        return scores

    batches = [tried.target[:BATCH], tried.target[EARLY:]]
    forwards, backwards = episodic(batches), episodic(batches[::-1])[::-1]
    assert all(torch.equal(a, b) for a, b in zip(forwards, backwards, strict=True))


ODD = {
    "identical": [torch.ones(5, DIM)] * 2,
    "one": [torch.ones(1, DIM)],
    "zero": [torch.zeros(4, DIM)] * 2,
    "certain": [1e4 * torch.eye(DIM)] * 2,
    "tiny": [1e-20 * torch.eye(DIM)] * 2,
}
"""Batches of streams."""


@every_predictor
def test_odd_batches_give_finite_scores(tried: Tried) -> None:
    stream = tried.fresh()
    for kind, batches in ODD.items():
        stream.reset(0)
        for batch in batches:
            assert torch.isfinite(stream.observe(shown(tried.predictor.sees, batch))).all(), kind


@every_predictor
def test_two_streams_side_by_side_do_not_meet(tried: Tried) -> None:
    """The second is one batch behind the first."""
    first, second = tried.fresh(), tried.fresh()
    ahead, behind = [], []
    for batch, before in zip([*tried.target.split(BATCH), None], [None, *tried.target.split(BATCH)], strict=True):
        ahead += [] if batch is None else [first.observe(batch)]
        behind += [] if before is None else [second.observe(before)]
    assert torch.equal(torch.cat(ahead), tried.scores)
    assert torch.equal(torch.cat(behind), tried.scores)


@every_predictor
def test_source_is_asked_for_where_it_is_used(tried: Tried) -> None:
    predictor, source = tried.predictor, tried.source
    if predictor.needs_source:
        others = (Source(source.features, source.labels.roll(by), source.domains.roll(by)) for by in range(1, 8))
        others = (run(predictor.prepare(tried.network, other), tried.target) for other in others)
        assert any(not torch.equal(other, tried.scores) for other in others)
    else:
        assert torch.equal(run(predictor.prepare(tried.network, None), tried.target), tried.scores)


def test_argmax_is_the_network() -> None:
    network, target = toy_network("features"), toy_target("features")
    assert torch.equal(build("argmax", {}).prepare(network, None).observe(target), network(target))


@pytest.mark.gpu
@every_predictor
def test_an_accelerator_gives_the_same_scores(tried: Tried) -> None:
    source = tried.source
    there = Source(source.features.cuda(), source.labels.cuda(), source.domains.cuda())
    network = copy.deepcopy(tried.network).cuda()
    scores = run(tried.predictor.prepare(network, there), tried.target.cuda())
    assert scores.is_cuda
    torch.testing.assert_close(scores.cpu(), tried.scores, rtol=1e-4, atol=1e-4)
