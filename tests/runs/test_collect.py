"""What is read of a store: what failed is told apart from what was not run, and datasets count once."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scripts_loaded import load_script

import dgbench
from dgbench.board.build import build
from dgbench.board.from_records import from_records
from dgbench.board.leaderboard import Leaderboard
from dgbench.core.cards import BoardCard, CaseRules
from dgbench.core.errors import StoreError
from dgbench.runs.collect import collect
from dgbench.runs.index import index
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.selection.predictions import summarise
from dgbench.selection.records import CANDIDATE
from small import small_board


def note(store: Store, training: str, content: str) -> None:
    (store.root / "failures").mkdir(exist_ok=True)
    (store.root / "failures" / f"{training}.json").write_text(content)


def test_failures_are_told_apart_from_what_was_not_run(tmp_path: Path) -> None:
    store, rules = Store(tmp_path), small_board("erm", "sam")
    plan = make_plan(rules)
    store.write_index(rules, index(plan))
    lost = next(entry for entry in plan.entries if entry.algorithm == "sam" and entry.target == "print")
    note(store, lost.training, json.dumps({"training": lost.training, "error": "the loss is not finite at step 3"}))
    found = collect(rules, store)
    assert found.missing == len(plan.entries)
    assert [(f.algorithm, f.title, f.target, f.trial, f.draw, f.reason) for f in found.failed] == [
        ("sam", "SAM", "print", 0, 0, "the loss is not finite at step 3")
    ]
    assert "\n" not in repr(found)
    assert len(repr(found)) < 200
    with pytest.raises(StoreError, match="no finished run: 1 failed, the first of them SAM on target print, trial 0"):
        dgbench.leaderboard(rules, store=tmp_path)


@pytest.mark.parametrize("content", ["", "{}", "[1]", "{", '"text"'])
def test_a_note_of_a_failure_that_cannot_be_read_is_one_message(tmp_path: Path, content: str) -> None:
    store, rules = Store(tmp_path), small_board("erm")
    plan = make_plan(rules)
    store.write_index(rules, index(plan))
    note(store, plan.entries[0].training, content)
    with pytest.raises(StoreError, match=r"failures/.*cannot be read .*; remove it and run again"):
        collect(rules, store)


def test_a_list_of_another_version_is_one_message(tmp_path: Path) -> None:
    store, rules = Store(tmp_path), small_board("erm")
    store.write_index(rules, index(make_plan(rules)) | {"schema": "dgbench.index/2"})
    with pytest.raises(StoreError, match=r"another version of dgbench .*'dgbench run' writes it again"):
        collect(rules, store)


def test_every_dataset_counts_once(tmp_path: Path) -> None:
    """Two datasets of four and three cases."""
    store = Store(tmp_path)
    rules = small_board("erm").model_copy(update={"dataset": ("digits", "rotated-mnist")})
    plan = make_plan(rules)
    store.write_index(rules, index(plan))
    weights = collect(rules, store).weights
    for dataset in rules.dataset:
        names = [case.name for case in plan.cases if case.dataset == dataset]
        assert sum(weights[name] for name in names) == pytest.approx(1)
        assert len({weights[name] for name in names}) == 1


def test_the_list_of_runs_says_what_trained_and_what_the_backbone_had_seen() -> None:
    rules = small_board("erm", backbone="dgbench:vit-micro@letters")
    entry = next(entry for entry in make_plan(rules).entries if entry.target == "print")
    assert (entry.dataset, sorted(entry.sources)) == ("digits", ["dot-matrix", "handwritten", "seven-segment"])
    assert entry.pretrained_on == "Letters A to Z in the typefaces of the print domain"
    assert make_plan(small_board("erm")).entries[0].pretrained_on == ""


def two_targets(*algorithms: str, trials: int) -> BoardCard:
    case = CaseRules(targets=("print", "dot-matrix"))
    return small_board(*algorithms, trials=trials).model_copy(update={"cases": {"digits": case}})


@pytest.mark.parametrize("criterion", ["augmented", "lodo"])
def test_records_are_read_trial_by_trial_and_a_leaderboard_asks_for_no_more(tmp_path: Path, criterion: str) -> None:
    rules = dgbench.rules(two_targets("erm", "t3a", trials=3), criterion=criterion)
    load_script("measure_store").fill(Store(tmp_path), rules, examples=3, pool=2)
    made = dgbench.leaderboard(rules, store=tmp_path)
    by_trial = judged(made)
    assert "metrics" not in vars(made.records), "nobody read all of them"
    parts = [*made.records.by_trial()]
    assert [part["trial"].unique().to_list() for part in parts] == [[0], [1], [2]]
    order = [*CANDIDATE, "split", "domain", "view"]
    assert pl.concat(parts).sort(order).equals(made.records.metrics.sort(order))
    together = replace(made.records, streams=made.records.metrics)
    assert from_records(together).cells.equals(made.cells)
    at_once = partial(iter, [made.records.metrics])
    whole = build(at_once, made.records.runs, made.info, indicators=made.records.indicators)
    assert whole.cells.equals(made.cells)
    assert judged(whole) == by_trial


def judged(board: Leaderboard) -> list[tuple[Any, ...]]:
    """What a leaderboard says of criteria, track by track."""
    return [
        ([vars(one) | {"points": one.points.rows()} for one in track.qualities], track.refusals)
        for track in board.tracks
    ]


def test_judges_of_some_trials_are_too_few_whichever_these_are(tmp_path: Path) -> None:
    rules = dgbench.rules(two_targets("erm", "sam", trials=2), criterion="lodo")
    load_script("measure_store").fill(Store(tmp_path), rules, examples=3, pool=2)
    made = dgbench.leaderboard(rules, store=tmp_path)
    info = replace(made.info, criterion="source")
    for trial in (0, 1):
        left = made.records.metrics.filter(pl.col("split").is_in(["validation", "target"]) | (pl.col("trial") != trial))
        found = [build(parts, made.records.runs, info) for parts in (left, partial(iter, [left]))]
        assert judged(found[0]) == judged(found[1])
        assert any("trainings of its own, and there are none" in why for why in found[0].tracks[0].refusals.values())


def predictions(confidence: list[float]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "step": np.int32(5), "split": "target", "domain": ["a", "a", "b", "b"], "view": "clean",
            "index": np.arange(4, dtype=np.int32), "label": np.array([0, 1, 0, 1], np.int16),
            "prediction": np.array([0, 1, 1, 1], np.int16), "confidence": np.array(confidence, np.float32),
            "p_label": np.array([0.5, 0.5, 0.4, 0.5], np.float32),
        }
    )  # fmt: skip


def test_equal_predictions_have_equal_digests_and_others_have_not() -> None:
    first, again = summarise(predictions([0.5, 0.6, 0.7, 0.8])), summarise(predictions([0.5, 0.6, 0.7, 0.8]))
    assert first.equals(again)
    # the same accuracies, one confidence of domain b a hair apart
    moved = summarise(predictions([0.5, 0.6, 0.7, np.nextafter(np.float32(0.8), 1)]))
    assert moved.drop("digest").equals(first.drop("digest"))
    assert (moved["digest"] == first["digest"]).to_list() == [True, False]
