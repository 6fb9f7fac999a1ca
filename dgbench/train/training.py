"""The state of one training between steps: what a step does, what a checkpoint keeps, how it is gone on with."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from dgbench.algorithms.slots import State
from dgbench.algorithms.step import Batch, Closure, HeadClosure
from dgbench.core.errors import DivergedError
from dgbench.core.seals import MIDWAY, Files, checked, described, inventory, seal
from dgbench.core.spec import canonical
from dgbench.models.effective import BESIDE
from dgbench.models.network import Network
from dgbench.models.reseed import reseed
from dgbench.train.auxiliary import Auxiliary
from dgbench.train.division import WHOLE, Division
from dgbench.train.ending import History, end
from dgbench.train.evaluate import evaluating, mean, validation
from dgbench.train.exchange import check_alike
from dgbench.train.layout import check_layouts
from dgbench.train.looks import look_by
from dgbench.train.moments import load_moments, moments
from dgbench.train.parts import Parts, by_closed_form
from dgbench.train.sources import Sources
from dgbench.train.spec import TrainingSpec
from dgbench.train.trajectory import Recorder, save

log = logging.getLogger(__name__)


WORK = 20
"""Between checkpoints a state is written after so many times as long as the one before took to write, or later."""


@dataclass
class _Snapshot:
    """The best checkpoint so far, for optimizers that return to it."""

    score: float = -math.inf
    step: int = 0
    state: State = field(default_factory=dict)


def _by_kind(tensors: State) -> dict[str, State]:
    """What there is to resume from: of the network, of the optimizers, running means, and the best checkpoint."""
    groups: dict[str, State] = {kind: {} for kind in ("net", "base", "beside", "mean", "best")}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        groups[kind][rest] = tensor
    return groups


class Training:
    """The state of one training between steps."""

    def __init__(
        self,
        spec: TrainingSpec,
        parts: Parts,
        network: Network,
        sources: Sources,
        folder: Path,
        keep: Collection[str],
        before: dict[str, Any] | None = None,
        pause: float = 0.0,
        division: Division = WHOLE,
    ) -> None:
        self.spec = spec
        self.parts = parts
        self.network = network
        self.sources = sources
        self.folder = folder
        self.before = before
        self.pause = pause
        self.division = division
        self.checkpoints = frozenset(spec.checkpoint_steps())
        self.recorder = Recorder(network, folder, keep)
        self.best = _Snapshot()
        self.history: list[dict[str, Any]] = []
        self.files: Files = {}
        self.step = self.kept = 0
        self.seconds = self.writing = 0.0
        if sources.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(sources.device)
        self.clock = self.saved = time.perf_counter()
        self._equip()

    def _equip(self) -> None:
        """What steps are taken with."""
        parts, network = self.parts, self.network
        self.weights = {
            name: p for name, p in network.named_parameters() if p.requires_grad and not name.startswith(BESIDE)
        }
        self.parameters = list(self.weights.values())
        self.base = parts.optimizer.build(self.parameters)
        self.auxiliary = Auxiliary(parts, network)
        self._set_modes()
        self.closure: Callable[..., Closure] = partial(Closure, look=look_by(self.division, network))
        if by_closed_form(parts, network, self.weights):
            self.closure = partial(HeadClosure, slopes=parts.objective.slopes)
        self.objective = canonical(self.spec.parts["objective"])

    def _set_modes(self) -> None:
        """Training mode; but a frozen backbone evaluates, and so does every norm layer in mode ``frozen``."""
        self.network.train()
        if not any(p.requires_grad for p in self.network.backbone.parameters()):
            self.network.backbone.eval()
        if self.spec.norm_mode == "frozen":
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def lap(self) -> float:
        """Count the time since the clock was last set as the training's own; what time it is."""
        now = time.perf_counter()
        self.seconds, self.clock = self.seconds + now - self.clock, now
        return now

    def advance(self, step: int, batch: Batch) -> History:
        """A step, and what is measured after it, if that is a checkpoint.

        Raises:
            DivergedError: the loss is not finite there.
        """
        self.take(step, batch)
        self.step = step + 1
        if self.step in self.checkpoints:
            return self.checkpoint(self.step)
        if self.pause and time.perf_counter() - self.saved >= max(self.pause, WORK * self.writing):
            self._save(self.step)
        return ()

    def take(self, step: int, batch: Batch) -> None:
        """One step of the optimizer, on the step's batch."""
        spec, parts = self.spec, self.parts
        if parts.optimizer.restart(spec.steps) == step and self.best.state:
            self._load(self.best.state)
            log.info("step %d: back to the best checkpoint, step %d", step, self.best.step)
        if parts.objective.resets_optimizer(step, spec.steps):
            self.base = parts.optimizer.build(self.parameters)
        rate = parts.optimizer.rate(step, spec.steps)
        for group in self.base.param_groups:
            group["lr"] = rate
        reseed(spec.seed("step", step), self.sources.device)  # dropout, the same for every algorithm
        batch = batch.once(self.objective, lambda: self._prepared(step, batch))
        closure = self.closure(
            self.network,
            lambda forward: parts.objective.loss(forward) + parts.adapter.penalty(self.network),
            batch,
            step=step,
            steps=spec.steps,
            domains=spec.domains_in_step,
            norm_mode=spec.norm_mode,
            twice=parts.objective.differentiates_twice(),
        )
        self.loss = parts.optimizer.step(closure, self.parameters, self.base)
        self.auxiliary.move(closure, rate)
        self.recorder.after_step()

    def _prepared(self, step: int, batch: Batch) -> Batch:
        generator = torch.Generator().manual_seed(self.spec.seed("objective", step))
        return self.parts.objective.prepare(batch, self.network.classes, generator)

    def checkpoint(self, step: int) -> History:
        """Validate on the clean source images, keep the weights, and make the training resumable from here."""
        rows = self._measured(step)
        self.history += rows
        self.recorder.checkpoint(step)
        self.files = inventory(self.folder, self.files)  # now: what happens to a file until it is sealed must be seen
        self._note_best(rows, step)
        if time.perf_counter() - self.saved >= self.pause:
            self._save(step)
        return rows

    def _measured(self, step: int) -> History:
        loss = float(self.loss)
        with evaluating(self.network):
            measured = [validation(self.network, domain) for domain in self.sources.validating]
        rows = [{"step": step, "loss": loss, **row} for row in measured]
        if not all(math.isfinite(row["loss"]) and math.isfinite(row["nll"]) for row in rows):
            raise DivergedError(step)
        self._check(step)
        return rows

    def _note_best(self, rows: History, step: int) -> None:
        mean_accuracy = mean(rows, "accuracy", self.spec.average)
        if self.parts.optimizer.restart(self.spec.steps) is not None and mean_accuracy > self.best.score:
            self.best = _Snapshot(mean_accuracy, step, {k: t.detach().clone() for k, t in self._state().items()})

    def keep(self) -> None:
        """Make the training resumable from the step that it has come to, which need be no checkpoint."""
        if self.step > self.kept:
            self._save(self.step)

    def _check(self, step: int) -> None:
        check_layouts(self.weights, self.base)
        self.auxiliary.check_layouts()
        check_alike(self.division, self.weights, step)

    def _state(self) -> State:
        """Raw weights (adapters not merged), what the objective keeps, and the optimizers' tensors."""
        tensors = {f"net/{k}": t for k, t in self.network.state_dict().items()}
        tensors |= {f"base/{k}": t for k, t in moments(self.base, self.weights).items()}
        return tensors | {f"beside/{k}": t for k, t in self.auxiliary.moments().items()}

    def _load(self, tensors: State) -> None:
        groups = _by_kind(tensors)
        self.network.load_state_dict(groups["net"])
        self.base = self.parts.optimizer.build(self.parameters)
        load_moments(self.base, self.weights, groups["base"])
        self.auxiliary.load_moments(groups["beside"], self.parts)

    def _save(self, step: int) -> None:
        began = self.saved = self.lap()
        tensors = self._state() | {f"mean/{k}": t for k, t in self.recorder.state().items()}
        tensors |= {f"best/{k}": t for k, t in self.best.state.items()}
        progress = {
            "step": step,
            "seconds": self.seconds,
            "history": self.history,
            "best": [self.best.score, self.best.step] if self.best.state else None,
            "keep": sorted(self.recorder.keep),
            "initial": self.recorder.initial,
            **self._noted(),
        }
        name = f"state/{step:06d}.safetensors"
        save(self.folder / name, tensors)
        self.files = inventory(self.folder, self.files)
        seal(self.folder, progress, self.files | {name: described(self.folder / name)}, MIDWAY)
        for path in (self.folder / "state").glob("*.safetensors"):
            if path.name != Path(name).name:
                path.unlink()  # only now: until then the seal named the one before
        self.kept = step
        self.writing = time.perf_counter() - began

    def _noted(self) -> dict[str, Any]:
        """What there is to resume from beside tensors."""
        return {}

    def start(self) -> None:
        """Start afresh; of what lies in the folder only what is sealed there stays."""
        self.files = self.before["files"] if self.before else {}
        (self.folder / MIDWAY).unlink(missing_ok=True)
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        self._clear()
        self.recorder.start()

    def _clear(self) -> None:
        """Remove weights that no seal lists: what was written after it was."""
        for path in (self.folder / "weights").glob("*"):
            if path.is_file() and path.relative_to(self.folder).as_posix() not in self.files:
                path.unlink()

    def resume(self, progress: dict[str, Any]) -> None:
        """Go on from the step that was kept.

        Raises:
            DamagedError: what an earlier attempt left is not what it wrote.
        """
        self.files = progress["files"]
        self._clear()
        self._take_up(progress)
        log.info("resumed at step %d of %d", self.step, self.spec.steps)

    def _take_up(self, progress: dict[str, Any]) -> None:
        path = checked(self.folder, f"state/{progress['step']:06d}.safetensors", progress["files"])
        tensors = load_file(path, device=str(self.sources.device))
        self._load(tensors)
        groups = _by_kind(tensors)
        self.step, self.seconds, self.history = progress["step"], progress["seconds"], progress["history"]
        self.kept, checkpoints = self.step, [step for step in self.checkpoints if step <= self.step]
        self.recorder.restore(groups["mean"], self.step, self.step - max(checkpoints, default=0), progress["initial"])
        if progress["best"] is not None:
            best, at = progress["best"]
            self.best = _Snapshot(best, at, groups["best"])

    def finish(self) -> None:
        """Write what comes last; its presence says that the training is whole."""
        self.lap()
        self.recorder.finish()
        end(
            self.spec,
            self.folder,
            self.history,
            self.sources.device,
            seconds=self.seconds,
            initial=self.recorder.initial,
            before=self.before,
            files=self.files,
            division=self.division,
        )
