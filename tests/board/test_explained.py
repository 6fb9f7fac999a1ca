"""Explanations of numbers, against predictions that were written down and counted by hand."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from board.synthetic import candidate, tables

from dgbench.api.boards import rules
from dgbench.board.explained import Explanation, explained
from dgbench.board.render.explained import as_data, report
from dgbench.board.render.report.page import render
from dgbench.core.errors import StoreError, UnknownNameError
from dgbench.runs.collect import Records
from dgbench.selection.predictions import PREDICTIONS, STREAM, summarise

NAMES, TARGETS, TRIALS, STEPS, IMAGES = ("erm", "sam", "irm", "swad"), ("a", "b"), range(3), (50, 100), 40
SKILLS = {"erm": 0.5, "sam": 0.95, "irm": 0.2, "swad": 0.9}

Stored = dict[str, pl.DataFrame]
"""Predictions by run."""


@pytest.fixture(scope="module")
def made() -> tuple[Records, Stored]:
    """Records that were counted one image after the other from predictions, and these."""
    random = np.random.default_rng(0)
    pool, stored = [], {}
    for name, target, trial in itertools.product(NAMES, TARGETS, TRIALS):
        run, rows = f"{name}-{target}-{trial}-0", []
        for step, (split, domain) in itertools.product(STEPS, (("validation", f"not {target}"), ("target", target))):
            for index in range(IMAGES):
                right = bool(random.random() < SKILLS[name])
                sure = float(random.uniform(0.5, 1))
                rows.append((step, split, domain, "clean", index, 1, 1 if right else 0, sure, sure if right else 0.1))
        columns = [*STREAM, "index", "label", "prediction", "confidence", "p_label"]
        table = pl.DataFrame(rows, schema={c: PREDICTIONS[c] for c in columns}, orient="row")
        stored[run] = table
        digests = {tuple(row[:4]): row[-1] for row in summarise(table).iter_rows()}
        for step in STEPS:
            source, reached = (share(table, step, split) for split in ("validation", "target"))
            metrics, listed = candidate(
                name, target, trial, 0, step, clean={f"not {target}": source}, on_target=reached, dataset="vlcs"
            )
            for row in metrics:
                row["n"] = IMAGES
                row["nll"] = likelihood(table, step, row["split"])
                row["digest"] = digests[step, row["split"], row["domain"], "clean"]
            pool.append((metrics, listed))
    card = rules("quick").model_copy(
        update={"trials": len(TRIALS), "draws": 1, "criterion": "source", "dataset": ("vlcs",), "name": "toy"}
    )
    weights = dict.fromkeys(TARGETS, 1.0)
    records = Records(card, *tables(pool), NAMES, 0, (), ("2",), ("0.1",), {"vlcs": "0"}, TARGETS, weights)
    return records, stored


def of(table: pl.DataFrame, step: int, split: str) -> list[dict[str, float]]:
    return [row for row in table.iter_rows(named=True) if (row["step"], row["split"]) == (step, split)]


def share(table: pl.DataFrame, step: int, split: str) -> float:
    rows = of(table, step, split)
    return sum(row["prediction"] == row["label"] for row in rows) / len(rows)


def likelihood(table: pl.DataFrame, step: int, split: str) -> float:
    return statistics.fmean(-math.log(row["p_label"]) for row in of(table, step, split))


def explain(records: Records, stored: Mapping[str, pl.DataFrame], name: str = "erm", **only: object) -> Explanation:
    return explained(records, lambda algorithm, run: stored.get(run), name, **only)  # type: ignore[arg-type]  # as given


def reached(stored: Stored, name: str, target: str, trial: int) -> float:
    """What the better step by source accuracy reached; of equal ones the first."""
    table = stored[f"{name}-{target}-{trial}-0"]
    return share(table, max(STEPS, key=lambda step: share(table, step, "validation")), "target")


def test_what_was_counted_is_what_was_recorded(made: tuple[Records, Stored]) -> None:
    _, stored = made
    found = explain(*made)
    assert found.counted.height == len(TARGETS) * len(TRIALS) * len(STEPS) * 2
    assert (found.differs, found.unseen, found.again) == (False, (), found.entry)
    for row in found.counted.iter_rows(named=True):
        assert row["accuracy"] == pytest.approx(share(stored[row["run"]], row["step"], row["split"]))
    values = [[reached(stored, "erm", target, trial) for trial in TRIALS] for target in TARGETS]
    assert found.entry.accuracy.mean == pytest.approx(statistics.fmean(map(statistics.fmean, values)))
    assert [one.trials for one in found.summands] == [pytest.approx(each) for each in values]
    variances = [statistics.variance(each) / 3 / 4 for each in values]
    assert [one.variance for one in found.summands] == pytest.approx(variances)
    assert found.own.error == pytest.approx(math.sqrt(sum(variances)))
    assert found.whole


def test_trials_that_came_later_are_explained_as_the_first_ones_are(made: tuple[Records, Stored]) -> None:
    """The same records, of rules that began with two trials and let them grow: all took part in the last look."""
    records, stored = made
    first = TRIALS[:-1]
    grown = replace(
        records,
        board=records.board.model_copy(update={"trials": len(first), "looks": (len(TRIALS),)}),
        trials=dict.fromkeys(NAMES, len(TRIALS)),
    )
    found = explain(grown, stored)
    assert found.whole
    assert {cell.trial for cell in found.cells} == set(TRIALS)
    assert found.counted.equals(explain(*made).counted)
    (last,) = {cell.trial for cell in explain(grown, stored, trials=TRIALS[-1:]).cells}
    assert last == TRIALS[-1]


def test_the_rank_follows_from_the_pairs(made: tuple[Records, Stored]) -> None:
    ranks = []
    for name in NAMES:
        found = explain(*made, name)
        better = sum(pair.better not in (None, name) for pair in found.pairs)
        worse = sum(pair.better == name for pair in found.pairs)
        assert len(found.pairs) == 3
        assert (found.entry.rank, found.entry.rank_worst) == (1 + better, 4 - worse)
        said = next(section for section in report(found).sections if section.name == "rank").said[0]
        assert f"the rank is 1 + {better} = {found.entry.rank} at best, and 4 − {worse}" in said
        ranks.append(found.entry.rank)
    assert len(set(ranks)) > 1, "the board separates somebody"


def test_predictions_that_say_another_thing_are_named_and_what_they_give(made: tuple[Records, Stored]) -> None:
    records, stored = made
    run = "erm-a-1-0"
    flipped = (
        stored[run]
        .with_columns(
            prediction=pl.when((pl.col("split") == "target") & (pl.col("index") < 20))
            .then(0)
            .otherwise(pl.col("prediction"))
        )
        .cast({"prediction": pl.Int16})
    )
    other = {**stored, run: flipped}
    found = explain(records, other)
    assert found.differs
    assert set(found.counted.filter(~pl.col("same"))["run"]) == {run}
    assert set(found.counted.filter(~pl.col("same"))["split"]) == {"target"}
    values = [[reached(other, "erm", target, trial) for trial in TRIALS] for target in TARGETS]
    assert found.again.accuracy.mean == pytest.approx(statistics.fmean(map(statistics.fmean, values)))
    assert found.again.accuracy.mean < found.entry.accuracy.mean
    first = report(found).sections[0]
    assert f"the number is {found.again.accuracy.mean:.6f}" in " ".join(first.said)
    assert len(first.rows) == len(STEPS)
    assert as_data(found)["counted"]["accuracy"]["mean"] == found.again.accuracy.mean
    assert not explain(records, other, trials=[0, 2]).differs, "only what is asked for is counted"


def test_a_stream_that_is_gone_or_new_differs(made: tuple[Records, Stored]) -> None:
    records, stored = made
    run = "erm-b-0-0"
    fewer = explain(records, {**stored, run: stored[run].filter(pl.col("step") == 50)}, targets=["b"], trials=[0])
    assert fewer.counted.filter(~pl.col("same"))["step"].to_list() == [100, 100]
    short = explain(records, {**stored, run: stored[run].filter(pl.col("index") > 0)}, targets=["b"], trials=[0])
    assert not short.counted["same"].any(), "as many images as were recorded"


def test_predictions_that_are_not_at_hand_are_named(made: tuple[Records, Stored]) -> None:
    records, stored = made
    found = explain(records, {run: table for run, table in stored.items() if run != "erm-b-2-0"})
    assert found.unseen == ("erm-b-2-0",)
    assert not found.differs
    nothing = explain(records, {})
    assert (nothing.counted.height, len(nothing.unseen), nothing.differs) == (0, 6, False)
    assert report(nothing).sections[0].said[0] == "Nothing was counted again."


def test_one_cell_is_shown_stream_by_stream_and_candidate_by_candidate(made: tuple[Records, Stored]) -> None:
    records, stored = made
    found = explain(records, stored, targets=["a"], trials=[1])
    assert [(cell.target, cell.trial) for cell in found.cells] == [("a", 1)]
    assert not found.whole
    sections = {section.name: section for section in report(found).sections}
    table, chosen = stored["erm-a-1-0"], found.cells[0].chosen
    for row, split in zip(sections["streams"].rows, ("validation", "target"), strict=True):
        assert row[3] == str(round(IMAGES * share(table, chosen.step, split)))
    assert [row[0] for row in sections["choice"].rows] == ["draw 0, step 50", "draw 0, step 100"]
    assert [row[3] for row in sections["choice"].rows].count("chosen") == 1
    titles = [section.title[:2] for section in report(found).sections]
    assert titles == ["1.", "2.", "3.", "4.", "5.", "6."]
    assert [section.title[:2] for section in report(explain(*made)).sections] == ["1.", "2.", "3.", "4.", "5."]
    assert "<table" in render(report(found))


def test_the_interval_is_that_of_the_board(made: tuple[Records, Stored]) -> None:
    found = explain(*made)
    entry = found.entry.accuracy
    assert entry.interval is not None
    said = " ".join(next(section for section in report(found).sections if section.name == "interval").said)
    assert f"{entry.interval[0]:.6f} to {entry.interval[1]:.6f}" in said
    assert f"{found.own.error:.6f}" in said
    assert f"{entry.error:.6f}" in said


def test_what_is_not_there_is_one_message(made: tuple[Records, Stored]) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'erm'"):
        explain(*made, "emr")
    with pytest.raises(UnknownNameError, match="trial on this board named '3'"):
        explain(*made, trials=[3])
    records, stored = made
    without = {name: getattr(records, name).filter(pl.col("trial") < 2) for name in ("streams", "runs")}
    with pytest.raises(StoreError, match="no finished run on 'toy'"):
        explain(replace(records, **without), stored, trials=[2])
