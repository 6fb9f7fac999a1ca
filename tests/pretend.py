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

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import backend_registration

from dgbench.algorithms.step import Batch
from dgbench.models.backbones import build
from dgbench.models.network import Network
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


def _batch(domains: int = 3) -> Batch:
    whole = [torch.zeros(IMAGES, dtype=torch.int64, device=PRETEND) for _ in range(3)]
    return Batch(torch.zeros(IMAGES, 3, 16, 16, device=PRETEND), *whole, sizes=(IMAGES // domains,) * domains)


def _specs(algorithm: str) -> list[TrainingSpec]:
    """The trainings of a recipe on one target: those that take steps, the last of which is its own."""
    plan = make_plan(small_board(algorithm))
    found = [spec for spec in plan.trainings.values() if spec.dataset == "digits" and spec.merged is None]
    return [spec for spec in found if spec.sources == found[0].sources]


@contextlib.contextmanager
def _training(spec: TrainingSpec, folder: Path) -> Iterator[Training]:
    """A training, and fake tensors; networks are built before, as that reads numbers back."""
    parts = parts_of(spec)
    network = Network(build("dgbench:vit-micro"), 10)
    attach(spec, parts, network)
    attach_auxiliary(spec, parts, network, [IMAGES] * len(spec.sources))
    with FakeTensorMode():
        _move(network)
        sources = cast("Sources", SimpleNamespace(device=torch.device(PRETEND)))
        yield Training(spec, parts, network, sources, folder, ())


def steps(algorithm: str, folder: Path) -> str:
    """The first step, one in the middle, where penalties have begun, and one after it, where there are moments; where
    the last loss is."""
    found = set()
    for spec in _specs(algorithm):
        with _training(spec, folder) as training:
            middle = training.spec.steps // 2
            for step in (0, middle, middle + 1):
                training.take(step, _batch(len(training.spec.sources)))
            found.add(training.loss.device.type)
    (kind,) = found
    return kind


def a_step_with_labels_left_behind(folder: Path) -> None:
    with _training(_specs("erm")[-1], folder) as training:
        training.take(0, _batch().replace(y=torch.zeros(IMAGES, dtype=torch.int64)))


def a_value_read_back() -> float:
    with FakeTensorMode():
        return float(_batch().x.sum())
