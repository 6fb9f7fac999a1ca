"""Steps of every recipe on an accelerator that is not there: nothing mixes devices, nothing reads back to the host.

torch lets Python register a kind of device, and fake tensors have shapes and devices but no values: an operation
between that device and the CPU raises, and so does asking for a value.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils import backend_registration

from dgbench.algorithms.step import Batch
from dgbench.core.cards import card_names
from dgbench.models.backbones import build
from dgbench.models.network import Network
from dgbench.runs.parts import parts_of
from dgbench.runs.plan import make_plan
from dgbench.train.loop import _Training, attach
from dgbench.train.sources import Sources
from small import small_board

PRETEND = "pretend"
IMAGES = 12


@pytest.fixture(scope="module")
def accelerator() -> torch.device:
    register = getattr(backend_registration, "_setup_privateuseone_for_python_backend", None)
    if register is None:
        pytest.skip("this torch lets nobody register a device in Python")
    if not hasattr(torch, PRETEND):
        register(PRETEND)
        torch.get_device_module(PRETEND).manual_seed = lambda number: None
    return torch.device(PRETEND)


@pytest.fixture(autouse=True)
def _without_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of device that has no autocast refuses even one that is switched off."""
    real = torch.autocast

    def autocast(*arguments: Any, enabled: bool = True, **named: Any) -> Any:
        return real(*arguments, enabled=enabled, **named) if enabled else contextlib.nullcontext()

    monkeypatch.setattr(torch, "autocast", autocast)


def _move(network: nn.Module, device: torch.device) -> None:
    """Parameters and buffers; a tensor that is neither stays behind, and is found."""

    def there(tensor: Tensor) -> Tensor:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device)

    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(there(parameter), parameter.requires_grad))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, there(buffer))


def _batch(device: torch.device) -> Batch:
    whole = [torch.zeros(IMAGES, dtype=torch.int64, device=device) for _ in range(3)]
    return Batch(torch.zeros(IMAGES, 3, 16, 16, device=device), *whole)


@contextlib.contextmanager
def _training(algorithm: str, device: torch.device, folder: Path) -> Iterator[_Training]:
    """A training of a recipe, and fake tensors; networks are built before, as that reads numbers back."""
    spec = next(spec for spec in make_plan(small_board(algorithm)).trainings.values() if spec.dataset == "digits")
    parts = parts_of(spec)
    network = Network(build("dgbench:vit-micro"), 10)
    attach(spec, parts, network)
    with FakeTensorMode():
        _move(network, device)
        sources = cast("Sources", SimpleNamespace(device=device))
        yield _Training(spec, parts, network, sources, folder, ())


@pytest.mark.parametrize("algorithm", card_names("algorithms"))
def test_steps_stay_on_the_accelerator(algorithm: str, accelerator: torch.device, tmp_path: Path) -> None:
    """The first step, one in the middle, where penalties have begun, and one after it, where there are moments."""
    with _training(algorithm, accelerator, tmp_path) as training:
        middle = training.spec.steps // 2
        for step in (0, middle, middle + 1):
            training.take(step, _batch(accelerator))
        assert training.loss.device.type == PRETEND


def test_what_stays_behind_is_found(accelerator: torch.device, tmp_path: Path) -> None:
    with _training("erm", accelerator, tmp_path) as training:
        batch = _batch(accelerator)
        with pytest.raises(RuntimeError, match="device"):
            training.take(0, batch.replace(y=torch.zeros(len(batch), dtype=torch.int64)))
        with pytest.raises(DataDependentOutputException):
            float(batch.x.sum())
