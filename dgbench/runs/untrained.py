"""A model as it is: planned and kept as a training that takes no step, so that whatever reads trainings reads it."""

from __future__ import annotations

import time
from pathlib import Path

from dgbench.core.pieces import checkpoint, file
from dgbench.core.seals import sealed
from dgbench.runs.setting import Setting
from dgbench.train.ending import end
from dgbench.train.evaluate import evaluating, validation
from dgbench.train.parts import attach
from dgbench.train.trajectory import digest, initial, save


def leave(setting: Setting, folder: Path) -> None:
    """Leave a model as it is in a folder, as a finished training: what it says of validation images, and its weights.

    Raises:
        DamagedError: what it starts from is not there, or not what was written.
        DGBenchError: its head cannot be had.
    """
    clock, spec, before = time.perf_counter(), setting.spec, sealed(folder)
    network, sources = setting.initial_network(), setting.sources()
    attach(spec, setting.parts, network)
    with evaluating(network):
        rows = [{"step": 0, "loss": None, **validation(network, domain)} for domain in sources.validating]
    first = initial(network)
    save(folder / file(checkpoint(0)), first.moving)
    digests = {kind: digest(state) for kind, state in first._asdict().items()}
    seconds, files = time.perf_counter() - clock, before["files"] if before else {}
    end(spec, folder, rows, setting.device, seconds=seconds, initial=digests, before=before, files=files)
