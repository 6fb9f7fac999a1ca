"""Making submissions of what a store holds of a board's algorithms."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from pyarrow import parquet

from dgbench.core.cards import AlgorithmCard, Average, BoardCard, algorithm_card, card_names
from dgbench.core.dataset_card import headlines, refuse_values
from dgbench.core.elsewhere import refuse
from dgbench.core.errors import StoreError
from dgbench.core.files import whole_folder
from dgbench.core.recipe import Recipe, compose
from dgbench.core.results import RESULT, Result
from dgbench.core.rules import rules_identity
from dgbench.core.seals import described
from dgbench.core.spec import Spec
from dgbench.core.toml import validated
from dgbench.runs.roll import earlier_of
from dgbench.runs.store import Store
from dgbench.selection.criteria import CRITERIA, choose
from dgbench.selection.measures import summarised
from dgbench.selection.predictions import PREDICTIONS
from dgbench.selection.records import CANDIDATE, CELL
from dgbench.submissions.evidence import file_of
from dgbench.submissions.record import SUBMISSION, Submission
from dgbench.submissions.runs import Row, as_records, as_table


def make(
    board: BoardCard,
    index: Mapping[str, Any],
    store: Store,
    out: Path,
    *,
    number: int = 1,
    authors: Sequence[str] = (),
    code: str | None = None,
) -> list[Path]:
    """Write a submission of each of a board's algorithms: folders that are whole or absent; where they lie.

    Args:
        board: Its rules.
        index: The runs that it asks for, as ``dgbench.runs.launch.index`` lists them.
        store: What holds them.
        out: The folder that the submissions are put into; they are called ``sam@1`` there.
        number: Of the submissions, for one algorithm; a later one has a higher number.
        authors, code: Who ran it, and where its code is, if the card does not say so.

    Raises:
        RecipeError: one is a whole algorithm from elsewhere.
        StoreError: runs are missing, neither done nor tried; or something is there under a name. None is written then.
        DamagedError: a file is not what was written.
        CardError: what it would say is too long, or acts; or values are predicted.
    """
    for expression in board.algorithms:
        refuse(expression, "others cannot compute it again; submit its predictions (docs/submit-from-anywhere.md)")
    refuse_values(board.dataset, "submissions hold classes and their probabilities")
    recipes = {recipe.name: recipe for recipe in map(compose, board.algorithms)}
    folders = {name: out / f"{slug(name)}@{number}" for name in recipes}
    for folder in folders.values():
        if folder.exists():
            raise StoreError(f"{folder} is there already; remove it, or give the submission another number")
    entries = {name: [entry for entry in index["entries"] if entry["algorithm"] == name] for name in recipes}
    earlier = earlier_of(index)
    collected = {name: _collected(entries[name], earlier, board, store) for name in recipes}
    for name, recipe in recipes.items():
        rows, made = collected[name]
        envelope = _envelope(board, index, entries[name][0], rows, made)
        envelope |= {"id": folders[name].name, "method": _method(recipe, authors, code)}
        with whole_folder(folders[name]) as unfinished:
            for row in rows:
                if row.sha256 is not None:
                    (unfinished / "predictions").mkdir(exist_ok=True)
                    shutil.copyfile(store.file("run", row.run, "predictions.parquet"), unfinished / file_of(row))
            write(unfinished, envelope, rows, board.selection.average)
    return list(folders.values())


def _envelope(
    board: BoardCard, index: Mapping[str, Any], first: Spec, rows: Sequence[Row], made: Mapping[str, Any]
) -> dict[str, Any]:
    """What is the same whoever the method is by."""
    return {
        "board": {"name": board.name, "version": board.version, "rules": rules_identity(board)},
        "data": index["manifests"],
        "claims": {
            "criterion": board.criterion,
            "track": first["track"],
            "backbone": first["backbone"],
            "pretrained_on": first["pretrained_on"],
            "deterministic": _deterministic(rows),
        },
        "chosen": [],
        "scores": [],
        "provenance": {**made, "made": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
    }


def write(folder: Path, envelope: dict[str, Any], rows: Sequence[Row], average: Average = "domains") -> Submission:
    """Write ``runs.parquet`` and ``submission.json``, with the choices and scores that follow from the rows.

    Args:
        folder: Where.
        envelope: All else that the submission says.
        rows: Its runs.
        average: Over what the board averages validation.
    """
    path = folder / "runs.parquet"
    as_table(rows).write_parquet(path, compression="zstd")
    size, sha256 = described(path)
    runs = {"sha256": sha256, "bytes": size, "rows": len(rows)}
    submission = validated(envelope | {"runs": runs}, Submission, "submission.json")
    chosen, scores = _outcome(*as_records(submission, rows, average=average), submission.claims.criterion)
    whole = envelope | {"runs": runs, "chosen": chosen, "scores": scores}
    submission = validated(whole, Submission, "submission.json")
    text = json.dumps(SUBMISSION.dump(submission), sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
    (folder / "submission.json").write_text(text + "\n", encoding="utf-8")
    return submission


def slug(name: str) -> str:
    """What a submission of an algorithm is called: ``sam-adanpc`` for ``sam + adanpc``."""
    return re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-_")[:80] or "method"


def _collected(
    entries: Iterable[Spec], earlier: Mapping[str, Sequence[str]], board: BoardCard, store: Store
) -> tuple[list[Row], dict[str, list[str]]]:
    """The rows of every run, and what made them; a training took what the earlier ones did that are part of it, too."""
    rows, missing = [], []
    made: dict[str, set[str]] = {"dgbench": set(), "torch": set(), "devices": set()}
    for entry in entries:
        trained, ran = store.done("training", entry["training"]), store.done("run", entry["run"])
        if trained is None or ran is None:
            ended = store.failure(entry["training"])
            if ended is None:
                missing.append(entry)
            else:
                rows.append(_row(entry, ended, {"seconds": 0.0, "device": ""}, {"seconds": 0.0}, None))
            continue
        result = RESULT.read(store.read("run", entry["run"], "result.json"), f"result.json of run {entry['run']}")
        path = store.file("run", entry["run"], "predictions.parquet")
        result = _with_headline(result, entry["dataset"], board, path)
        before = [store.done("training", id_) or {} for id_ in earlier.get(entry["training"], ())]
        took = math.fsum([trained["seconds"], *(one.get("seconds", 0.0) for one in before)])
        rows.append(_row(entry, result, {**trained, "seconds": took}, ran, _predicted(path, entry["run"])))
        made["dgbench"] |= {trained["dgbench"], ran["dgbench"]}
        made["torch"] |= {trained["torch"], ran["torch"]}
        made["devices"].add(trained["device"])
    if missing:
        first = missing[0]
        raise StoreError(
            f"{len(missing)} of {len(missing) + len(rows)} runs are missing, the first of them on target "
            f"{first['target']}, trial {first['trial']}, draw {first['draw']}; 'dgbench run {board.name} -a "
            f'"{first["algorithm"]}"\' does them'
        )
    return rows, {key: sorted(values) for key, values in made.items()}


def _row(entry: Spec, result: Result, trained: Spec, ran: Spec, predicted: tuple[str, int, int] | None) -> Row:
    columns = (
        "run", "training", "target", "dataset", "sources", "domain", "trial", "draw", "hyperparameters", "families",
        "passes", "without_effect",
    )  # fmt: skip
    sha256, size, count = predicted or (None, None, None)
    lists = {name: json.dumps(entry[name]) for name in ("sources", "hyperparameters", "families")}
    own = {**{name: entry[name] for name in columns}, **lists, "device": trained["device"]}
    took = {"train_seconds": trained["seconds"], "run_seconds": ran["seconds"]}
    about = {"sha256": sha256, "bytes": size, "rows": count, "result": result.model_dump()}
    return validated({**own, **took, **about}, Row, f"run {entry['run']}")


def _with_headline(result: Result, dataset: str, board: BoardCard, path: Path) -> Result:
    """A result that says what its dataset is judged by, where that is not accuracy."""
    name = headlines(board)[dataset]
    return (
        result if name == "accuracy" else Result.measured(summarised(pl.read_parquet(path), name, dataset).to_dicts())
    )


def _predicted(path: Path, run: str) -> tuple[str, int, int]:
    """SHA-256, size and number of rows of a run's predictions."""
    about = parquet.read_metadata(path)
    if about.schema.to_arrow_schema().names != list(PREDICTIONS):
        raise StoreError(f"run {run} was predicted by an earlier dgbench, which kept less; remove it and run again")
    size, sha256 = described(path)
    return sha256, size, about.num_rows


def _method(recipe: Recipe, authors: Sequence[str], code: str | None) -> dict[str, Any]:
    shipped = all(name in card_names("algorithms") for name in recipe.cards)
    cards: list[AlgorithmCard] = [algorithm_card(name) for name in recipe.cards]
    paper = "; ".join(card.paper.cite() for card in cards)
    return {
        "title": recipe.title[:100],
        "recipe": recipe.name if shipped else None,  # a card of one's own is nowhere else
        "authors": tuple(authors),
        "paper": paper[:300],
        "code": code or cards[0].paper.code,
        "licence": cards[0].licence,
    }


def _outcome(
    metrics: pl.DataFrame, runs: pl.DataFrame, criterion: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The model that is chosen in each cell, and what the chosen ones reach on each target."""
    if metrics.is_empty():
        return [], []
    chosen = choose(metrics, runs, CRITERIA[criterion])
    reached = metrics.filter(pl.col("split") == "target").select(*CANDIDATE, "accuracy")
    scores = chosen.join(reached, on=CANDIDATE).group_by("target").agg(pl.col("accuracy").mean()).sort("target")
    return chosen.select(*CELL[1:], "draw", "step").to_dicts(), scores.to_dicts()


def _deterministic(rows: Sequence[Row]) -> bool:
    """Whether all trials predicted every target alike, as a method does that has no chance in it."""
    digests: dict[tuple[str, int, int], set[str]] = {}
    for row in rows:
        for one in row.result.metrics:
            if one.split == "target":
                digests.setdefault((row.target, row.draw, one.step), set()).add(one.digest)
    return len({row.trial for row in rows}) > 1 and {len(found) for found in digests.values()} == {1}
