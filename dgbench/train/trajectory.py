"""What a training keeps of its way, so that averaging can be decided after the fact.

At checkpoints: the weights, and the mean of the weights over the steps since the checkpoint before. At the end:
bias-corrected exponential averages for a few decays. All are *effective* weights (adapters merged) in float32 and
hold only what moves. Which of them are kept is for those to say who will read them; their names are those of
:mod:`dgbench.core.pieces`.

    weights/000040.safetensors      weights/000040-mean.safetensors      weights/ema-0.99.safetensors

The weights before the first step follow from the training's identity, so they are built again when they are wanted. A
digest tells whether they came out as they were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl
import torch
from safetensors import SafetensorError, TensorSpec, serialize_file
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.utils import parametrize

from dgbench.algorithms.slots import State
from dgbench.core.cards import Average
from dgbench.core.errors import DamagedError, StoreError, shown
from dgbench.core.files import whole
from dgbench.core.pieces import DECAYS, INITIAL, checkpoint, exponential, file, is_segment, pieces, segment
from dgbench.core.seals import DONE, Files, checked, sealed
from dgbench.models.effective import effective_view
from dgbench.models.elsewhere import Elsewhere
from dgbench.models.network import Network
from dgbench.train.layout import check_layout

_SINCE = "since"
"""Opens the names of the sums of weights since the last checkpoint, beside those of the decays of averages."""


def save(path: Path, state: State) -> None:
    """Write tensors, whole or not at all.

    As ``save_file`` of safetensors does, which takes longer to describe the tensors of a small network than to write.
    """
    written = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    with whole(path) as temporary:
        serialize_file({key: _described(tensor) for key, tensor in written.items()}, temporary)


def _described(tensor: Tensor) -> TensorSpec:
    """Where its bytes lie: as long as the tensor is there, and as they are on machines whose lowest byte is first."""
    kind = str(tensor.dtype).removeprefix("torch.")
    return TensorSpec(dtype=kind, shape=tensor.shape, data_ptr=tensor.data_ptr(), data_len=tensor.nbytes)


def digest(state: State) -> str | None:
    """SHA-256 of tensors with their names, types and shapes; None where there is no tensor."""
    if not state:
        return None
    found = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


class Initial(NamedTuple):
    """Effective weights before the first step: those that training moves, and those that it does not."""

    moving: State
    frozen: State


def initial(network: Network) -> Initial:
    """What a network, its adapter attached, starts from. Nothing is copied that need not be."""
    view = effective_view(network)  # with gradients: they tell what moves
    moving = set(_moving(network, view))
    return Initial(
        {name: tensor.detach() for name, tensor in view.items() if name in moving},
        {name: tensor.detach() for name, tensor in view.items() if name not in moving},
    )


def _moving(network: Network, view: State) -> list[str]:
    if isinstance(network, Elsewhere):
        return sorted(view)  # any of it may: nobody knows
    parameters = {k for k, t in view.items() if t.requires_grad}
    buffers = {k for k, _ in network.named_buffers() if k in view and view[k].is_floating_point()}
    return sorted(parameters | buffers)


class Recorder:
    """Follows the effective weights of a training from step to step.

    Args:
        network: What is trained.
        folder: Of the training.
        keep: The names of the pieces that are written.
    """

    def __init__(self, network: Network, folder: Path, keep: Collection[str]) -> None:
        self.network = network
        self.folder = folder
        self.keep = keep
        view = effective_view(network)
        self.moving = _moving(network, view)
        plain = not any(parametrize.is_parametrized(module) for module in network.modules())
        plain &= not isinstance(network, Elsewhere)  # which may put others in their place
        # Without adapters the effective weights are the network's own tensors, which change in place.
        self.own = [view[key].detach() for key in self.moving] if plain else None
        self.initial: dict[str, str | None] = {}
        self.sum = self._zeros() if any(map(is_segment, keep)) else []
        self.count = 0
        self.ema = {decay: self._zeros() for decay in DECAYS if exponential(decay) in keep}
        self.steps = 0

    def _zeros(self) -> list[Tensor]:
        return [torch.zeros_like(t, dtype=torch.float32) for t in self._weights()]

    def _weights(self) -> list[Tensor]:
        if self.own is None:
            with torch.no_grad():
                view = effective_view(self.network)
            return [view[key].float() for key in self.moving]
        return [tensor.float() for tensor in self.own]

    def _named(self, tensors: list[Tensor]) -> State:
        return dict(zip(self.moving, tensors, strict=True))

    def _keep(self, name: str, tensors: Callable[[], list[Tensor]]) -> None:
        if name in self.keep:
            save(self.folder / file(name), self._named(tensors()))

    def start(self) -> None:
        """Note what the weights are before the first step."""
        self.initial = {kind: digest(state) for kind, state in initial(self.network)._asdict().items()}

    def after_step(self) -> None:
        """Take the weights after a step into every running average."""
        self.count += 1
        self.steps += 1
        if not self.sum and not self.ema:
            return
        weights = self._weights()
        if self.sum:
            torch._foreach_add_(self.sum, weights)
        for decay, mean in self.ema.items():
            torch._foreach_lerp_(mean, weights, 1 - decay)

    def checkpoint(self, step: int) -> None:
        """Write the weights after ``step`` steps and their mean since the last checkpoint; a new segment begins."""
        self._keep(checkpoint(step), self._weights)
        self._keep(segment(step), lambda: [t / self.count for t in self.sum])
        for total in self.sum:
            total.zero_()
        self.count = 0

    def finish(self) -> None:
        """Write the exponential averages."""
        for decay, mean in self.ema.items():
            self._keep(exponential(decay), lambda d=decay, m=mean: [t / (1 - d**self.steps) for t in m])  # type: ignore[misc]

    def state(self) -> State:
        """The running averages, to resume from; right after a checkpoint nothing was summed since."""
        since = {_SINCE: self.sum} if self.sum and self.count else {}
        return {f"{of}/{key}": t for of, mean in (self.ema | since).items() for key, t in self._named(mean).items()}

    def restore(self, state: State, steps: int, count: int, initial: dict[str, str | None]) -> None:
        """The reverse of :meth:`state`, after so many steps, so many of them since the last checkpoint."""
        self.steps = steps
        self.count = count
        self.initial = initial
        weights = self._weights()
        since = {_SINCE: self.sum} if self.sum and count else {}
        for of, mean in (self.ema | since).items():
            for (key, t), weight in zip(self._named(mean).items(), weights, strict=True):
                t.copy_(state[f"{of}/{key}"])
                check_layout(f"{key}: its mean", weight, t)


class StoredTrajectory:
    """A finished training, read back: fills the contract ``Trajectory`` of the averaging parts.

    Args:
        folder: Of the training.
        rebuild: Gives its weights before the first step, on the CPU; called once, if they are wanted.
        average: Over what validation is averaged.

    Raises:
        DamagedError: the training is not there, or a file that is read is not what was written, or was not kept; so
            say all methods.
    """

    def __init__(self, folder: Path, rebuild: Callable[[], Initial], average: Average = "domains") -> None:
        done = sealed(folder)
        if done is None:
            raise DamagedError(folder, DONE, "is missing")  # perhaps another process has just set the training aside
        self.folder = folder
        self.note: dict[str, Any] = done
        self.files: Files = done["files"]
        self.pieces = pieces(self.files)
        self._rebuild = rebuild
        table = pl.read_parquet(checked(folder, "history.parquet", self.files))
        mean = (
            (pl.col("nll") * pl.col("n")).sum() / pl.col("n").sum() if average == "examples" else pl.col("nll").mean()
        )
        history = table.group_by("step").agg(mean)
        self._validation: dict[int, float] = dict(history.iter_rows())
        self.steps = tuple(sorted(self._validation))

    def moving(self, name: str) -> State:
        """What moves, of a piece; raises DamagedError where its file holds no tensors."""
        path = checked(self.folder, file(name), self.files)
        try:
            return load_file(path)
        except SafetensorError as error:  # a seal that fits, by somebody else
            raise DamagedError(self.folder, file(name), f"is damaged ({shown(str(error), 200)})") from error

    @cached_property
    def moved(self) -> frozenset[str]:
        """The names of the weights that training moved."""
        return frozenset(self.moving(min(self.pieces - {INITIAL})))

    def piece(self, name: str) -> State:
        """All weights, of a piece."""
        if INITIAL in self.pieces:
            return self.moving(INITIAL) | self.moving(name)
        return self._frozen | self.moving(name)

    @cached_property
    def _initial(self) -> Initial:
        return self._rebuild()

    @cached_property
    def _frozen(self) -> State:
        if self.note["initial"]["frozen"] is None:
            return {}
        self._check("frozen")
        return self._initial.frozen

    def _check(self, kind: Literal["moving", "frozen"]) -> None:
        if digest(getattr(self._initial, kind)) != self.note["initial"][kind]:
            raise StoreError(
                f"{self.folder}: the weights before the first step come out otherwise here (torch {torch.__version__}) "
                f"than where it was trained (torch {self.note['torch']}); go back to that version, or remove the "
                "folder to have it trained again"
            )

    def initial(self) -> State:
        """Weights before the first step.

        Raises:
            StoreError: they cannot be built again as they were.
        """
        if INITIAL in self.pieces:
            return self.moving(INITIAL)
        self._check("moving")
        return self._frozen | self._initial.moving

    def at(self, step: int) -> State:
        """Weights at a checkpoint."""
        return self.piece(checkpoint(step))

    def segment(self, step: int) -> State:
        """Mean weights since the checkpoint before."""
        return self.piece(segment(step))

    def ema(self, decay: float) -> State:
        """Bias-corrected exponential average."""
        if decay not in DECAYS:
            raise StoreError(f"exponential averages are recorded for the decays {DECAYS}, not for {decay}")
        return self.piece(exponential(decay))

    def validation_loss(self, step: int) -> float:
        """Mean over source domains, or over their images, of the clean validation cross-entropy."""
        return self._validation[step]
