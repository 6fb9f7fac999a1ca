"""Submissions of methods from other code bases: a plain table for each run and checkpoint becomes what a board checks.

    predictions/
      method.toml                              title, track, backbone, ... (:class:`About`)
      <case>/trial0-draw0-step100.csv          sample_id, view, probabilities p_0, p_1, ... or a class; or .parquet

``<case>`` is the folder that the kit's ``board.json`` names, ``step`` one of its checkpoints (the last one for methods
without). A column ``domain`` is needed only where a picture is in several domains. Everything else comes from the data.
Where only classes are known, likelihoods are not, and criteria that need them refuse.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from pydantic import Field

from dgbench.core.cards import BoardCard, Card
from dgbench.core.cases import Case
from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import RecordError, StoreError
from dgbench.core.files import whole_folder
from dgbench.core.names import file_name
from dgbench.core.registry import Track
from dgbench.core.results import Result
from dgbench.core.seals import described
from dgbench.core.spec import identity
from dgbench.core.toml import read_toml, validated
from dgbench.data.disk.locate import locate
from dgbench.selection.criteria import ranking
from dgbench.selection.predictions import AGAIN, PREDICTIONS, scores_kept
from dgbench.submissions.asked import Asked
from dgbench.submissions.evidence import file_of
from dgbench.submissions.make import slug, write
from dgbench.submissions.record import Line
from dgbench.submissions.runs import Row

_NAME = re.compile(r"trial(\d{1,6})-draw(\d{1,6})-step(\d{1,9})\.(csv|parquet)")
_SUM = 1e-3
"""What probabilities may miss one by."""


class About(Card):
    """``method.toml``.

    Attributes:
        title: As tables show it.
        track, backbone, pretrained_on, extra_data, deterministic: As in :class:`~dgbench.submissions.record.Claims`.
        version, authors, paper, code, licence, contact: As in :class:`~dgbench.submissions.record.Method`.
        families: Shift families that training images went through.
        hyperparameters: A table for each draw, from draw 0 on; nothing if there is one draw.
    """

    title: Annotated[str, Field(min_length=1, max_length=100)]
    track: Track = "inductive"
    backbone: Line = "none"
    pretrained_on: Annotated[str, Field(max_length=1000)] = ""
    extra_data: tuple[Line, ...] = ()
    deterministic: bool = False
    version: Line | None = None
    authors: tuple[Line, ...] = ()
    paper: Line | None = None
    code: Line | None = None
    licence: Line | None = None
    contact: Line | None = None
    families: tuple[Line, ...] = ()
    hyperparameters: tuple[dict[str, Any], ...] = ()


def from_tables(board: BoardCard, folder: Path, out: Path, *, number: int = 1) -> Path:
    """Write the submission of a method by its tables; a folder that is whole or absent.

    Args:
        board: The rules.
        folder: Where ``method.toml`` and the tables lie.
        out: The folder that the submission, ``my-method@1``, is put into.
        number: Of the submission, for one method.

    Raises:
        RecordError, CardError: a table or ``method.toml`` does not fit; the message names the file, and what is wrong.
        StoreError: something is there under that name.
        DataError: a dataset of the board is not on this machine.
    """
    about = read_toml(folder / "method.toml", About)
    asked = Asked.of(board)
    for name in board.dataset:
        if not asked.at_hand(name):
            locate(dataset_card(name))
    id_ = f"{slug(about.title)}@{number}"
    if (out / id_).exists():
        raise StoreError(f"{out / id_} is there already; remove it, or give the submission another number")
    found = _found(folder, asked)
    with whole_folder(out / id_) as unfinished:
        (unfinished / "predictions").mkdir()
        rows = []
        for (target, trial, draw), paths in sorted(found.items()):
            table = _predictions(asked, asked.cases[target], trial, paths)
            rows.append(_written(table, unfinished, asked, (target, trial, draw), about))
        write(unfinished, _envelope(asked, about, id_), rows, asked.board.selection.average)
    return out / id_


def _found(folder: Path, asked: Asked) -> dict[tuple[str, int, int], dict[int, Path]]:
    """The tables of each run by step."""
    cases = {file_name(name): name for name in asked.cases}
    found: dict[tuple[str, int, int], dict[int, Path]] = {}
    for path in sorted(folder.glob("*/*")):
        named = _NAME.fullmatch(path.name)
        if path.parent.name not in cases or named is None:
            raise RecordError(
                f"{path}: expected CASE/trial0-draw0-step{asked.steps()[-1]}.csv or .parquet, with CASE one of "
                f"{', '.join(list(cases)[:10])}"
            )
        trial, draw, step = map(int, named.groups()[:3])
        steps = found.setdefault((cases[path.parent.name], trial, draw), {})
        if step in steps:
            raise RecordError(f"{path}: there is {steps[step].name}, too; keep one of them")
        steps[step] = path
    if not found:
        raise RecordError(f"{folder}: there is no table; one for each case, trial and draw is needed")
    return found


def _predictions(asked: Asked, case: Case, trial: int, paths: dict[int, Path]) -> pl.DataFrame:
    """The predictions of a run, as dgbench keeps its own."""
    tables = []
    for step, path in sorted(paths.items()):
        given = _read(path, asked.outlines[case.dataset].classes)
        streams = sorted(asked.streams(case, frozenset(), ranking(asked.board.criterion, asked.board.name)))
        if (given["view"] == AGAIN).any():
            streams.append((AGAIN, case.target, "clean"))
        tables += [_stream(asked, case, trial, (step, *stream), given, path) for stream in streams]
        known = sum(table.height for table in tables if table["step"][0] == step)
        if known != given.height:
            raise RecordError(f"{path}: {given.height - known} rows are of no example that is asked for, or are double")
    return pl.concat(tables)


def _read(path: Path, classes: int) -> pl.DataFrame:
    """A table as ``sample_id, view, domain``, and ``chances``, a list for each row, or the predicted ``class``."""
    try:
        if path.suffix == ".csv":
            table = pl.read_csv(path, schema_overrides={"sample_id": pl.String, "view": pl.String, "domain": pl.String})
        else:
            table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from error
    chances = [f"p_{number}" for number in range(classes)]
    asked = ["sample_id", "view", *(["class"] if "class" in table.columns else chances)]
    if missing := [name for name in asked if name not in table.columns]:
        raise RecordError(
            f"{path}: the column '{missing[0]}' is missing; there must be sample_id, view, and p_0, p_1, ... or class"
        )
    if both := [name for name in chances if name in table.columns and "class" in asked]:
        raise RecordError(f"{path}: there is '{both[0]}', and 'class', too; keep probabilities, or classes")
    domain = pl.col("domain") if "domain" in table.columns else pl.lit(None, pl.String).alias("domain")
    said = _classes(table, classes, path) if "class" in asked else _chances(table.select(chances), path)
    return table.select("sample_id", "view", domain).with_columns(said)


def _chances(table: pl.DataFrame, path: Path) -> pl.Series:
    try:
        numbers = table.cast(pl.Float64).to_numpy()
    except pl.exceptions.PolarsError as error:
        raise RecordError(f"{path}: a probability is no number") from error
    if not (np.isfinite(numbers).all() and (numbers >= 0).all() and (abs(numbers.sum(1) - 1) < _SUM).all()):
        raise RecordError(f"{path}: probabilities are numbers from 0 to 1 that sum to 1 in every row")
    return pl.Series("chances", numbers.tolist(), pl.List(pl.Float64))


def _classes(table: pl.DataFrame, classes: int, path: Path) -> pl.Series:
    wrong = f"{path}: a class is its place in the list of board.json, a whole number from 0 to {classes - 1}"
    try:
        numbers = table["class"].cast(pl.Int64)
    except pl.exceptions.PolarsError as error:
        raise RecordError(wrong) from error
    if table["class"].dtype.is_float() or numbers.is_null().any() or not numbers.is_between(0, classes - 1).all():
        raise RecordError(wrong)
    return numbers


def _stream(
    asked: Asked, case: Case, trial: int, name: tuple[int, str, str, str], given: pl.DataFrame, path: Path
) -> pl.DataFrame:
    _, split, domain, view = name
    examples = asked.examples(split, case.dataset, domain, trial, shifted=view != "clean")
    assert examples is not None
    own = given.filter(
        (pl.col("view") == (AGAIN if split == AGAIN else view))
        & (pl.col("domain").is_null() | (pl.col("domain") == domain))
    )
    joined = examples.join(own, left_on="sample", right_on="sample_id", how="inner", maintain_order="left")
    if joined.height != examples.height:
        what = "are missing" if joined.height < examples.height else "are double"
        count = abs(examples.height - joined.height)
        shown = f"target of {domain}, view {AGAIN}" if split == AGAIN else f"{split} of {domain}, view {view}"
        raise RecordError(f"{path}: {count} examples of the {shown}, {what}")
    table = pl.DataFrame([name] * joined.height, schema=["step", "split", "domain", "view"], orient="row").with_columns(
        joined["index"], joined["sample"], joined["group"], joined["label"]
    )
    if "class" in joined.columns:
        table = table.with_columns(prediction=joined["class"])
    else:
        chances = np.array(joined["chances"].to_list(), np.float32)
        labels, rows = joined["label"].to_numpy(), np.arange(joined.height)
        prediction = chances.argmax(1)
        table = table.with_columns(
            prediction=pl.Series(prediction),
            confidence=pl.Series(chances[rows, prediction]),
            p_label=pl.Series(chances[rows, labels]),
        )
        if view == "clean":
            table = table.hstack(scores_kept(chances, prediction, "probabilities"))
    lacking = [pl.lit(None, kind).alias(column) for column, kind in PREDICTIONS.items() if column not in table.columns]
    return table.with_columns(lacking).select(PREDICTIONS.names()).cast(PREDICTIONS)


def _written(table: pl.DataFrame, folder: Path, asked: Asked, cell: tuple[str, int, int], about: About) -> Row:
    target, trial, draw = cell
    case = asked.cases[target]
    result = Result.measured(asked.summarised(table, case.dataset).to_dicts())
    about_run = {"method": about.title, "rules": asked.rules, "cell": list(cell)}
    run = identity(about_run | {"digests": [one.digest for one in result.metrics]})
    tried = about.hyperparameters[draw] if draw < len(about.hyperparameters) else {}
    fields: dict[str, Any] = {
        "run": run, "training": run, "target": target, "dataset": case.dataset, "sources": json.dumps(case.sources),
        "domain": case.target, "trial": trial, "draw": draw, "hyperparameters": json.dumps(tried),
        "families": json.dumps(about.families), "passes": 0.0, "without_effect": "", "train_seconds": 0.0,
        "run_seconds": 0.0, "device": "another code base", "result": result.model_dump(),
        "sha256": "0" * 64, "bytes": 1, "rows": table.height,
    }  # fmt: skip
    path = folder / file_of(validated(fields, Row, f"run {run}"))
    table.write_parquet(path, compression="zstd")
    size, sha256 = described(path)
    return validated(fields | {"sha256": sha256, "bytes": size}, Row, f"run {run}")


def _envelope(asked: Asked, about: About, id_: str) -> dict[str, Any]:
    method = ("title", "version", "authors", "paper", "code", "licence", "contact")
    claims = ("track", "backbone", "pretrained_on", "extra_data", "deterministic")
    said = about.model_dump()
    return {
        "id": id_,
        "board": {"name": asked.board.name, "version": asked.board.version, "rules": asked.rules},
        "data": {name: known.manifest for name, known in asked.outlines.items()},
        "method": {key: said[key] for key in method},
        "claims": {key: said[key] for key in claims} | {"criterion": asked.board.criterion},
        "chosen": [],
        "scores": [],
        "provenance": {"made": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
    }
