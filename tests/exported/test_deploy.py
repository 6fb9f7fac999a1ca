"""A model for use: who is elected, what is trained, and what the card says of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import polars as pl
import pytest
import torch

import dgbench
from dgbench.core.errors import CardError, DataError, DGBenchError, RecipeError, StoreError
from dgbench.core.files import read_json
from dgbench.core.spec import canonical
from dgbench.data.catalogue import load as load_dataset
from dgbench.data.splits import split
from dgbench.exported.card import ModelCard
from dgbench.exported.elect import elect
from dgbench.runs.collect import Records
from dgbench.runs.deterministic import as_worker
from dgbench.selection.criteria import CRITERIA
from dgbench.train.evaluate import score
from dgbench.train.spec import TrainingSpec
from exported_boards import Ran

AUGMENTED = CRITERIA["augmented"]


@pytest.fixture(scope="module")
def records(tuned: Ran) -> Records:
    return dgbench.records(tuned.board, store=tuned.store.root)


@pytest.fixture(scope="module")
def deployed(tuned: Ran, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelCard, Path]:
    folder = tmp_path_factory.mktemp("deployed") / "model"
    return dgbench.deploy(tuned.board, folder, store=tuned.store.root, device="cpu", workers=1), folder


def by_hand(records: Records, algorithms: tuple[str, ...]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Scores of algorithms and leads of their sets of hyperparameters, in loops over rows."""
    views: dict[tuple[Any, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    held_out = {"clean", *(family for families in records.runs["families"] for family in families)}
    for row in records.metrics.iter_rows(named=True):
        if row["split"] == "validation" and row["view"] not in held_out and row["algorithm"] in algorithms:
            key = (row["algorithm"], row["target"], row["trial"], row["draw"], row["step"])
            views[key][row["domain"]].append(row["accuracy"])
    tried = {
        (row["algorithm"], row["target"], row["trial"], row["draw"]): row["hyperparameters"]
        for row in records.runs.iter_rows(named=True)
    }
    sets: dict[tuple[Any, ...], float] = defaultdict(float)
    for (*cell, _step), domains in views.items():
        sets[tuple(cell)] = max(sets[tuple(cell)], mean(mean(accuracies) for accuracies in domains.values()))
    scores, leads = {}, {}
    for name in algorithms:
        cells: dict[tuple[Any, ...], dict[int, float]] = defaultdict(dict)
        for (algorithm, target, trial, draw), value in sets.items():
            if algorithm == name:
                cells[target, trial][draw] = value
        scores[name] = mean(max(draws.values()) for draws in cells.values())
        lead: dict[str, list[float]] = defaultdict(list)
        for (target, trial), draws in cells.items():
            for draw, value in draws.items():
                lead[tried[name, target, trial, draw]].append(value - mean(draws.values()))
        leads[name] = {hyperparameters: mean(values) for hyperparameters, values in lead.items()}
    return scores, leads


def test_the_one_with_the_best_validation_is_elected(tuned: Ran, records: Records) -> None:
    inductive = ("erm", "sam", "drm", "linear_probe")
    scores, leads = by_hand(records, inductive)
    elected = elect(tuned.plan, records, AUGMENTED)
    found = {rival.algorithm: rival.score for rival in elected.expected.rivals}
    assert found == pytest.approx(scores)
    assert list(found) == sorted(found, key=lambda name: -found[name])
    best = max(scores, key=lambda name: scores[name])
    assert elected.entry.algorithm == best
    chosen = canonical(elected.entry.hyperparameters)
    assert leads[best][chosen] == pytest.approx(max(leads[best].values()))
    assert len(leads[best]) == 1 + 3 * 2, "the recipe's own values are tried in every cell, and others in each"


def test_no_label_of_a_target_makes_a_difference(tuned: Ran, records: Records) -> None:
    """Whatever was reached on the domains left out, the same recipe is elected."""
    turned = pl.when(pl.col("split") == "target").then(1 - pl.col("accuracy")).otherwise(pl.col("accuracy"))
    other = replace(records, streams=records.metrics.with_columns(accuracy=turned))
    first, second = elect(tuned.plan, records, AUGMENTED), elect(tuned.plan, other, AUGMENTED)
    assert first.entry == second.entry
    assert [rival.score for rival in first.expected.rivals] == [rival.score for rival in second.expected.rivals]
    assert first.expected.mean.value == pytest.approx(1 - second.expected.mean.value)


def test_what_an_interval_covers_is_said_or_that_there_is_none(tuned: Ran, records: Records) -> None:
    """Nets as small as these may come out alike in every trial, or not: here trials are made to differ, or to agree."""
    for spread, said in ((0.1, "It does not cover other domains"), (0.0, "It has no interval")):
        reached = pl.when(pl.col("split") == "target").then(0.5 + spread * pl.col("trial")).otherwise("accuracy")
        made = replace(records, streams=records.metrics.with_columns(accuracy=reached))
        expected = elect(tuned.plan, made, AUGMENTED).expected
        assert (expected.mean.low is None) == (spread == 0)
        assert said in expected.covers


def test_it_learns_from_all_domains_and_chooses_by_validation(tuned: Ran, deployed: tuple[ModelCard, Path]) -> None:
    card, _ = deployed
    spec = TrainingSpec.read(read_json(tuned.store.folder("training", card.selection.training) / "spec.json"))
    assert spec.sources == card.selection.sources == ("ink", "paint", "wood")
    assert card.selection.target is None
    elected = elect(tuned.plan, dgbench.records(tuned.board, store=tuned.store.root), AUGMENTED).entry
    assert {slot: elected.hyperparameters[slot] for slot in spec.parts} == spec.parts
    metrics = pl.DataFrame(tuned.store.read("run", card.selection.run, "result.json")["metrics"])
    assert set(metrics["split"]) == {"validation"}
    assert set(metrics["domain"]) == {"ink", "paint", "wood"}
    shifted = metrics.filter(pl.col("view").is_in(card.selection.views)).group_by("step").agg(pl.col("accuracy").mean())
    assert card.selection.score == pytest.approx(shifted["accuracy"].max())
    assert card.selection.step in shifted.filter(pl.col("accuracy") == pl.col("accuracy").max())["step"]


def test_what_to_expect_is_what_the_board_says(tuned: Ran, deployed: tuple[ModelCard, Path]) -> None:
    card, folder = deployed
    expected = card.expected
    assert expected is not None
    board = dgbench.leaderboard(tuned.board, store=tuned.store.root)
    (entry,) = [entry for entry in board.entries if entry.algorithm == card.algorithm.name]
    for name, measured in expected.unseen.items():
        assert (measured.value, measured.low, measured.n) == (entry.targets[name].mean, entry.targets[name].low, 2)
    assert (expected.mean.value, expected.mean.low, expected.mean.high) == (
        entry.accuracy.mean,
        entry.accuracy.low,
        entry.accuracy.high,
    )
    assert expected.lowest == entry.worst
    assert {rival.algorithm for rival in expected.rivals} == {"erm", "sam", "drm", "linear_probe"}, "tracks stay apart"
    page = (folder / "README.md").read_text(encoding="utf-8")
    for words in (
        f"**{100 * min(m.value for m in expected.unseen.values()):.1f} to ",
        "What is not promised",
        "tested on no new domain",
        "No label of a domain left out was read",
        "2 sets of hyperparameters were tried",
    ):
        assert words in page


def test_the_exported_model_predicts_what_the_stored_run_predicted(
    tuned: Ran, deployed: tuple[ModelCard, Path]
) -> None:
    """On the validation images of each domain: there is no target."""
    card, folder = deployed
    model = dgbench.load(folder)
    spec = TrainingSpec.read(read_json(tuned.store.folder("training", card.selection.training) / "spec.json"))
    table = pl.read_parquet(tuned.store.file("run", card.selection.run, "predictions.parquet"))
    dataset = load_dataset(spec.dataset, spec.size)
    for name in spec.sources:
        rows = split(dataset, name, spec.trial, spec.validation).validation
        domain = dataset.domain(name)
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(spec.seed("stream", name, "clean")))
        with as_worker("cpu"), torch.no_grad():
            features = model.features(model.ready(torch.from_numpy(domain.inputs[rows])))
            scores = model.stream().observe_features(features[order])
        scored = score(scores, torch.from_numpy(domain.labels[rows])[order], model.scores)
        found = pl.DataFrame({"index": rows[order.numpy()], "confidence": scored.confidence.numpy()}).sort("index")
        kept = table.filter(
            (pl.col("domain") == name) & (pl.col("view") == "clean") & (pl.col("step") == card.selection.step)
        )
        assert found["confidence"].equals(kept.sort("index")["confidence"])


def test_it_is_done_once_and_the_board_stays_what_it_is(
    tuned: Ran, deployed: tuple[ModelCard, Path], tmp_path: Path
) -> None:
    card, folder = deployed
    before = {path: path.stat().st_mtime_ns for path in tuned.store.root.rglob("done.json")}
    again = dgbench.deploy(tuned.board, folder, store=tuned.store.root, device="cpu")
    assert again == card
    assert {path: path.stat().st_mtime_ns for path in tuned.store.root.rglob("done.json")} == before
    assert dgbench.leaderboard(tuned.board, store=tuned.store.root).info.algorithms == tuned.board.algorithms


def test_an_online_predictor_is_for_who_names_it(tuned: Ran, tmp_path: Path) -> None:
    board = dgbench.rules(tuned.board, algorithms=["t3a"])
    card = dgbench.deploy(board, tmp_path / "model", store=tuned.store.root, device="cpu", workers=1)
    assert card.algorithm.track == "online"
    assert dgbench.load(tmp_path / "model").online
    assert any("It adapts" in sentence for sentence in card.expected.promises)  # type: ignore[union-attr]


def test_what_cannot_be_deployed_is_said(tuned: Ran, tmp_path: Path) -> None:
    store, board = tuned.store.root, tuned.board
    with pytest.raises(StoreError, match=r"1 of 2 algorithms of 'small' are not finished \(coral\).* or name those"):
        dgbench.deploy(dgbench.rules(board, algorithms=["erm", "coral"]), tmp_path / "model", store=store)
    with pytest.raises(RecipeError, match="reads target labels"):
        dgbench.deploy(board, tmp_path / "model", store=store, criterion="ceiling")
    with pytest.raises(CardError, match="take one of them: -d NAME"):
        dgbench.deploy(board.model_copy(update={"dataset": ("pacs", "vlcs")}), tmp_path / "model", store=store)
    for verb in (
        lambda b: dgbench.export(b, "erm", tmp_path / "model", store=store),
        lambda b: dgbench.deploy(b, tmp_path / "model", store=store),
    ):
        with pytest.raises(DataError, match="pacs"):
            verb(dgbench.rules(board, datasets=["pacs"]))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(DGBenchError, match="is no exported model"):
        dgbench.deploy(board, tmp_path / "mine", store=store)
    assert not (tmp_path / "model").exists()
