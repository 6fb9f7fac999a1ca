"""Heads on stored features: closed gradients are those of a graph, and who trains beside whom changes no bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Batch, Closure, Forward, HeadClosure
from dgbench.core.decoding import AS_LOADERS
from dgbench.core.errors import DivergedError
from dgbench.core.recipe import build_part, describe
from dgbench.core.registry import Slot
from dgbench.core.seals import sealed
from dgbench.data.domain import Dataset, Domain
from dgbench.models.network import Backbone, Network
from dgbench.train.loop import begun
from dgbench.train.parts import Parts, by_closed_form
from dgbench.train.sources import Features, Sources
from dgbench.train.spec import TrainingSpec
from dgbench.train.together import train_together
from dgbench.train.training import Training

DIM, CLASSES, DOMAINS = 40, 5, 3
PLAIN: dict[Slot, tuple[str, dict[str, Any]]] = {
    "sampler": ("balanced", {"augmentation": "none"}),
    "adapter": ("linear_probe", {}),
    "objective": ("cross_entropy", {}),
    "optimizer": ("adamw", {"lr": 0.01}),
}
OBJECTIVES: list[tuple[str, dict[str, Any]]] = [
    ("cross_entropy", {}),
    ("cross_entropy", {"label_smoothing": 0.1}),
    ("cross_entropy", {"mixup": 0.3}),
    ("cross_entropy", {"mixup": 2.0, "label_smoothing": 0.05}),
    ("irm", {"penalty_weight": 7.3}),
    ("vrex", {"penalty_weight": 7.3}),
    ("groupdro", {"eta": 0.7}),
    ("eqrm", {"anneal": 0.5}),
    ("ps_kd", {}),
    ("sd", {"penalty_weight": 0.3}),
    ("domain_penalisation", {"temperature": 0.5}),
    ("inter_domain_mixup", {}),
    ("lisa", {}),
    ("label_kernel_mixup", {"bandwidth": 0.5}),
]


def _network() -> Network:
    network = Network(Backbone("none", nn.Identity(), DIM, 4, (0.5,) * 3, (0.5,) * 3), CLASSES)
    network.backbone.requires_grad_(False)
    return network


def _batch(per_domain: int) -> Batch:
    n = DOMAINS * per_domain
    domain = torch.arange(DOMAINS).repeat_interleave(per_domain)
    labels = torch.randint(0, CLASSES, (n,))
    return Batch(torch.randn(n, DIM), labels, domain, torch.arange(n), sizes=(per_domain,) * DOMAINS)


@pytest.mark.parametrize("per_domain", [1, 7, 32])
@pytest.mark.parametrize("step", [0, 50])
@pytest.mark.parametrize(("name", "given"), OBJECTIVES)
def test_the_gradient_in_closed_form_is_that_of_the_graph(
    name: str, given: dict[str, Any], step: int, per_domain: int
) -> None:
    """Before and after the switch of a penalty; with one example a domain IRM has no second half."""
    objective: Objective = build_part("objective", name, given, "test")
    torch.manual_seed(per_domain)
    for _ in range(5):
        network = _network()
        objective.attach(network, [DOMAINS * per_domain] * DOMAINS)
        batch = objective.prepare(_batch(per_domain), CLASSES, torch.Generator().manual_seed(step))
        about: dict[str, Any] = {"step": step, "steps": 100, "domains": DOMAINS}
        found: list[list[Tensor]] = []
        for closure in (
            Closure(network, objective.loss, batch, **about),
            HeadClosure(network, objective.loss, batch, slopes=objective.slopes, **about),
        ):
            loss = closure("descent")
            assert network.head.weight.grad is not None
            assert network.head.bias.grad is not None
            found.append([loss, network.head.weight.grad, network.head.bias.grad])
        for there, here in zip(*found, strict=True):
            assert torch.equal(there, here), (there - here).abs().max() / there.abs().max()


def test_a_part_with_another_loss_and_no_gradient_of_its_own_goes_by_its_graph() -> None:
    class Doubled(CrossEntropy):
        def loss(self, forward: Forward) -> Tensor:
            return 2 * super().loss(forward)

    network = _network()
    given = {slot: build_part(slot, name, about, "test") for slot, (name, about) in PLAIN.items()}
    drm: Objective = build_part("objective", "drm", {}, "test")
    for objective, expected in ((CrossEntropy(), True), (Doubled(), False), (drm, False)):
        parts = Parts(**(given | {"objective": objective}))
        assert by_closed_form(parts, network, ["head.weight", "head.bias"]) is expected


# Side by side

RECIPES: list[dict[Slot, tuple[str, dict[str, Any]]]] = [
    {},
    {"optimizer": ("adamw", {"lr": 0.003, "weight_decay": 0.1, "schedule": "cosine", "warmup": 0.2})},
    {"optimizer": ("sgd", {"lr": 0.1, "clip_norm": 0.5})},
    {"optimizer": ("sam", {"lr": 0.01})},
    {"optimizer": ("asam", {"lr": 0.01, "base": "sgd"})},
    {"optimizer": ("udim", {"lr": 0.01, "sam_phase": 0.5})},
    {"objective": ("cross_entropy", {"mixup": 0.2})},
    {"objective": ("cross_entropy", {"mixup": 0.4, "label_smoothing": 0.1})},
    {"objective": ("irm", {"penalty_weight": 3.0, "anneal": 0.5})},
    {"objective": ("vrex", {"penalty_weight": 3.0, "anneal": 0.5}), "optimizer": ("sam", {"lr": 0.01})},
    {"objective": ("groupdro", {"eta": 0.5}), "optimizer": ("sam", {"lr": 0.01})},
]


def _begun(folder: Path, recipe: dict[Slot, tuple[str, dict[str, Any]]], pause: float = 0.0) -> Training:
    chosen: dict[Slot, tuple[str, dict[str, Any]]] = {**PLAIN, **recipe}
    parts = Parts(**{slot: build_part(slot, name, given, "test") for slot, (name, given) in chosen.items()})
    described = {slot: describe(slot, name, getattr(parts, slot)) for slot, (name, _) in chosen.items()}
    spec = TrainingSpec(
        dataset="toy", manifest="", sources=("a", "b", "c"), trial=0, validation=0.2, test=0.0, official=False, size=4,
        resize="stretch", decoding=AS_LOADERS, backbone="none", weights=None, pretrained_on=None, reference=None,
        parts=described, steps=12, checkpoints=4, batch_per_domain=8, precision="float32", norm_mode="frozen",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    domains = [Domain(n, np.zeros((50, 4, 4, 3), np.uint8), np.arange(50) % CLASSES, np.arange(50)) for n in "abc"]
    dataset = Dataset("toy", tuple("vwxyz"), tuple(domains), "")
    inputs = {d.name: Features(torch.from_numpy(rng.normal(size=(50, DIM)).astype(np.float32))) for d in domains}
    torch.manual_seed(0)
    return begun(spec, parts, _network(), Sources(spec, dataset, inputs, torch.device("cpu")), folder, None, pause)


def _left(folder: Path) -> dict[str, bytes]:
    """What a finished training leaves, but for its seal, which has times."""
    assert sealed(folder) is not None
    assert not (folder / "state").exists()
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "done.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, bytes]]:
    """What each recipe leaves that is trained alone, by the graph of its objective."""
    root = tmp_path_factory.mktemp("alone")
    for number, recipe in enumerate(RECIPES):
        training = _begun(root / str(number), recipe)
        training.closure = Closure
        assert train_together([training]) == {}
    return [_left(root / str(number)) for number in range(len(RECIPES))]


def test_heads_side_by_side_leave_what_each_leaves_alone(tmp_path: Path, alone: list[dict[str, bytes]]) -> None:
    trainings = [_begun(tmp_path / str(number), recipe) for number, recipe in enumerate(RECIPES)]
    assert sum(training.closure is not Closure for training in trainings) == len(RECIPES)
    assert len({training.spec.id for training in trainings}) == len(RECIPES)
    assert train_together(trainings) == {}
    assert [_left(tmp_path / str(number)) for number in range(len(RECIPES))] == alone


class _StoppedError(BaseException):
    pass


@pytest.mark.parametrize("pause", [0.0, 3600.0])
def test_heads_that_were_stopped_go_on_each_from_where_it_was(
    tmp_path: Path, alone: list[dict[str, bytes]], pause: float
) -> None:
    """Some had begun before the others; with a long pause nothing was kept to resume from, and stale pieces go."""
    folders = [tmp_path / str(number) for number in range(len(RECIPES))]

    def stop(at: int, numbers: range) -> None:
        def on_step(step: int) -> None:
            if step == at:
                raise _StoppedError

        with pytest.raises(_StoppedError):
            train_together([_begun(folders[number], RECIPES[number], pause) for number in numbers], on_step)

    stop(8, range(4))
    stop(4, range(2, len(RECIPES)))
    assert train_together([_begun(folder, recipe) for folder, recipe in zip(folders, RECIPES, strict=True)]) == {}
    assert [_left(folder) for folder in folders] == alone


def test_a_head_that_diverges_takes_no_other_with_it(tmp_path: Path, alone: list[dict[str, bytes]]) -> None:
    wild: dict[Slot, tuple[str, dict[str, Any]]] = {"optimizer": ("sgd", {"lr": 1e38})}
    trainings = [_begun(tmp_path / str(n), recipe) for n, recipe in enumerate((RECIPES[0], wild, RECIPES[3]))]
    failed = train_together(trainings)
    assert list(failed) == [trainings[1].spec.id]
    assert isinstance(failed[trainings[1].spec.id], DivergedError)
    assert not (tmp_path / "1" / "done.json").exists()
    assert [_left(tmp_path / "0"), _left(tmp_path / "2")] == [alone[0], alone[3]]
