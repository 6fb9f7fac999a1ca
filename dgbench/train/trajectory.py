"""What a training keeps of its way, so that averaging can be decided after the fact.

At every checkpoint: the weights, and the mean of the weights over the steps since the checkpoint before. At the end:
bias-corrected exponential averages for a few decays. All are *effective* weights (adapters merged) in float32 and
hold only what moves; what is frozen is in the initial weights.

    weights/initial.safetensors      weights/000040.safetensors
    weights/ema-0.99.safetensors     weights/000040-mean.safetensors
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.utils import parametrize

from dgbench.algorithms.slots import DECAYS, State
from dgbench.core.errors import DamagedError, StoreError
from dgbench.core.files import whole
from dgbench.core.seals import DONE, Files, checked, sealed
from dgbench.models.effective import effective_view
from dgbench.models.network import Network
from dgbench.train.layout import check_layout


def save(path: Path, state: State) -> None:
    """Write tensors, whole or not at all."""
    with whole(path) as temporary:
        save_file({key: value.detach().cpu().contiguous() for key, value in state.items()}, temporary)


class Recorder:
    """Follows the effective weights of a training from step to step."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network = network
        self.folder = folder / "weights"
        view = effective_view(network)
        parameters = {k for k, t in view.items() if t.requires_grad}
        buffers = {k for k, _ in network.named_buffers() if k in view and view[k].is_floating_point()}
        self.moving = sorted(parameters | buffers)
        plain = not any(parametrize.is_parametrized(module) for module in network.modules())
        # Without adapters the effective weights are the network's own tensors, which change in place.
        self.own = [view[key].detach() for key in self.moving] if plain else None
        self.sum = [torch.zeros_like(t, dtype=torch.float32) for t in self._weights()]
        self.count = 0
        self.ema = {decay: [torch.zeros_like(t) for t in self.sum] for decay in DECAYS}
        self.steps = 0

    def _weights(self) -> list[Tensor]:
        if self.own is None:
            with torch.no_grad():
                view = effective_view(self.network)
            return [view[key].float() for key in self.moving]
        return [tensor.float() for tensor in self.own]

    def _named(self, tensors: list[Tensor]) -> State:
        return dict(zip(self.moving, tensors, strict=True))

    def start(self) -> None:
        """Keep the weights before the first step, frozen ones included."""
        with torch.no_grad():
            save(self.folder / "initial.safetensors", effective_view(self.network))

    def after_step(self) -> None:
        """Take the weights after a step into every running average."""
        weights = self._weights()
        torch._foreach_add_(self.sum, weights)
        for decay, mean in self.ema.items():
            torch._foreach_lerp_(mean, weights, 1 - decay)
        self.count += 1
        self.steps += 1

    def checkpoint(self, step: int) -> None:
        """Write the weights after ``step`` steps and their mean since the last checkpoint; a new segment begins."""
        save(self.folder / f"{step:06d}.safetensors", self._named(self._weights()))
        save(self.folder / f"{step:06d}-mean.safetensors", self._named([t / self.count for t in self.sum]))
        for total in self.sum:
            total.zero_()
        self.count = 0

    def finish(self) -> None:
        """Write the exponential averages."""
        for decay, mean in self.ema.items():
            corrected = [t / (1 - decay**self.steps) for t in mean]
            save(self.folder / f"ema-{decay}.safetensors", self._named(corrected))

    def state(self) -> State:
        """The running averages between checkpoints, to resume from; taken right after a checkpoint."""
        return {f"{decay}/{key}": t for decay, mean in self.ema.items() for key, t in self._named(mean).items()}

    def restore(self, state: State, steps: int) -> None:
        """The reverse of :meth:`state`."""
        self.steps = steps
        weights = self._weights()
        for decay, mean in self.ema.items():
            for (key, t), weight in zip(self._named(mean).items(), weights, strict=True):
                t.copy_(state[f"{decay}/{key}"])
                check_layout(f"{key}: its mean", weight, t)


class StoredTrajectory:
    """A finished training, read back: fills the contract ``Trajectory`` of the averaging parts.

    Raises:
        DamagedError: the training is not there, or a file that is read is not what was written; so say all methods.
    """

    def __init__(self, folder: Path) -> None:
        done = sealed(folder)
        if done is None:
            raise DamagedError(folder, DONE, "is missing")  # perhaps another process has just set the training aside
        self.folder = folder
        self.files: Files = done["files"]
        table = pl.read_parquet(checked(folder, "history.parquet", self.files))
        history = table.group_by("step").agg(pl.col("nll").mean())
        self._validation: dict[int, float] = dict(history.iter_rows())
        self.steps = tuple(sorted(self._validation))

    def _read(self, name: str) -> State:
        return load_file(checked(self.folder, f"weights/{name}.safetensors", self.files))

    def initial(self) -> State:
        """Weights before the first step."""
        return self._read("initial")

    def at(self, step: int) -> State:
        """Weights at a checkpoint."""
        return self.initial() | self._read(f"{step:06d}")

    def segment(self, step: int) -> State:
        """Mean weights since the checkpoint before."""
        return self.initial() | self._read(f"{step:06d}-mean")

    def ema(self, decay: float) -> State:
        """Bias-corrected exponential average."""
        if decay not in DECAYS:
            raise StoreError(f"exponential averages are recorded for the decays {DECAYS}, not for {decay}")
        return self.initial() | self._read(f"ema-{decay}")

    def validation_loss(self, step: int) -> float:
        """Mean over source domains of the clean validation cross-entropy."""
        return self._validation[step]
