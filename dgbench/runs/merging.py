"""Merging trainings: one set of weights from those of several, kept as a training that takes no step."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from dgbench.algorithms.averaging.merging import Merging, Validated
from dgbench.algorithms.slots import State
from dgbench.core.errors import DivergedError
from dgbench.core.pieces import checkpoint, file
from dgbench.core.seals import sealed
from dgbench.models.effective import apart, load_effective
from dgbench.runs.parts import part_of
from dgbench.runs.setting import Setting, stored
from dgbench.train.ending import end
from dgbench.train.evaluate import evaluating, judged, mean, validation_scores
from dgbench.train.spec import TRAININGS
from dgbench.train.trajectory import digest, save


class StoredMembers:
    """Finished trainings, and a network that looks at weights; fills the contract ``Members``."""

    def __init__(self, setting: Setting, ids: list[str]) -> None:
        store, device = setting.store, setting.device
        self.spec = setting.spec
        self.trajectories = [stored(store.training(id_), store, device) for id_ in ids]
        self.network = setting.initial_network()
        self.sources = setting.sources()

    def rows(self, state: State) -> list[dict[str, Any]]:
        """What weights say of each source domain that validates; of several networks, what they say together."""
        said = []
        for one in apart(state):
            load_effective(self.network, one)
            with evaluating(self.network):
                said.append([validation_scores(self.network, domain) for domain in self.sources.validating])
        each = zip(*said, self.sources.validating, strict=True)
        return [judged(scores, domain) for *scores, domain in each]

    def validated(self, state: State) -> Validated:
        """Means of :meth:`rows`, as the training averages them."""
        rows = self.rows(state)
        return Validated(*(mean(rows, name, self.spec.average) for name in Validated._fields))

    def generator(self) -> torch.Generator:
        """Seeded by sources and trial."""
        return torch.Generator().manual_seed(self.spec.seed("merge"))

    def squared_gradients(self, state: State, images: int) -> State:
        """Image by image: there are few, and any network will do."""
        load_effective(self.network, state)
        self.network.eval()
        weights, draw = dict(self.network.named_parameters()), self.generator()
        sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        each, count = -(-images // len(self.sources.domains)), 0
        for domain in self.sources.domains:
            rows = domain.train[torch.randperm(len(domain.train), generator=draw)[:each]]
            for row in rows[:, None]:
                scores = F.log_softmax(self.network(domain.inputs.ready(row)), 1)
                drawn = torch.multinomial(scores.detach().exp().cpu(), 1, generator=draw).to(scores.device)
                slopes = torch.autograd.grad(scores.gather(1, drawn).sum(), list(weights.values()), allow_unused=True)
                for total, slope in zip(sums.values(), slopes, strict=True):
                    if slope is not None:
                        total.addcmul_(slope, slope)
            count += len(rows)
        return {name: (total / count).cpu() for name, total in sums.items()}


def merge(setting: Setting, folder: Path) -> None:
    """Leave the merge of finished trainings in a folder, as a finished training.

    Raises:
        DivergedError: what comes out is no network whose loss is finite.
        DamagedError: weights that are merged are not there, or not what was written.
    """
    clock, spec, before = time.perf_counter(), setting.spec, sealed(folder)
    assert spec.merged is not None
    part: Merging = part_of("averaging", spec.merged, f"training {spec.id}")
    members = StoredMembers(setting, spec.merged[TRAININGS])
    state = part.merge(members)
    step = spec.checkpoint_steps()[-1]
    rows = [{"step": step, "loss": None, **row} for row in members.rows(state)]
    if not all(math.isfinite(row["nll"]) for row in rows):
        raise DivergedError(step)
    moving = {name for one in members.trajectories for name in one.moved}
    weights = {name: tensor for name, tensor in sorted(state.items()) if name.rpartition("/")[2] in moving}
    save(folder / file(checkpoint(step)), weights)
    initial = {kind: digest(found) for kind, found in setting.initial()._asdict().items()}
    seconds = time.perf_counter() - clock
    files = before["files"] if before else {}
    end(spec, folder, rows, setting.device, seconds=seconds, initial=initial, before=before, files=files)
