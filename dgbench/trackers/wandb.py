"""Weights & Biases: a run for each training, grouped by board; with ``WANDB_MODE=offline`` on this machine alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import wandb

from dgbench.core.names import file_name
from dgbench.runs.events import Setting, Tracker
from dgbench.trackers.sheets import Sheets

if TYPE_CHECKING:
    from wandb import Run


def tracker(where: str | None) -> Tracker:
    """Writes to a project, by default ``dgbench``."""
    return Sheets(_Wandb(where or "dgbench"))


class _Wandb:
    def __init__(self, project: str) -> None:
        self.project = project

    def open(self, board: str, name: str, settings: Mapping[str, Setting], labels: Mapping[str, str]) -> Run:
        # Of the machine nothing is told: no path, no name, no program.
        quiet = wandb.Settings(
            console="off",
            disable_git=True,
            save_code=False,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_disable_stats=True,
        )
        run = wandb.init(
            project=self.project,
            id=file_name(f"{board}-{name}"),
            name=name,
            group=board,
            config={**settings, **labels},
            resume="allow",
            reinit="create_new",
            settings=quiet,
        )
        run.define_metric("*", step_metric="step")  # its own steps may only grow
        return run

    def write(self, sheet: Run, step: int, numbers: Mapping[str, float]) -> None:
        sheet.log({"step": step, **numbers})

    def close(self, sheet: Run, status: str, cause: str) -> None:
        sheet.summary.update({"status": status, "cause": cause})
        sheet.finish(exit_code=int(status != "ok"))
