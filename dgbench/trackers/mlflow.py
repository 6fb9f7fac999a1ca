"""MLflow: an experiment for each board, a run for each training; on a server, in a file of SQLite, or in a folder."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from dgbench.runs.events import Setting, Tracker
from dgbench.trackers.sheets import Sheets

_END = {"ok": "FINISHED", "stopped": "KILLED"}
_STRANGE = re.compile(r"[^\w\-. /]")
"""What no name may have."""


def tracker(where: str | None) -> Tracker:
    """Writes to a tracking URI, as ``sqlite:///mlflow.db``; by default where MLflow itself would."""
    return Sheets(_MLflow(MlflowClient(tracking_uri=where)))


class _MLflow:
    def __init__(self, client: MlflowClient) -> None:
        client.search_experiments(max_results=1)  # who does not answer is named before the work
        self.client = client

    def open(self, board: str, name: str, settings: Mapping[str, Setting], labels: Mapping[str, str]) -> str:
        experiment = self.client.get_experiment_by_name(board)
        place = experiment.experiment_id if experiment else self.client.create_experiment(board)
        before = self.client.search_runs([place], f"tags.`dgbench.sheet` = '{name}'", max_results=1)
        if before:
            run = str(before[0].info.run_id)
            self.client.update_run(run, status="RUNNING")
        else:
            run = str(self.client.create_run(place, tags={"dgbench.sheet": name}, run_name=name).info.run_id)
        params = [Param(_name(key), str(value)) for key, value in settings.items()]
        self.client.log_batch(run, params=params, tags=[RunTag(key, text) for key, text in labels.items()])
        return run

    def write(self, sheet: str, step: int, numbers: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        self.client.log_batch(sheet, metrics=[Metric(_name(key), value, now, step) for key, value in numbers.items()])

    def close(self, sheet: str, status: str, cause: str) -> None:
        self.client.log_batch(sheet, tags=[RunTag("status", status), RunTag("cause", cause)])
        self.client.set_terminated(sheet, _END.get(status, "FAILED"))


def _name(text: str) -> str:
    return _STRANGE.sub("_", text)
