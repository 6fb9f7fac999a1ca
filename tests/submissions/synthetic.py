"""Submissions with known answers: predictions drawn from a simple law, for the examples that a real board asks for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dgbench.api.boards import rules
from dgbench.core.cards import BoardCard, CaseRules, TrainingRules
from dgbench.core.recipe import compose, drawn, space_of
from dgbench.core.results import Measurement, Result
from dgbench.core.seals import described
from dgbench.core.spec import identity
from dgbench.selection.criteria import CRITERIA
from dgbench.selection.predictions import PREDICTIONS, scores_kept, summarise
from dgbench.submissions.asked import Asked
from dgbench.submissions.evidence import file_of
from dgbench.submissions.make import slug, write
from dgbench.submissions.runs import Row, from_table
from small import FEW

CLASSES = 10


def toy_board(**changes: Any) -> BoardCard:
    """One target of digits, two trials, two draws, chosen on clean source images: few and small tables."""
    training = TrainingRules(steps=4, checkpoints=2, batch_per_domain=4)
    own = {
        "name": "toy", "criterion": "source", "trials": 2, "draws": 2, "algorithms": ("erm",), "training": training,
        "split": FEW,
        "cases": {"digits": CaseRules(targets=("print",))},
    }  # fmt: skip
    return rules(rules("quick").model_copy(update=own | changes))


Skill = Callable[[dict[str, Any]], float]
"""How likely a prediction is right, of a stream: split, domain, view, target, trial, draw, step."""


def usual(stream: dict[str, Any]) -> float:
    """Better with steps and draws on validation, worse on the target."""
    gain = 0.02 * stream["draw"] + 0.01 * stream["step"]
    return 0.8 + gain if stream["split"] == "validation" else 0.6 - gain


def predict(name: str, asked: Asked, target: str, trial: int, draw: int, skill: Skill = usual) -> pl.DataFrame:
    """The predictions of a run."""
    case = asked.cases[target]
    needed = asked.streams(case, frozenset(), CRITERIA[asked.board.criterion])
    streams = sorted(needed, key=lambda stream: (stream[0] == "target", stream))
    tables = []
    for step in list(asked.steps())[-2:]:
        for split, domain, view in streams:
            stream = {"step": step, "split": split, "domain": domain, "view": view}
            examples = asked.examples(split, case.dataset, domain, trial, shifted=view != "clean")
            assert examples is not None
            labels = examples["label"].to_numpy().astype(np.int64)
            key = canonical_seed(name, target, trial, draw, *stream.values())
            random = np.random.default_rng(key)
            likely = skill(stream | {"target": target, "trial": trial, "draw": draw})
            right = random.random(len(labels)) < likely
            prediction = np.where(right, labels, (labels + random.integers(1, CLASSES, len(labels))) % CLASSES)
            logits = random.standard_normal((len(labels), CLASSES)).astype(np.float32)
            logits[np.arange(len(labels)), prediction] = logits.max(1) + random.random(len(labels)) + 0.5
            chances = np.exp(logits - logits.max(1, keepdims=True))
            chances /= chances.sum(1, keepdims=True)
            rows = np.arange(len(labels))
            columns = {
                **{key: [value] * len(labels) for key, value in stream.items()},
                **examples.to_dict(as_series=False), "group": [None] * len(labels), "prediction": prediction,
                "confidence": chances[rows, prediction], "p_label": chances[rows, labels],
            }  # fmt: skip
            tables.append(with_scores(columns, logits, prediction, kept=view == "clean"))
    return pl.concat(tables)


def with_scores(columns: dict[str, Any], logits: Any, prediction: Any, *, kept: bool) -> pl.DataFrame:
    table = pl.DataFrame(columns, strict=False)
    scores = scores_kept(logits, prediction, "logits")
    scores = (
        scores if kept else scores.with_columns(pl.lit(None, kind).alias(name) for name, kind in scores.schema.items())
    )
    return table.hstack(scores).select(PREDICTIONS.names()).cast(PREDICTIONS)  # type: ignore[arg-type]


def canonical_seed(*of: Any) -> int:
    return int(hashlib.sha256(repr(of).encode()).hexdigest()[:8], 16)


def row_of(path: Path, place: dict[str, Any], asked: Asked, board: BoardCard, recipe: str) -> Row:
    """The row of a run whose predictions lie in a file."""
    table = pl.read_parquet(path)
    size, sha256 = described(path)
    case = asked.cases[place["target"]]
    measured = tuple(Measurement(**cells) for cells in asked.summarised(table, case.dataset).iter_rows(named=True))
    lr = space_of(compose(recipe), board)["optimizer.lr"]
    learned = (case.dataset, *case.sources)
    rate = drawn(lr, "optimizer.lr", place["draw"], learned, place["trial"]) if place["draw"] else 4e-3
    return Row(
        **place, dataset=case.dataset, sources=json.dumps(case.sources), domain=case.target, families="[]",
        hyperparameters=json.dumps({"optimizer": {"part": "adamw", "lr": rate}}), passes=1.0, without_effect="",
        train_seconds=1.0, run_seconds=0.5, device="cpu", sha256=sha256, bytes=size, rows=table.height,
        result=Result(status="ok", last_step=measured[-1].step, metrics=measured),
    )  # fmt: skip


def envelope(board: BoardCard, asked: Asked, recipe: str | None, id_: str, **changes: Any) -> dict[str, Any]:
    """What a good submission says, but for what follows from its runs."""
    track = "inductive"
    return {
        "id": id_,
        "board": {"name": board.name, "version": board.version, "rules": asked.rules},
        "data": {name: known.manifest for name, known in asked.outlines.items()},
        "method": {"title": "A method", "recipe": recipe, "authors": ("A. Author",)},
        "claims": {
            "criterion": board.criterion, "track": track, "backbone": board.tracks[track], "pretrained_on": "Letters",
        },
        "chosen": [], "scores": [],
        "provenance": {
            "dgbench": ("0.1.0 (0123456789ab)",), "torch": ("2.9",), "devices": ("cpu",),
            "made": "2026-11-25T12:00:00Z",
        },
    } | changes  # fmt: skip


def submit(
    out: Path, board: BoardCard, recipe: str | None = "erm", *, name: str = "", number: int = 1, skill: Skill = usual
) -> Path:
    """Write a good submission."""
    asked = Asked.of(board)
    called = name or slug(recipe or "method")
    folder = out / f"{called}@{number}"
    (folder / "predictions").mkdir(parents=True)
    rows = []
    for target, trial, draw in asked.cells(asked.board.trials):
        run = identity({"method": called, "target": target, "trial": trial, "draw": draw})
        place = {"run": run, "training": run, "target": target, "trial": trial, "draw": draw}
        path = folder / "predictions" / f"{run}.parquet"
        predict(called, asked, target, trial, draw, skill).write_parquet(path, compression="zstd")
        rows.append(row_of(path, place, asked, board, recipe or "erm"))
    assert all((folder / file_of(row)).is_file() for row in rows)
    write(folder, envelope(board, asked, recipe, folder.name), rows)
    return folder


Edit = Callable[[Any], Any]


def tamper(folder: Path, *, says: Edit | None = None, rows: Edit | None = None, announce: bool = True) -> None:
    """Change what a submission says, or its table of runs, as someone would who knows the format: hashes fit again.

    Args:
        folder: Of the submission.
        says: Changes the content of ``submission.json``, in place.
        rows: Makes another table of ``runs.parquet``.
        announce: Whether the envelope follows a changed table.
    """
    path, table = folder / "submission.json", folder / "runs.parquet"
    content = json.loads(path.read_text())
    if rows is not None:
        changed = rows(pl.read_parquet(table))
        changed.write_parquet(table)
        size, sha256 = described(table)
        if announce:
            content["runs"] = {"sha256": sha256, "bytes": size, "rows": changed.height}
    if says is not None:
        says(content)
    path.write_text(json.dumps(content))


def repredict(
    folder: Path, change: Callable[[pl.DataFrame, dict[str, Any]], pl.DataFrame], *, report: bool = True
) -> None:
    """Change the predictions of every run; what is reported of them follows, if it is to, and choices do not."""

    def edit(table: pl.DataFrame) -> pl.DataFrame:
        rows = []
        for row in table.iter_rows(named=True):
            path = folder / "predictions" / f"{row['run']}.parquet"
            changed = change(pl.read_parquet(path), row)
            changed.write_parquet(path)
            size, sha256 = described(path)
            own = {"bytes": size, "sha256": sha256, "rows": changed.height}
            if report:
                metrics = summarise(changed).to_dicts()
                own["result"] = json.dumps(json.loads(row["result"]) | {"metrics": metrics})
            rows.append(row | own)
        return pl.DataFrame(rows, schema=table.schema)

    tamper(folder, rows=edit)


def choose_again(folder: Path) -> None:
    """Let choices and scores follow from what is reported."""
    content = json.loads((folder / "submission.json").read_text())
    del content["schema"]
    write(folder, content, from_table(pl.read_parquet(folder / "runs.parquet")))
