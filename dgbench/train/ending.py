"""What a finished training says of itself, and how it is sealed, whether it was done for the first time or again."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch

from dgbench.core.files import whole
from dgbench.core.memory import most_resident
from dgbench.core.provenance import revision
from dgbench.core.seals import Files, inventory, seal
from dgbench.train.division import WHOLE, Division
from dgbench.train.environment import environment
from dgbench.train.spec import TrainingSpec

log = logging.getLogger(__name__)

_HISTORY = ("step", "loss", "domain", "accuracy", "nll", "n")
"""The columns of a history, in an order that stopping and resuming does not change."""

History = Sequence[dict[str, Any]]
"""What checkpoints measured on held-out clean images: a row for each checkpoint and source domain, with ``step``,
``loss`` (None where no step was taken), ``domain``, ``accuracy`` in [0, 1], ``nll`` in nats, and ``n``. Of values they
are minus the root-mean-square error, and the mean squared error of standardised values."""


def end(
    spec: TrainingSpec,
    folder: Path,
    rows: History,
    device: torch.device,
    *,
    seconds: float,
    initial: dict[str, str | None],
    before: dict[str, Any] | None,
    files: Files,
    division: Division = WHOLE,
) -> None:
    """Write what comes last; its presence says that the training is whole.

    Args:
        spec, folder, rows, device: Which, where, what was measured, on what.
        seconds: How long it took.
        initial: Digests of the weights before the first step.
        before: The seal of the training, if it was finished before: what it noted stays.
        files: Those whose content is known.
        division: What its steps were divided into.
    """
    history = pl.DataFrame(rows).select(_HISTORY).cast({"loss": pl.Float64})
    note = {
        "seconds": round(seconds, 3),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        **cost(device),
        "images": spec.steps * spec.batch,
        "torch": torch.__version__,
        "dgbench": revision(),
        "environment": environment(device) | division.noted(),
        "initial": initial,
    }
    if before is None:
        with whole(folder / "history.parquet") as temporary:
            history.write_parquet(temporary)
    else:
        if not history.equals(pl.read_parquet(folder / "history.parquet")):
            log.warning(
                "training %s, done again for weights that were not kept, came out otherwise: on %s with torch %s, "
                "where it was %s with torch %s. What is predicted from the new weights does not come from the "
                "very model that earlier predictions come from",
                *(spec.id, note["device"], note["torch"], before["device"], before["torch"]),
            )
        note = {key: value for key, value in before.items() if key != "files"}
    seal(folder, note, inventory(folder, files))
    shutil.rmtree(folder / "state", ignore_errors=True)


def cost(device: torch.device) -> dict[str, int | None]:
    """The memory that work took, in bytes, as seals note it.

    ``memory_bytes`` is the most that was resident of the process so far, whatever else it has done;
    ``peak_bytes`` the most that tensors took on an accelerator, None where none did the work.
    """
    return {
        "memory_bytes": most_resident(),
        "peak_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    }
