"""The reference benchmark's tables, written down from what they are said to be, in plain Python and without haste.

It reads the lines itself and shares nothing with dgbench.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

Record = Mapping[str, Any]


def lines(folder: Path) -> list[Record]:
    """Every record of every job."""
    return [json.loads(text) for path in sorted(folder.glob("*/results.jsonl")) for text in path.open()]


def envs(record: Record) -> int:
    return sum(key.endswith("_out_acc") for key in record)


def earliest_best(pairs: list[tuple[float, float]]) -> tuple[float, float] | None:
    """A later checkpoint wins only if it is above the best before; nothing is above NaN."""
    best: tuple[float, float] | None = None
    for pair in pairs:
        if best is None or pair[0] > best[0]:
            best = pair
    return best


def iid(records: list[Record], target: int) -> tuple[float, float] | None:
    pairs = []
    for record in records:
        if record["args"]["test_envs"] == [target]:
            sources = [record[f"env{env}_out_acc"] for env in range(envs(record)) if env != target]
            pairs.append((fmean(sources), record[f"env{target}_in_acc"]))
    return earliest_best(pairs)


def lodo(records: list[Record], target: int) -> tuple[float, float] | None:
    pairs = []
    for step in sorted({record["step"] for record in records}):
        here = [record for record in records if record["step"] == step]
        alone = [record for record in here if record["args"]["test_envs"] == [target]]
        if len(alone) != 1:
            continue
        scores = []
        for other in range(envs(alone[0])):
            both = [record for record in here if sorted(record["args"]["test_envs"]) == sorted([target, other])]
            if other != target and both:
                scores.append(both[-1][f"env{other}_in_acc"])
        if len(scores) == envs(alone[0]) - 1:
            pairs.append((fmean(scores), alone[0][f"env{target}_in_acc"]))
    return earliest_best(pairs)


def oracle(records: list[Record], target: int) -> tuple[float, float] | None:
    alone = [record for record in records if record["args"]["test_envs"] == [target]]
    if not alone:
        return None
    last = max(record["step"] for record in alone)
    chosen = [record for record in alone if record["step"] == last][-1]
    return chosen[f"env{target}_out_acc"], chosen[f"env{target}_in_acc"]


def swept(records: list[Record], target: int, criterion: Any) -> float | None:
    """What a trial reports: of the seeds of hyperparameters the one with the best score, the largest of equals."""
    best: tuple[float, float] | None = None
    for seed in sorted({record["args"]["hparams_seed"] for record in records}):
        pick = criterion([record for record in records if record["args"]["hparams_seed"] == seed], target)
        if pick is not None:
            score = -math.inf if math.isnan(pick[0]) else pick[0]
            if best is None or score >= best[0]:
                best = score, pick[1]
    return None if best is None else best[1]


def cell(values: list[float]) -> str:
    if not values:
        return "X"
    if any(map(math.isnan, values)):
        return "nan +/- nan"
    return f"{100 * fmean(values):.1f} +/- {100 * pstdev(values) / math.sqrt(len(values)):.1f}"


def average(columns: list[list[float]]) -> str:
    return f"{sum(100 * fmean(values) for values in columns) / len(columns):.1f}" if all(columns) else "X"


def tables(folder: Path) -> dict[tuple[str, str], dict[str, list[str]]]:
    """The cells of each table, by criterion and dataset, for each algorithm."""
    records = lines(folder)
    names = {record["args"]["algorithm"] for record in records}
    datasets = {record["args"]["dataset"]: envs(record) for record in records}
    order = sorted(datasets, key=["ColoredMNIST", "RotatedMNIST", "VLCS", "PACS", "OfficeHome"].index)
    trials = sorted({record["args"]["trial_seed"] for record in records})
    made: dict[tuple[str, str], dict[str, list[str]]] = {}
    for name, criterion in (("iid", iid), ("lodo", lodo), ("oracle", oracle)):
        for algorithm in names:
            averages = []
            for dataset in order:
                found: dict[int, dict[int, float]] = {}
                for target in range(datasets[dataset]):
                    for trial in trials:
                        group = [
                            record
                            for record in records
                            if target in record["args"]["test_envs"]
                            and (record["args"]["dataset"], record["args"]["algorithm"], record["args"]["trial_seed"])
                            == (dataset, algorithm, trial)
                        ]
                        value = swept(group, target, criterion)
                        found.setdefault(target, {})
                        if value is not None:
                            found[target][trial] = value
                columns = [list(values.values()) for values in found.values()]
                made.setdefault((name, dataset), {})[algorithm] = [*map(cell, columns), average(columns)]
                means = [[values[trial] for values in found.values() if trial in values] for trial in trials]
                averages.append([fmean(each) for each in means if each])
            made.setdefault((name, "Averages"), {})[algorithm] = [*map(cell, averages), average(averages)]
    return made
