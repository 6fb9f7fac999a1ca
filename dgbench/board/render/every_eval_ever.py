"""A leaderboard as records of Every Eval Ever, a common form of evaluations (schema 0.3.0): one for each algorithm.

A record holds the accuracy on each target, and their mean, with intervals. The predictions that all of it was computed
from are not part of it: they lie in the store.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from dgbench.board.leaderboard import Entry, Leaderboard, Track
from dgbench.board.render import text
from dgbench.core.files import write_json
from dgbench.core.names import file_name
from dgbench.core.version import __version__
from dgbench.core.visible import visible
from dgbench.selection.statistics import LEVEL, Estimate

SCHEMA = "0.3.0"
DEVELOPER = "dgbench"
"""First part of the names of models: algorithms of a board have no repositories of their own."""
_MEAN = ""
"""Stands for the mean over targets where a target's name stands else."""
_RELATIONS = {"": "third_party", "self-reported": "first_party", "recomputed": "collaborative"}
"""Who evaluated, by level; those that were trained again were so by others than their authors."""


def write(board: Leaderboard, folder: Path, at: datetime) -> list[Path]:
    """Write a file for each algorithm, where the collection of Every Eval Ever has them.

    Args:
        board: What is written.
        folder: Where: ``data/BOARD/dgbench/ALGORITHM/UUID.json``. The UUID follows from the record.
        at: When the records are made.

    Returns:
        The paths.
    """
    paths = []
    for entry, content in records(board, at):
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
        name = f"{uuid.UUID(bytes=digest[:16], version=4)}.json"
        path = folder / "data" / file_name(board.info.name) / DEVELOPER / file_name(entry.algorithm) / name
        write_json(path, content)
        paths.append(path)
    return paths


def records(board: Leaderboard, at: datetime) -> Iterator[tuple[Entry, dict[str, Any]]]:
    """Every algorithm with its record."""
    for track in board.tracks:
        for entry in track.entries:
            yield entry, _record(board, track, entry, str(int(at.timestamp())))


def _record(board: Leaderboard, track: Track, entry: Entry, at: str) -> dict[str, Any]:
    info = board.info
    model = f"{DEVELOPER}/{file_name(entry.algorithm)}"
    backbone = {"backbone": entry.backbone, "pretrained_on": entry.pretrained_on or "nothing: random weights"}
    found = [
        (_MEAN, "mean over targets", entry.accuracy),
        *((name, name, each) for name, each in entry.targets.items()),
    ]
    return {
        "schema_version": SCHEMA,
        "evaluation_id": f"{file_name(info.name)}/{model}/{at}",
        "retrieved_timestamp": at,
        "source_metadata": {
            "source_name": visible(info.title),
            "source_type": "evaluation_run",
            "source_organization_name": "dgbench",
            "evaluator_relationship": _RELATIONS.get(entry.level, "third_party"),
            "additional_details": _texts(
                board=info.name, version=info.version, rules=info.rules, level=entry.level or "run by the board",
                **board.provenance,
            ),
        },
        "eval_library": {"name": "dgbench", "version": __version__},
        "model_info": {
            "name": visible(entry.title),
            "id": model,
            "developer": DEVELOPER,
            "additional_details": _texts(
                deployment_type="self_deployed", model_availability="unknown", algorithm=entry.algorithm, **backbone
            ),
        },
        "evaluation_results": [
            _result(board, track, entry, key, said, estimate)
            for key, said, estimate in found
            if math.isfinite(estimate.mean)
        ],
    }  # fmt: skip


def _result(board: Leaderboard, track: Track, entry: Entry, key: str, said: str, estimate: Estimate) -> dict[str, Any]:
    info, place = board.info, [] if key == _MEAN else [file_name(key)]
    score = text.score(board)
    trials = entry.trials if info.looks else info.trials
    return {
        "evaluation_result_id": "/".join([file_name(info.name), track.name, *place, info.headline.name]),
        "evaluation_name": visible(f"{info.title}, {track.name} track: {said}"),
        "source_data": {
            "dataset_name": visible(info.dataset),
            "source_type": "other",
            "additional_details": _texts(target=said, protocol=info.protocol),
        },
        "metric_config": {
            "evaluation_description": f"{score} of the models that the criterion chose, on domains never seen.",
            "metric_id": info.headline.name,
            "metric_name": score,
            "metric_kind": info.headline.name,
            "metric_unit": "proportion",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": 1,
            "additional_details": _texts(criterion=board.criterion.name, trials=trials, draws=info.draws),
        },
        "score_details": {"score": estimate.mean, **_rank(entry, key), **_uncertainty(estimate)},
    }


def _rank(entry: Entry, key: str) -> dict[str, Any]:
    """Both ends of the interval of ranks, which are by the mean over targets."""
    if key != _MEAN or entry.rank is None:
        return {}
    return {"details": _texts(rank=entry.rank, rank_worst=entry.rank_worst)}


def _uncertainty(estimate: Estimate) -> dict[str, Any]:
    """The interval; nothing where chance cannot be measured."""
    if estimate.interval is None:
        return {}
    low, high = estimate.interval
    interval = {"lower": low, "upper": high, "confidence_level": LEVEL, "method": "t, over trials; targets are fixed"}
    return {"uncertainty": {"confidence_interval": interval, "num_samples": estimate.n}}


def _texts(**values: object) -> dict[str, str]:
    """Details, which are text in this form."""
    return {key.replace(" ", "_"): visible(str(value)) for key, value in values.items()}
