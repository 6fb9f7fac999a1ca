"""What holds for every predictor in the registry, by default and in its corners."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
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
    ("tent_head", {"lr": 0.1, "steps": 3, "timing": "after"}),
    ("tent_bn", {"lr": 0.0}),
    ("tent_bn", {"lr": 0.1, "steps": 3, "timing": "after"}),
    ("tast", {"members": 1, "k": 1, "lr": 0.0}),
    ("tast", {"filter_size": 3, "k": 8, "lr": 0.1, "steps": 3}),
    ("tast_bn", {"supports": 1, "k": 1, "lr": 0.0}),
    ("tast_bn", {"supports": 13, "k": 8, "lr": 0.1, "steps": 3}),
    ("drm_retrain", {"threshold": 1.1}),
    ("drm_retrain", {"threshold": 0.5, "label": "own", "lr": 0.1, "steps": 3, "gamma": "hard"}),
    ("drm_retrain", {"threshold": 0.3, "label": "uniform"}),
    ("drm_retrain", {"threshold": 0.3, "label": "last", "gamma": 0.0}),
    ("drm_full", {"threshold": 1.1}),
    ("drm_full", {"threshold": 0.5, "label": "own", "lr": 0.1, "steps": 3, "gamma": "hard"}),
    ("drm_full", {"threshold": 0.3, "label": "last", "gamma": 0.0}),
    ("adanpc_bn", {"k": 1, "threshold": 2.0, "lr": 0.0}),
    ("adanpc_bn", {"k": 7, "threshold": 0.0, "lr": 0.1, "steps": 3}),
    ("adanpc_bn", {"k": 7, "threshold": 0.0, "lr": 0.1, "steps": 3, "compat": "released"}),
    ("pl_head", {"threshold": 1.0}),
    ("pl_head", {"threshold": 0.5, "lr": 0.1, "steps": 3, "timing": "after"}),
    ("edge_branch", {"weight": 0.0}),
    ("edge_branch", {"weight": 1.0}),
    ("bn_adapt", {"prior": 16.0}),
    ("tent", {"lr": 0.0, "statistics": "source"}),
    ("tent", {"lr": 0.0}),
    ("tent", {"lr": 0.1, "statistics": "source", "timing": "after"}),
    ("tent", {"lr": 0.1, "steps": 3}),
    ("itta", {"lr": 0.0}),
    ("itta", {"lr": 0.1, "bank": 3, "steps": 2, "timing": "before"}),
    ("itta", {"lr": 0.1, "compat": "released"}),
    ("pl", {"threshold": 1.0}),
    ("pl", {"threshold": 0.4, "lr": 0.1, "steps": 3, "timing": "after"}),
    ("shot_im", {"lr": 0.0}),
    ("shot_im", {"theta": 0.1, "lr": 0.1, "steps": 2, "timing": "after"}),
]
NOTHING_MOVES: list[tuple[str, dict[str, Any]]] = [
    ("tent_head", {"lr": 0.0, "steps": 3, "timing": "after"}),
    ("pl_head", {"threshold": 1.0, "lr": 0.1}),
    ("edge_branch", {"weight": 1.0}),
    ("bn_adapt", {"prior": 1e12}),
    ("tent", {"lr": 0.0, "statistics": "source"}),
    ("tent", {"lr": 0.0, "statistics": "source", "steps": 3, "timing": "after"}),
    ("pl", {"threshold": 1.0, "lr": 0.1}),
    ("pl", {"threshold": 0.0, "lr": 0.0}),
    ("shot_im", {"theta": 0.1, "lr": 0.0}),
    ("itta", {"lr": 0.0, "steps": 3}),
    ("itta", {"lr": 0.0, "timing": "before"}),
]
Case = tuple[str, dict[str, Any], str]


def on_networks(cases: list[tuple[str, dict[str, Any]]]) -> list[Case]:
    """Each on a plain network, and if it sees images, on one with a side network, whose backbone has no gradients."""
    seeing = [case for case in cases if registry.load("predictor", case[0]).sees == "images"]
    return [(*case, "plain") for case in cases] + [(*case, "levi") for case in seeing]


NAMES = ("name", "settings", "kind")
DEFAULTS = [(name, {}) for name in sorted(registry.BUILT_IN["predictor"])]
MOVING: list[Case] = [
    ("itta", {"compat": "released"}, "levi"),
    ("tent", {"lr": 0.1, "steps": 3}, "levi"),
    ("pl", {"threshold": 0.4, "lr": 0.1, "steps": 3, "timing": "after"}, "levi"),
    ("shot_im", {"theta": 0.1, "lr": 0.1, "steps": 2, "timing": "after"}, "levi"),
]
CASES = on_networks(DEFAULTS) + [(*case, "plain") for case in CORNERS] + MOVING
"""What a predictor's settings change depends little on the network: beside a side network some that move are tried."""
every_predictor = pytest.mark.parametrize(NAMES, CASES, ids=lambda value: str(value))


def build(name: str, settings: dict[str, Any]) -> Predictor:
    return registry.load("predictor", name)(**settings)


@pytest.fixture
def sees(request: pytest.FixtureRequest) -> str:
    """What the predictor of a test is shown."""
    name = request.node.callspec.params["name"] if hasattr(request.node, "callspec") else "argmax"
    return str(registry.load("predictor", name).sees)


@pytest.fixture
def shown(sees: str) -> Callable[[Tensor], Tensor]:
    """Rows ``[n, DIM]`` as features, or as images of 4 x 4 pixels."""
    return (lambda rows: rows.repeat(1, 8).view(-1, 3, 4, 4)) if sees == "images" else (lambda rows: rows)


@pytest.fixture
def kind() -> str:
    """Of network, unless a test says which."""
    return "plain"


@pytest.fixture
def network(sees: str, kind: str) -> Network:
    torch.default_generator.manual_seed(0)  # that of all devices notes from where it was called, which takes a while
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, DIM), nn.LayerNorm(DIM)]
    module = nn.Sequential(*layers) if sees == "images" else nn.Identity()
    module.feature_info = [{"module": "0", "num_chs": 8}, {"module": "2", "num_chs": 8}]
    network = Network(Backbone("toy", module, DIM, 1, (0, 0, 0), (1, 1, 1)), CLASSES)
    network.consistency = Consistency(2, DIM)
    if kind == "levi":
        LEVI(width=DIM).attach(network, DOMAINS)
    network.domain_heads = nn.Linear(DIM, DOMAINS * CLASSES)
    for head in (network.head, network.domain_heads):  # trained heads are sure of something; some predictors go by that
        head.weight.mul_(4 if kind == "plain" else 40)
    return network.requires_grad_(False).eval()


@pytest.fixture
def source() -> Source:
    draw = torch.Generator().manual_seed(1)
    y = torch.randint(CLASSES, (40,), generator=draw)
    means = torch.randn(CLASSES, DIM, generator=draw)
    return Source(means[y] + torch.randn(40, DIM, generator=draw), y, torch.randint(DOMAINS, (40,), generator=draw))


@pytest.fixture
def target(shown: Callable[[Tensor], Tensor]) -> Tensor:
    return shown(2 * torch.randn(COUNT, DIM, generator=torch.Generator().manual_seed(2)))


def run(stream: Stream, target: Tensor, batch: int = BATCH) -> Tensor:
    return torch.cat([stream.observe(chunk) for chunk in target.split(batch)])


@every_predictor
def test_scores_are_what_they_are_declared(name, settings, network, source, target) -> None:
    predictor = build(name, settings)
    scores = run(predictor.prepare(network, source), target)
    assert scores.shape == (COUNT, CLASSES)
    assert scores.dtype == torch.float32
    if predictor.scores == "probabilities":
        assert scores.min() >= 0
        torch.testing.assert_close(scores.sum(1), torch.ones(COUNT), rtol=0, atol=1e-4)  # AdaNPC adds 1e-5 to each


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
def test_inductive_predictions_depend_on_their_own_example_alone(name, settings, network, source, target) -> None:
    predictor = build(name, settings)
    stream = predictor.prepare(network, source)
    together = run(stream, target)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(3))
    stream.reset(0)
    permuted = torch.empty_like(together)
    permuted[order] = run(stream, target[order])
    stream.reset(0)
    single = run(stream, target[:FEW], batch=1)
    others = target.clone()
    others[1::2] = -others[1::2]
    stream.reset(0)
    among_others = run(stream, others)[::2]
    same = [
        torch.allclose(together, permuted, atol=1e-5),
        torch.allclose(together[:FEW], single, atol=1e-5),
        torch.allclose(together[::2], among_others, atol=1e-5),
    ]
    if predictor.track == "inductive":
        assert all(same)
    else:
        assert not all(same), "declared online, but nothing in this stream tells it from an inductive predictor"


@every_predictor
def test_the_past_does_not_know_the_future(name, settings, network, source, target) -> None:
    """Nor whether a fresh stream was reset."""
    predictor = build(name, settings)
    whole = run(predictor.prepare(network, source), target)
    altered = torch.cat([target[:EARLY], 10 - target[EARLY:]])
    reset = predictor.prepare(network, source)
    reset.reset(7)
    assert torch.equal(run(reset, altered)[:EARLY], whole[:EARLY])
    assert torch.equal(run(predictor.prepare(network, source), target[:EARLY]), whole[:EARLY])


@every_predictor
def test_nothing_but_what_is_predicted_is_observed(name, settings, sees, network, source) -> None:
    stream = build(name, settings).prepare(network, source)
    assert list(inspect.signature(stream.observe).parameters) == [sees]


@every_predictor
def test_a_copy_in_the_middle_goes_on_as_the_stream_would(name, settings, network, source, target) -> None:
    """What a stream has come to know is in it: nothing lies elsewhere."""
    stream = build(name, settings).prepare(network, source)
    stream.reset(7)
    first = run(stream, target[:EARLY])
    copied = copy.deepcopy(stream)
    rest = run(stream, target[EARLY:])
    assert torch.equal(run(copied, target[EARLY:]), rest)
    stream.reset(7)
    assert torch.equal(run(stream, target[:EARLY]), first), "and a copy leaves the stream alone"


@pytest.mark.parametrize(NAMES, on_networks(NOTHING_MOVES), ids=lambda value: str(value))
def test_where_nothing_moves_it_is_the_plain_prediction(name, settings, network, source, target) -> None:
    scores = run(build(name, settings).prepare(network, source), target)
    torch.testing.assert_close(scores, network(target), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    NAMES,
    on_networks(
        [("tent", {}), ("pl", {"threshold": 0.0}), ("shot_im", {}), ("tast_bn", {}), ("drm_full", {"threshold": 0.0})]
    ),
    ids=lambda value: str(value),
)
def test_whatever_a_stream_says_it_moves_moves(name, settings, network, target) -> None:
    stream = build(name, settings | {"lr": 0.1}).prepare(network, None)
    run(stream, target)
    own = dict(network.named_parameters())
    stay = [key for key, now in zip(stream.names, stream.descent.weights, strict=True) if torch.equal(own[key], now)]
    assert stay == []
    assert ("head.weight" in stream.names) == (name in {"pl", "drm_full"}), "the head of Tent and of SHOT stays"
    assert ("domain_heads.weight" in stream.names) == (name == "drm_full")


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
    run(stream, target)
    before = state_bytes(stream)
    for _ in range(2):
        run(stream, target)
    row = (DIM * 4) + 8
    times = settings.get("steps", 1) if settings.get("compat") == "released" else 1
    seen = len(source.labels) + 3 * times * len(target) if name.startswith("adanpc") else 0
    assert state_bytes(stream) <= before + 2 * seen * row


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
def test_reset_before_each_batch_makes_their_order_irrelevant(name, settings, network, source, target) -> None:
    stream = build(name, settings).prepare(network, source)

    def episodic(batches: list[Tensor]) -> list[Tensor]:
        scores = []
        for batch in batches:
            stream.reset(0)
            scores.append(stream.observe(batch))
        return scores

    batches = list(target.split(BATCH))
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
def test_odd_batches_give_finite_scores(name, settings, network, source, shown) -> None:
    for kind, batches in ODD.items():
        stream = build(name, settings).prepare(network, source)
        for batch in batches:
            assert torch.isfinite(stream.observe(shown(batch))).all(), kind


@every_predictor
def test_two_streams_side_by_side_do_not_meet(name, settings, network, source, target) -> None:
    predictor = build(name, settings)
    first, second = predictor.prepare(network, source), predictor.prepare(network, source)
    apart = run(first, target), run(second, -target)
    first.reset(0)
    second.reset(0)
    pairs = zip(target.split(BATCH), (-target).split(BATCH), strict=True)
    interleaved = [(first.observe(a), second.observe(b)) for a, b in pairs]
    for one, scores in zip(apart, zip(*interleaved, strict=True), strict=True):
        assert torch.equal(torch.cat(scores), one)


@every_predictor
def test_source_is_asked_for_where_it_is_used(name, settings, network, source, target) -> None:
    predictor = build(name, settings)
    if predictor.needs_source:
        expected = run(predictor.prepare(network, source), target)
        others = [Source(source.features, source.labels.roll(by), source.domains.roll(by)) for by in range(1, 8)]
        assert any(not torch.equal(run(predictor.prepare(network, other), target), expected) for other in others)
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
