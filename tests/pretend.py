"""An accelerator that is not there, for worker processes: a kind of device is registered before anything is computed.

torch lets Python register a kind of device, and fake tensors have shapes and devices but no values: an operation
between that device and the CPU raises, and so does asking for a value.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import tiny_clip
import torch
from one_layer import SMALLEST, network_of
from smallest import LOOK_INTO_BLOCKS, smallest
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import backend_registration

from dgbench.algorithms.slots import Source
from dgbench.algorithms.step import Batch, Unlabelled
from dgbench.core import registry
from dgbench.core.cards import CaseRules
from dgbench.core.dataset_card import Wording
from dgbench.models.consistency import Consistency
from dgbench.models.network import Backbone, Network
from dgbench.models.wording import Texts
from dgbench.runs.parts import parts_of
from dgbench.runs.planning import make_plan
from dgbench.train.auxiliary import attach_auxiliary
from dgbench.train.parts import attach
from dgbench.train.sources import Sources
from dgbench.train.spec import TrainingSpec
from dgbench.train.training import Training
from small import small_board

PRETEND = "pretend"
IMAGES = 12


def register() -> None:
    """Have torch know the device; for a process that has computed nothing yet."""
    backend_registration._setup_privateuseone_for_python_backend(PRETEND)
    torch.get_device_module(PRETEND).manual_seed = lambda number: None
    real = torch.autocast

    def autocast(*arguments: Any, enabled: bool = True, **named: Any) -> Any:
        """A kind of device that has no autocast refuses even one that is switched off."""
        return real(*arguments, enabled=enabled, **named) if enabled else contextlib.nullcontext()

    torch.autocast = autocast  # type: ignore[assignment,misc]


def _move(network: nn.Module) -> None:
    """Parameters and buffers; a tensor that is neither stays behind, and is found."""

    def there(tensor: Tensor) -> Tensor:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=PRETEND)

    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(there(parameter), parameter.requires_grad))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, there(buffer))


def _batch(domains: int = 3, side: int = 16, *, unlabelled: bool = False) -> Batch:
    images = torch.zeros(IMAGES, 3, side, side, device=PRETEND)
    whole = [torch.zeros(IMAGES, dtype=torch.int64, device=PRETEND) for _ in range(3)]
    seen = Unlabelled(images, whole[0]) if unlabelled else None
    return Batch(images, *whole, sizes=(IMAGES // domains,) * domains, unlabelled=seen)


def _specs(algorithm: str, backbone: str) -> list[TrainingSpec]:
    """The trainings of a recipe on one target: those that take steps, the last of which is its own."""
    board = small_board(algorithm, backbone=backbone)
    plan = make_plan(board.model_copy(update={"cases": {"digits": CaseRules(targets=("handwritten",))}}))
    return [spec for spec in plan.trainings.values() if spec.merged is None and spec.steps]


@contextlib.contextmanager
def _training(spec: TrainingSpec, folder: Path) -> Iterator[Training]:
    """A training, and fake tensors; networks are built before, as that reads numbers back."""
    parts = parts_of(spec)
    backbone = _staged() if spec.parts["objective"]["part"] in LOOK_INTO_BLOCKS else network_of(spec)
    network = Network(backbone, 10, activation=parts.adapter.activation())
    network.texts = Texts(tuple("0123456789"), Wording())
    attach(spec, parts, network)
    attach_auxiliary(spec, parts, network, [IMAGES] * len(spec.sources))
    if spec.unlabelled and (earlier := spec.reads()):
        parts.objective.hear(network, [], [], [[torch.zeros(IMAGES, 10)]] * len(earlier))
    with FakeTensorMode():
        _move(network)
        sources = cast("Sources", SimpleNamespace(device=torch.device(PRETEND)))
        yield Training(spec, parts, network, sources, folder, ())


FEWER = {"trm": "trm(head_steps=2)"}
"""What a recipe does many times alike in a step, and needs to do twice here."""


def steps(algorithm: str, folder: Path) -> str:
    """The steps of each training of a recipe; where their last losses are."""
    if algorithm in tiny_clip.TOWERED:
        backbone = tiny_clip.tinier()
    else:  # stages are blocks enough for those that only look into them
        backbone = SMALLEST if algorithm in LOOK_INTO_BLOCKS else smallest(algorithm)
    specs = _specs(FEWER.get(algorithm, algorithm), backbone)
    for spec in specs:
        if spec.id not in _TAKEN:  # recipes that differ in averaging and prediction alone train the same
            _TAKEN[spec.id] = _steps(spec, folder)
    (kind,) = {_TAKEN[spec.id] for spec in specs}
    return kind


_TAKEN: dict[str, str] = {}
"""Where the last loss of a training is, by its id."""


def _steps(spec: TrainingSpec, folder: Path) -> str:
    """The first step, and one in the middle, where there are moments; of a penalty that begins between them, one after
    it, where there are moments of that; where the last loss is."""
    with _training(spec, folder) as training:
        middle = training.spec.steps // 2
        onset = round(getattr(training.parts.objective, "anneal", 0) * training.spec.steps)
        later = (middle + 1,) if onset > 0 else ()
        for step in (0, middle, *later):
            training.take(step, _batch(len(spec.sources), spec.size, unlabelled=spec.unlabelled is not None))
        kind: str = training.loss.device.type
    return kind


def _staged() -> Backbone:
    """Two stages that normalise by batches: all that is asked of a network by streams, and by those that look into it,
    with few weights."""
    stage = nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU()
    other = nn.Conv2d(8, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU()
    module = nn.Sequential(*stage, *other, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    module.feature_info = [{"module": place, "num_chs": 8} for place in "25"]  # type: ignore[assignment]  # as timm's
    return Backbone("staged", module, 8, 32, (0.5,) * 3, (0.5,) * 3)


def stream(name: str) -> str:
    """Two batches of a predictor's stream, and one after a reset; where the last scores are."""
    predictor = registry.load("predictor", name)()
    network = Network(_staged(), 10).eval().requires_grad_(False)
    network.domain_heads = nn.Linear(network.info.dim, 30)
    network.consistency = Consistency(10, network.info.dim)
    with FakeTensorMode(), torch.no_grad():
        _move(network)
        labels = torch.zeros(2 * IMAGES, dtype=torch.int64, device=PRETEND)
        source = Source(torch.zeros(2 * IMAGES, network.info.dim, device=PRETEND), labels, labels)
        images = torch.zeros(IMAGES, 3, 32, 32, device=PRETEND)
        shown = images if predictor.sees == "images" else network.features(images)
        at_work = predictor.prepare(network, source)
        at_work.reset(0)
        for batch in (shown, shown[:5]):
            at_work.observe(batch)
        at_work.reset(1)
        kind: str = at_work.observe(shown).device.type
    return kind


def a_step_with_labels_left_behind(folder: Path) -> None:
    with _training(_specs("erm", smallest("erm"))[-1], folder) as training:
        training.take(0, _batch().replace(y=torch.zeros(IMAGES, dtype=torch.int64)))


def a_value_read_back() -> float:
    with FakeTensorMode():
        return float(_batch().x.sum())
