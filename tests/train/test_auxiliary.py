"""What an objective keeps between steps: it moves once a step, is resumed to the bit, and leaves with nobody."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Batch, Closure, Forward
from dgbench.core import registry
from dgbench.core.decoding import AS_LOADERS
from dgbench.core.recipe import build_part, describe
from dgbench.core.registry import BUILT_IN
from dgbench.data.domain import Dataset, Domain
from dgbench.models.effective import effective_state, load_effective
from dgbench.models.network import Backbone, Network
from dgbench.models.reseed import reseed
from dgbench.train.loop import begun
from dgbench.train.parts import Parts
from dgbench.train.sources import Features, Sources
from dgbench.train.spec import TrainingSpec
from dgbench.train.together import train_together
from dgbench.train.training import Training

DIM, WIDTH, CLASSES, DOMAINS, ROWS = 6, 5, 3, 3, 30
ADAPTERS = {"mtl": "mtl"}
"""Of objectives that train more than the shared head."""
KEEPING = [
    name
    for name in BUILT_IN["objective"]
    if registry.load("objective", name).attach is not Objective.attach  # those that keep something
    and (name in ADAPTERS or not registry.load("objective", name)().needs())
]


def _follower(network: Network) -> Tensor:
    return network.auxiliary.get_parameter("follower.weight")


@dataclass(frozen=True)
class Toy(Objective):
    """Keeps the sum of all losses that steps began with, and a weight that follows the mean logit."""

    rate: float = 1.0
    steps: int = 1

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        network.auxiliary.register_buffer("total", torch.zeros(()))
        network.auxiliary.register_buffer("passes", torch.zeros(()))
        network.auxiliary.add_module("follower", nn.Linear(1, 1))

    def loss(self, forward: Forward) -> Tensor:
        return forward.cross_entropy.mean() + _follower(forward.network).sum()

    def auxiliary_loss(self, forward: Forward) -> Tensor:
        assert not forward.logits.requires_grad
        return (_follower(forward.network) - forward.logits.mean()).square().sum() + forward.network.head.weight.sum()

    def auxiliary_rate(self) -> float:
        return self.rate

    def auxiliary_steps(self) -> int:
        return self.steps

    def remember(self, forward: Forward) -> None:
        assert not torch.is_grad_enabled()
        forward.network.auxiliary.get_buffer("total").add_(forward.cross_entropy.mean())
        forward.network.auxiliary.get_buffer("passes").add_(1)


def _network() -> Network:
    reseed(0)
    backbone = Backbone("none", nn.Sequential(nn.Linear(DIM, WIDTH), nn.Tanh()), WIDTH, 4, (0.5,) * 3, (0.5,) * 3)
    return Network(backbone, CLASSES)


def _begun(
    folder: Path, objective: Objective, name: str = "toy", optimizer: str = "adamw", *, steps: int = 6, **given: Any
) -> Training:
    """Six steps with checkpoints after the third and the sixth."""
    chosen: dict[Any, Any] = {
        "sampler": ("balanced", {"augmentation": "none"}),
        "adapter": (ADAPTERS.get(name, "full"), {}),
        "optimizer": (optimizer, {"lr": 0.01} | given),
    }
    parts = {slot: build_part(slot, part, fields, "test") for slot, (part, fields) in chosen.items()}
    described = {slot: describe(slot, part, parts[slot]) for slot, (part, _) in chosen.items()}
    described["objective"] = describe("objective", name, objective)
    spec = TrainingSpec(
        dataset="toy", manifest="", sources=("a", "b", "c"), trial=0, validation=0.2, test=0.0, official=False, size=4,
        resize="stretch", decoding=AS_LOADERS, backbone="none", weights=None, pretrained_on=None, reference=None,
        parts=described, steps=steps, checkpoints=2, batch_per_domain=8, precision="float32", norm_mode="train",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    rows = np.arange(ROWS)
    domains = [Domain(n, np.zeros((ROWS, 4, 4, 3), np.uint8), rows % CLASSES, rows) for n in "abc"]
    features = [rng.normal(size=(ROWS, DIM)) + 6 * np.eye(CLASSES, DIM)[rows % CLASSES] for _ in domains]
    inputs = {d.name: Features(torch.from_numpy(f.astype(np.float32))) for d, f in zip(domains, features, strict=True)}
    sources = Sources(spec, Dataset("toy", tuple("xyz"), tuple(domains), ""), inputs, torch.device("cpu"))
    return begun(spec, Parts(objective=objective, **parts), _network(), sources, folder)


class _StoppedError(BaseException):
    pass


def _trained(training: Training, stop: int | None = None) -> dict[str, Tensor]:
    """The network's state at the end, or where it was stopped."""

    def on_step(step: int) -> None:
        if step == stop:
            raise _StoppedError

    with contextlib.suppress(_StoppedError):
        assert train_together([training], on_step) == {}
    return {name: tensor.clone() for name, tensor in training.network.state_dict().items()}


OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("adamw", {}),
    ("sgd", {}),
    ("sam", {}),
    ("asam", {"base": "sgd"}),
    ("udim", {"sam_phase": 0.5}),
]


@pytest.mark.parametrize(("optimizer", "given"), OPTIMIZERS)
def test_it_moves_once_a_step_whatever_the_passes(tmp_path: Path, optimizer: str, given: dict[str, Any]) -> None:
    training = _begun(tmp_path, Toy(), optimizer=optimizer, **given)
    batches = training.sources.batches(training.parts.sampler, range(3))
    with batches as made:
        for step, batch in enumerate(made):
            before = training.network.auxiliary.get_buffer("total").clone()
            with torch.no_grad():
                logits = training.network(batch.x)
                loss = nn.functional.cross_entropy(logits, batch.y)
                expected = _follower(training.network).detach().clone()
            training.take(step, batch)
            after = training.network.auxiliary.get_buffer("total")
            torch.testing.assert_close(after, before + loss, msg="by the loss at the weights before the step")
            moved = _follower(training.network)
            assert (moved - expected).sign() == (logits.mean() - expected).sign()
    assert training.network.auxiliary.get_buffer("passes") == 3


def test_its_weights_descend_their_own_loss_at_their_own_rate(tmp_path: Path) -> None:
    training = _begun(tmp_path, Toy(rate=5.0, steps=2), optimizer="sgd", momentum=0.0)
    batch = training.sources.batch(training.parts.sampler, 0)
    weight = _follower(training.network)
    with torch.no_grad():
        goal, expected = training.network(batch.x).mean(), weight.clone()
        for _ in range(2):
            expected = expected - 0.01 * 5.0 * 2 * (expected - goal)
    training.take(0, batch)
    torch.testing.assert_close(weight.detach(), expected)
    assert Objective.auxiliary_rate(Toy()) == 1, "the network's, where nothing else is said"


def test_optimizers_and_clipping_see_the_network_alone(tmp_path: Path) -> None:
    training = _begun(tmp_path, Toy(), optimizer="sam")
    owned = {id(p) for p in training.network.auxiliary.parameters()}
    assert owned
    assert not owned & {id(p) for p in training.parameters}
    assert not owned & {id(p) for group in training.base.param_groups for p in group["params"]}


def test_effective_weights_are_without_it(tmp_path: Path) -> None:
    training = _begun(tmp_path, Toy())
    _trained(training)
    state = effective_state(training.network)
    assert state.keys() == _network().state_dict().keys()
    load_effective(_network(), state)
    assert not any("auxiliary" in name for name in training.recorder.moving)


def test_a_pass_over_a_part_of_the_batch_is_none_that_it_moves_by() -> None:
    network = _network()
    batch = Batch(torch.randn(4, DIM), torch.arange(4) % 3, torch.tensor([0, 0, 1, 1]), torch.arange(4))
    half = Batch(batch.x[:2], batch.y[:2], batch.domain[:2], batch.index[:2])
    closure = Closure(network, lambda forward: forward.logits.sum(), batch, step=0, steps=1, domains=2)
    closure.forward(half)
    assert closure.seen is None
    assert torch.equal(closure.whole().features, network.features(batch.x))
    assert not closure.whole().features.requires_grad
    closure.forward(batch.replace(x=batch.x + 1))
    assert torch.equal(closure.whole().features, network.features(batch.x))


def test_it_starts_alike_in_all_trainings_that_are_compared(tmp_path: Path) -> None:
    """Whatever an adapter or another objective has drawn before."""
    first = _begun(tmp_path / "1", Toy()).network.auxiliary.state_dict()
    torch.manual_seed(5)
    second = _begun(tmp_path / "2", Toy(rate=2.0), optimizer="sam").network.auxiliary.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def _objective(name: str) -> Objective:
    return Toy(steps=2) if name == "toy" else build_part("objective", name, {}, "test")


@pytest.mark.parametrize("optimizer", ["adamw", "udim"])
@pytest.mark.parametrize("name", ["toy", *KEEPING])
def test_a_training_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path, name: str, optimizer: str) -> None:
    given = {"sam_phase": 0.5} if optimizer == "udim" else {}  # UDIM goes back to the checkpoint after step 3
    training = _begun(tmp_path / "whole", _objective(name), name, optimizer, **given)
    started = {key: tensor.clone() for key, tensor in training.network.state_dict().items()}
    whole = _trained(training)
    for stop in (2, 4, 5, None) if name == "toy" else (4, None):  # when it is stopped is no matter of the objective
        broken = _trained(_begun(tmp_path / "broken", _objective(name), name, optimizer, **given), stop)
    assert [key for key in whole if not torch.equal(whole[key], broken[key])] == []
    moved = {key for key in whole if not torch.equal(whole[key], started[key])}
    assert any(key.startswith("auxiliary.") for key in moved)


@pytest.mark.parametrize("name", ["fishr", "eqrm", "trm"])
def test_until_its_penalty_sets_in_a_training_is_that_of_erm_to_the_bit(tmp_path: Path, name: str) -> None:
    """Which is why one could go on from the other, as docs/architecture.md says, and does not."""
    objectives = {
        "cross_entropy": _objective("cross_entropy"),
        name: build_part("objective", name, {"anneal": 0.5}, "test"),
    }
    for stop, alike in ((3, True), (4, False)):
        erm, other = (_trained(_begun(tmp_path / f"{n} {stop}", one, n), stop) for n, one in objectives.items())
        assert all(torch.equal(tensor, other[key]) for key, tensor in erm.items()) == alike


@pytest.mark.parametrize("name", KEEPING)
def test_what_keeps_something_learns(tmp_path: Path, name: str) -> None:
    """With the penalties of cards, where classes lie apart."""
    training = _begun(tmp_path, _objective(name), name, steps=30, lr=0.04)
    _trained(training)
    assert np.mean([row["accuracy"] for row in training.history if row["step"] == 30]) > 0.9


def test_it_moves_after_a_pass_of_its_own_where_the_optimizer_takes_batches_apart(tmp_path: Path) -> None:
    training = _begun(tmp_path, Toy(), optimizer="fish")
    _trained(training)
    assert training.network.auxiliary.get_buffer("passes") == 6
    assert training.network.auxiliary.get_buffer("total").item() > 0


@pytest.mark.parametrize("name", KEEPING)
@pytest.mark.parametrize("kind", ["one domain", "one example", "one class", "an absent domain"])
def test_what_is_kept_stays_finite_on_degenerate_batches(tmp_path: Path, name: str, kind: str) -> None:
    training = _begun(tmp_path, _objective(name), name, "sgd")
    n = 1 if kind == "one example" else 6
    domain = torch.zeros(n, dtype=torch.long) if kind in ("one domain", "one example") else torch.arange(n) % 2
    y = torch.ones(n, dtype=torch.long) if kind == "one class" else torch.arange(n) % CLASSES
    for step in range(3):
        training.take(step, Batch(torch.randn(n, DIM), y, domain, torch.arange(n)))
        assert all(torch.isfinite(tensor).all() for tensor in training.network.state_dict().values()), step
        assert torch.isfinite(training.loss)


@pytest.mark.parametrize("name", KEEPING)
def test_a_loss_reads_what_is_kept_and_moves_nothing(tmp_path: Path, name: str) -> None:
    training = _begun(tmp_path, _objective(name), name)
    batch = training._prepared(0, training.sources.batch(training.parts.sampler, 0))
    closure = Closure(training.network, training.parts.objective.loss, batch, step=3, steps=6, domains=DOMAINS)
    before = {key: tensor.clone() for key, tensor in training.network.state_dict().items()}
    first = closure("ascent")
    assert torch.equal(first, closure("descent"))
    assert all(torch.equal(tensor, before[key]) for key, tensor in training.network.state_dict().items())
