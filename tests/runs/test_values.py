"""Values as targets, through the whole house: plan, train, resume, predict, rank, render, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import dgbench
from dgbench.api.boards import rules
from dgbench.board.compare import compare
from dgbench.board.from_records import from_records
from dgbench.board.leaderboard import Leaderboard
from dgbench.board.rankings import ranking
from dgbench.board.render import files, html, latex, markdown, measures, text
from dgbench.board.render.figures import Figures
from dgbench.core.cards import BoardCard, SelectionRules, TrainingRules
from dgbench.core.errors import CardError, DGBenchError, RecipeError, StoreError
from dgbench.data.catalogue import load
from dgbench.data.splits import split
from dgbench.runs.collect import Records, collect
from dgbench.runs.execute import do_training
from dgbench.runs.planning import make_plan
from dgbench.runs.predictions import on_target
from dgbench.runs.store import Store
from dgbench.selection.measures import MEASURES
from dgbench.train.scale import Scale
from in_process import carry_out
from once import once

SET = "turned-digits"
ALGORITHMS = ("erm", "c_mixup", "sam", "swad")
TARGETS = ("handwritten", "print")


def small(*algorithms: str, trials: int = 2, **changes: object) -> BoardCard:
    board = rules(SET, algorithms=algorithms or ALGORITHMS, trials=trials)
    little = {
        "name": "little",
        "tracks": {"inductive": "dgbench:convnet-small"},
        "training": TrainingRules(steps=6, checkpoints=2, batch_per_domain=4),
        "selection": SelectionRules(views_per_domain=1),
        "cases": {SET: {"targets": TARGETS, "sources": ()}},
    }
    return BoardCard.model_validate(board.model_dump() | little | changes)


@pytest.fixture(scope="module")
def store() -> Store:
    return Store(once("values", lambda root: carry_out(small(), root)))


@pytest.fixture(scope="module")
def records(store: Store) -> Records:
    return collect(small(), store)


@pytest.fixture(scope="module")
def board(records: Records) -> Leaderboard:
    return from_records(records)


def test_a_board_is_ranked_by_the_error_of_its_stored_predictions(board: Leaderboard, store: Store) -> None:
    """What NumPy makes of predictions and of the labels of the dataset is what the board says."""
    dataset = load(SET)
    for entry in board.entries:
        own = board.cells.filter(algorithm=entry.algorithm)
        errors: dict[str, list[float]] = {}
        for cell in own.iter_rows(named=True):
            predicted = on_target(store, cell["run"])
            assert predicted is not None
            rows = predicted.filter(step=cell["step"]).sort("index")
            true = dataset.domain(cell["target"]).labels[rows["index"].to_numpy()]
            assert rows["label"].to_numpy() == pytest.approx(true)
            assert rows.height == len(dataset.domain(cell["target"]))
            off = float(np.sqrt(np.mean((rows["prediction"].to_numpy().astype(float) - true) ** 2)))
            assert cell["accuracy"] == pytest.approx(-off)
            errors.setdefault(cell["target"], []).append(off)
        means = {target: np.mean(values) for target, values in errors.items()}
        assert {t: -e.mean for t, e in entry.targets.items()} == pytest.approx(means)
        assert -entry.accuracy.mean == pytest.approx(np.mean(list(means.values())))
        assert entry.worst == max(means, key=lambda target: means[target])
        assert entry.nll is None
    (track,) = board.tracks
    ranked = [-entry.accuracy.mean for entry in track.entries]
    assert ranked == sorted(ranked), "the smallest error comes first"


def test_predictions_are_in_the_unit_of_the_data(records: Records, store: Store) -> None:
    run = records.runs.row(0, named=True)
    table = pl.read_parquet(store.file("run", run["run"], "predictions.parquet"))
    assert table.schema["prediction"] == pl.Float64
    assert table["label"].abs().max() > 40
    assert table.select(pl.col("confidence", "p_label", "logits").is_null().all()).row(0) == (True, True, True)
    values = np.concatenate(
        [
            (domain := load(SET).domain(name)).labels[split(load(SET), domain.name, run["trial"], 0.1).train]
            for name in run["sources"]
        ]
    )
    scale = Scale.of([values])
    assert (scale.mean, scale.deviation) == pytest.approx((values.mean(), values.std()))
    assert scale.back(scale.standard(values)[:, None]) == pytest.approx(values, abs=1e-4)
    assert Scale.of([np.full(3, 7.0)]) == Scale(7.0, 1.0)


def test_what_erm_and_swad_share_is_trained_once_and_validation_is_a_squared_error(
    records: Records, store: Store
) -> None:
    trainings = {name: set(records.runs.filter(algorithm=name)["training"]) for name in ALGORITHMS}
    assert trainings["erm"] == trainings["swad"]
    assert not trainings["erm"] & trainings["c_mixup"]
    spec = store.training(next(iter(trainings["erm"])))
    assert {slot: part["part"] for slot, part in spec.parts.items()}["objective"] == "squared_error"
    history = pl.read_parquet(store.folder("training", spec.id) / "history.parquet")
    dataset = load(SET)
    train = [dataset.domain(n).labels[split(dataset, n, spec.trial, 0.1).train] for n in spec.sources]
    deviation = np.concatenate(train).std()
    assert history["accuracy"].to_numpy() == pytest.approx(-deviation * np.sqrt(history["nll"].to_numpy()))


def test_a_training_that_is_stopped_goes_on_with_the_same_bits(store: Store, tmp_path: Path) -> None:
    plan = make_plan(small("c_mixup", trials=1))
    spec = next(iter(plan.trainings.values()))
    again = Store(tmp_path)

    def stop(step: int) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        do_training(spec, again, torch.device("cpu"), stop)
    assert not again.finished("training", spec.id)
    do_training(spec, again, torch.device("cpu"))
    whole = Store(tmp_path / "whole")
    do_training(spec, whole, torch.device("cpu"))
    parts = [store.folder("training", spec.id) / "weights" for store in (again, whole)]
    first, second = ({f.name: f.read_bytes() for f in sorted(part.glob("*.safetensors"))} for part in parts)
    assert first
    assert first == second


def test_pages_show_errors_in_their_unit(board: Leaderboard) -> None:
    first = board.entries[0]
    error = f"{-first.accuracy.mean:.2f}"
    page, plain, tex = html.render(board), markdown.render(board), latex.render(board)
    for shown in (page, plain, tex):
        assert error in shown
        assert "degrees" in shown
    assert "Root-mean-square error, degrees" in plain
    assert "of which less is better" in plain
    assert text.predicted(board) == "a value (angle, in degrees)"
    for wrong in ("per cent", "in points", "0 and 100 %"):
        assert wrong not in plain
    assert "Intervals end at 0 and 100 %" not in page
    assert "Negative log-likelihood" not in page
    table = files.table(board)
    assert table["rmse"].to_list() == pytest.approx([-entry.accuracy.mean for entry in board.entries])
    assert (table["rmse_low"] <= table["rmse"]).all()
    assert files.cells(board)["rmse"].min() > 0
    assert json.loads(json.dumps(files.as_data(board), default=str))["unit"] == "degrees"


def test_a_difference_of_errors_is_below_zero_where_the_second_is_better() -> None:
    show = Figures(MEASURES["rmse"], "degrees")
    assert (show.number(-12.345), show.signed(-1.5), show.signed(1.5), show.lost(2.0)) == (
        "12.35", "+1.50", "−1.50", "2.00"
    )  # fmt: skip
    assert (show.tick(-15.0), show.within, show.points) == ("15", ", in degrees", " degrees")
    r = Figures(MEASURES["pearson"])
    assert (r.number(0.8765), r.signed(-0.01), r.within) == ("0.876", "−0.010", "")
    # shades begin and end at numbers as they are shown
    assert measures._ends([0.8765, 0.1234, 0.5], MEASURES["pearson"]) == [0.123, 0.876]


def test_other_measures_are_those_of_values(board: Leaderboard, store: Store) -> None:
    from dgbench.runs.measured import measured
    from dgbench.selection.familiar import familiar

    found = measured(small(), store, board.cells, familiar(()))
    by = ranking(board, MEASURES["pearson"], found)
    (places,) = by.tracks.values()
    for place in places:
        own = board.cells.filter(algorithm=place.entry.algorithm)
        reached = []
        for cell in own.iter_rows(named=True):
            rows = on_target(store, cell["run"])
            assert rows is not None
            rows = rows.filter(step=cell["step"])
            reached.append(np.corrcoef(rows["prediction"], rows["label"])[0, 1])
        assert place.value is not None
        assert place.value.mean == pytest.approx(np.mean(reached))
    rmse = ranking(board, MEASURES["rmse"])
    (places,) = rmse.tracks.values()
    assert [p.value.mean for p in places if p.value] == pytest.approx([-e.accuracy.mean for e in board.entries])
    with pytest.raises(StoreError, match="calibration error is about classes, and 'little' predicts values"):
        ranking(board, MEASURES["ece"], found)


def test_another_headline_selects_and_ranks(store: Store) -> None:
    by = from_records(collect(small(headline="pearson"), store))
    assert by.info.headline.name == "pearson"
    assert all(-1 <= entry.accuracy.mean <= 1 for entry in by.entries)
    with pytest.raises(StoreError, match=r"error on the worst group of run .* is not known: its images"):
        collect(small(headline="worst_group_rmse"), store)  # each handwritten digit is a group of its own


def test_two_are_compared_without_images_that_are_right_or_wrong(records: Records, store: Store) -> None:
    from dgbench.board.render.compared import page, words
    from dgbench.board.render.compared.data import as_data as compared_as_data

    found = compare(records, ALGORITHMS[:2], lambda algorithm, run: on_target(store, run))
    (against,) = found.against
    assert against.flips == ()
    assert words.absent(found, against) == words.NO_RIGHT
    assert "degrees over all targets" in page.render(found, {}, {})
    told, difference = compared_as_data(found), against.entry.accuracy.mean - found.first.accuracy.mean
    assert (told["headline"], told["unit"]) == ("rmse", "degrees")
    assert told["first"]["accuracy"]["mean"] == -found.first.accuracy.mean > 0
    assert told["against"][0]["difference"]["mean"] == pytest.approx(-difference)
    parts = [one["difference"]["mean"] for one in told["against"][0]["targets"].values()]
    assert np.mean(parts) == pytest.approx(-difference)
    assert f"{-difference:+.3g}" in repr(found)


def test_a_number_is_explained_and_models_are_selected(records: Records, store: Store) -> None:
    from dgbench.board.explained import explained
    from dgbench.board.render.explained import report
    from dgbench.board.render.selected import as_data as selected_as_data
    from dgbench.board.selected import selected
    from dgbench.runs.predictions import in_full
    from dgbench.selection.criteria import get

    found = explained(records, lambda algorithm, run: in_full(store, run), "erm")
    assert not found.differs
    whole, part = report(found), report(replace(found, cells=found.cells[:1]))
    assert "degrees" in whole.by
    headers = {section.name: section.header for made in (whole, part) for section in made.sections}
    for name in ("choices", "streams"):
        assert "Minus the root-mean-square error" in headers[name]
        assert not {"Right", "Accuracy", "Share"} & set(headers[name])
    assert all(len(row) == len(each.header) for made in (whole, part) for each in made.sections for row in each.rows)
    chosen = selected(records, get("source_worst"))
    assert chosen.cells["regret"].min() >= 0  # type: ignore[operator]
    told = selected_as_data(chosen)
    assert (told["headline"], told["unit"]) == ("rmse", "degrees")
    for cell, held in zip(told["cells"], chosen.cells.iter_rows(named=True), strict=True):
        reached = cell["with_target_labels"]
        assert reached["accuracy"] == -held["accuracy"] > 0
        assert reached["ceiling"] + reached["regret"] == pytest.approx(reached["accuracy"])
        assert all(other["accuracy"] > 0 for other in reached["others"].values())
    with pytest.raises(RecipeError, match="'atc' is about classes"):
        selected(records, get("atc"))


def test_programs_are_told_errors_as_readers_are(board: Leaderboard, records: Records) -> None:
    from dgbench.board.power import power
    from dgbench.board.render import power as powered
    from dgbench.board.render.statistics.data import as_data
    from dgbench.board.statistics import statistics

    show = Figures.of(board.info)
    found = power(board, ALGORITHMS[:2])
    for one, row in zip(found, powered.as_data(found, show), strict=True):
        assert row["difference"] == -one.difference.mean
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    told = as_data(statistics(records))
    assert (told["headline"], told["unit"], told["line"], told["lines"]) == ("rmse", "degrees", None, {})
    (track,) = told["tracks"]
    named = {entry.algorithm: entry.accuracy.mean for entry in board.entries}
    assert track["tests"]["against"]
    for one in track["tests"]["against"]:
        assert one["difference"] == pytest.approx(named[track["tests"]["control"]] - named[one["algorithm"]])
    assert Figures().named == {}
    assert f"{-board.entries[0].accuracy.mean:.4g}>" in repr(board.tracks[0])


def test_the_notebook_and_the_words_name_the_unit(board: Leaderboard) -> None:
    assert "in degrees" in text.in_units(board, text.ACCURACY)
    assert text.gap(board).startswith("Gap: accuracy on the target minus")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"algorithms": ["irm"]}, "values \\(angle\\), and the objective IRM needs classes"),
        ({"algorithms": ["bang"]}, "the objective CrossEntropy needs classes"),
        ({"algorithms": ["udim"]}, "the optimizer UDIM needs classes"),
        ({"algorithms": ["class_balanced"]}, "the sampler ClassBalanced needs classes"),
        (
            {"selection": {"average": "examples"}},
            "'rmse' of all images is no mean of those of domains; write average = \"dom",
        ),
        ({"criterion": "nuclear_norm"}, "'nuclear_norm' is about classes and their probabilities; choose one of"),
        ({"headline": "macro_f1"}, "headline 'macro_f1' is about classes, and 'turned-digits' has values"),
        ({"dataset": [SET, "digits"], "cases": {}}, "only dataset of its boards"),
    ],
)
def test_what_needs_classes_is_refused_with_the_reason(changes: dict[str, object], said: str) -> None:
    with pytest.raises(DGBenchError, match=said):
        make_plan(small(**changes))


def test_what_is_about_values_is_refused_where_there_are_classes() -> None:
    with pytest.raises(CardError, match="headline 'rmse' is about values, and 'digits' has classes"):
        make_plan(rules("quick").model_copy(update={"headline": "rmse"}))


@pytest.mark.parametrize(
    "work",
    [
        lambda board, root: dgbench.export(board, "erm", root / "model", store=root),
        lambda board, root: dgbench.deploy(board, root / "model", store=root),
        lambda board, root: dgbench.make_submission(board, "erm", root, store=root),
        lambda board, root: dgbench.criteria(board, store=root),
        lambda board, root: dgbench.diagnose(SET),
    ],
    ids=["export", "deploy", "submission", "criteria", "diagnose"],
)
def test_what_knows_classes_alone_says_so_and_writes_nothing(work, store: Store) -> None:  # type: ignore[no-untyped-def]
    before = sorted(store.root.iterdir())
    with pytest.raises(CardError, match=r"'turned-digits' are values \(angle\), and .* not supported yet"):
        work(small(), store.root)
    assert sorted(store.root.iterdir()) == before
