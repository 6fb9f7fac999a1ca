"""A board that is judged by its dataset's official measure: from pictures in a folder to ranks and submissions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from sklearn.metrics import f1_score
from submissions.synthetic import choose_again, repredict, tamper

import dgbench
from dgbench.board.render import files, markdown
from dgbench.core.cards import BoardCard, CaseRules, SplitRules
from dgbench.core.errors import StoreError
from dgbench.core.files import read_json
from dgbench.core.rules import rules_identity
from dgbench.core.seals import DONE, read_sealed, seal
from dgbench.runs import headline
from dgbench.runs.collect import collect
from dgbench.runs.execute import do_runs, do_training
from dgbench.runs.index import index
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.runs.wishes import Boards
from dgbench.selection.criteria import CRITERIA, choose
from dgbench.selection.predictions import PREDICTIONS
from dgbench.submissions.check import check
from dgbench.submissions.joined import joined
from dgbench.submissions.make import make
from dgbench.submissions.place import add
from small import small_board

CARD = """
name = "sites"
title = "Sites"
summary = "For tests."
path = "../pictures"
classes = ["dark", "light"]
licence = "none"
redistribution = "none"

[reader]
kind = "table"
file = "images.csv"

[official]
measure = "worst_group"

[[official.groups]]
name = "at home"
where = { site = "home" }

[[official.groups]]
name = "away"
where = { site = "away" }

[[official.groups]]
name = "elsewhere"
where = { site = "nowhere" }
counts = false

[[domains]]
name = "a"

[[domains]]
name = "b"

[[domains]]
name = "c"
"""
STREAM = ["step", "split", "domain", "view"]


def write_data(root: Path) -> None:
    """Few pictures of two classes at three sites, of which one does not count."""
    draw, rows = np.random.default_rng(0), ["image,label,domain,site"]
    for domain in "abc":
        for number in range(24):
            light, site = number % 2, ("home", "away", "nowhere")[number % 3]
            name = f"{domain}{number}.png"
            path = root / "pictures" / name
            path.parent.mkdir(exist_ok=True)
            pixels = draw.integers(60 + 60 * light, 140 + 60 * light, (16, 16, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(path)
            rows.append(f"{name},{('dark', 'light')[light]},{domain},{site}")
    (root / "pictures" / "images.csv").write_text("\n".join(rows) + "\n")
    (root / "datasets").mkdir()
    (root / "datasets" / "sites.toml").write_text(CARD)


def board(**changes: Any) -> BoardCard:
    own = {
        "name": "sites", "dataset": ("sites",), "cases": {"sites": CaseRules(targets=("a", "b"))},
        "criterion": "source", "split": SplitRules(validation=0.25),
    }  # fmt: skip
    return small_board("erm", "t3a", steps=8, checkpoints=4).model_copy(update=own | changes)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of a board whose dataset lies in a folder, with its card beside."""
    room = tmp_path_factory.mktemp("official")
    write_data(room)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(room)
        plan, store = make_plan(board()), Store(room / "store")
        store.write_index(board(), index(plan))
        for id_, training in plan.trainings.items():
            do_training(training, store, torch.device("cpu"))
            do_runs(training, [run for run in plan.runs.values() if run.training == id_], store, torch.device("cpu"))
    return room


@pytest.fixture
def here(ran: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ran)
    return ran


def predicted(store: Store, run: str) -> pl.DataFrame:
    return pl.read_parquet(store.folder("run", run) / "predictions.parquet")


def worst(rows: pl.DataFrame) -> float:
    """The definition, one group after the other; the third does not count."""
    shares = [
        (own["label"] == own["prediction"]).mean()
        for (group,), own in rows.group_by("group")
        if group != 2
    ]  # fmt: skip
    return min(share for share in shares if isinstance(share, float))


def test_records_hold_the_official_measure_of_every_stream(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(here / "store")
    by_f1 = collect(board(headline="macro_f1"), store).metrics
    plain = collect(board(headline="accuracy"), store).metrics
    official = collect(board(), store).metrics
    assert official.drop("accuracy").equals(plain.drop("accuracy")), "nothing else depends on it"
    differ = 0
    for row in official.iter_rows(named=True):
        place = [pl.col(name) == row[name] for name in STREAM]
        rows = predicted(store, row["run"]).filter(*place)
        assert rows["group"].unique().sort().to_list() == [0, 1, 2], "groups are kept with predictions"
        assert row["accuracy"] == pytest.approx(worst(rows))
        right = (rows["label"] == rows["prediction"]).mean()
        differ += row["accuracy"] != right
        same = [pl.col(name) == row[name] for name in ("algorithm", "target", "trial", *STREAM)]
        assert plain.filter(*same)["accuracy"].item() == right
        labels, guesses = rows["label"].to_numpy(), rows["prediction"].to_numpy()
        f1 = f1_score(labels, guesses, average="macro", labels=np.unique(labels), zero_division=0)
        assert by_f1.filter(*same)["accuracy"].item() == pytest.approx(f1)
    assert differ
    result = read_json(store.folder("run", official["run"][0]) / "result.json")
    assert "headline" not in json.dumps(result), "a run notes nothing that depends on a board"
    monkeypatch.setattr(headline, "of_streams", None)
    assert collect(board(), store).metrics.equals(official), "predictions are read once"


def test_the_board_ranks_by_it_and_accuracy_is_for_looking(here: Path) -> None:
    store = here / "store"
    made = dgbench.leaderboard(board(), store=store)
    plain = dgbench.leaderboard(board(headline="accuracy"), store=store)
    assert (made.info.headline.name, plain.info.headline.name) == ("worst_group", "accuracy")
    records = collect(board(), Store(store)).metrics.filter(pl.col("split") == "target")
    for entry in made.entries:
        chosen = made.cells.filter(pl.col("algorithm") == entry.algorithm)
        reached = chosen.select("algorithm", "target", "trial", "draw", "step").join(
            records, on=["algorithm", "target", "trial", "draw", "step"]
        )
        assert entry.accuracy.mean == pytest.approx(reached["accuracy"].mean())
    looked = dgbench.ranking(board(), "accuracy", store=store)
    for place in looked.tracks["inductive"]:
        cells = made.cells.filter(pl.col("algorithm") == place.entry.algorithm)
        rights = []
        for row in cells.iter_rows(named=True):
            rows = predicted(Store(store), row["run"]).filter(pl.col("split") == "target", step=row["step"])
            rights.append((rows["label"] == rows["prediction"]).mean())
        assert place.value is not None
        assert place.value.mean == pytest.approx(np.mean(rights))
    assert dgbench.ranking(board(), "worst_group", store=store).tracks["inductive"][0].value == made.entries[0].accuracy
    assert {"worst_group", "worst_group_a"} < set(files.table(made).columns)
    assert {"worst_group", "source_worst_group", "ceiling_worst_group"} < set(files.cells(made).columns)
    said = markdown.render(made)
    assert "| Accuracy on the worst group |" in said
    assert "Accuracy stands for accuracy on the worst group" in said
    assert "stands for" not in markdown.render(plain)
    assert "Accuracy on the worst group" in (files.write(made, here / "page")[0]).read_text()


def test_the_weights_that_stay_are_those_that_it_chose(here: Path) -> None:
    store = Store(here / "store")
    records = collect(board(), store)
    chosen = choose(records.metrics, records.runs, CRITERIA["source"]).join(
        records.runs.select("run", "training"), on="run"
    )
    boards = Boards.of(store)
    for (training,), rows in chosen.group_by("training"):
        steps = {step for _, step in boards.wish(str(training)).candidates}
        assert steps == set(rows["step"])


def test_what_is_counted_again_is_the_headline(here: Path) -> None:
    found = dgbench.explain(board(), "erm", store=here / "store")
    assert found.counted["same"].all()
    recorded = collect(board(), Store(here / "store")).metrics.filter(pl.col("algorithm") == "erm")
    assert sorted(found.counted["accuracy"]) == pytest.approx(sorted(recorded["accuracy"]))


def test_rules_are_others_only_where_they_say_more(here: Path) -> None:
    assert rules_identity(small_board("erm")) == rules_identity(
        small_board("erm").model_copy(update={"headline": "accuracy"})
    )
    said = {rules_identity(board(headline=name)) for name in ("official", "accuracy", "macro_f1")}
    assert len(said) == 3
    assert rules_identity(board()) == rules_identity(board(headline="worst_group"))
    paths = {Store(here).index(board(headline=name)) for name in ("official", "accuracy", "macro_f1")}
    assert len(paths) == 1, "all ask for the same runs"


def test_damaged_predictions_are_missing_and_those_without_groups_are_refused(
    here: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(Path(shutil.copytree(here / "store", tmp_path / "store")))
    whole = collect(board(), store)
    run = whole.runs["run"][0]
    path = store.folder("run", run) / "predictions.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    left = collect(board(), store)
    assert (left.missing, run in left.runs["run"].to_list()) == (whole.missing + 1, False)
    assert run in caplog.text
    assert collect(board(headline="accuracy"), store).missing == whole.missing, "which reads no predictions"
    table = predicted(Store(here / "store"), run).with_columns(group=pl.lit(None, pl.Int64))
    table.write_parquet(path)
    seal(path.parent, {name: value for name, value in read_sealed(path.parent / DONE).items() if name != "files"})
    with pytest.raises(StoreError, match=f"worst group of run {run} is not known: its images are in no group"):
        collect(board(), store)


@pytest.fixture
def submitted(here: Path, tmp_path: Path) -> Path:
    """ERM as a submission."""
    own = board(algorithms=("erm",))
    (folder,) = make(own, index(make_plan(own)), Store(here / "store"), tmp_path / "out")
    return folder


def refused(folder: Path) -> dict[str, str]:
    checked = check(folder, board())
    return {one.code: one.reasons[0] for one in checked.verdicts if one.outcome == "refused"}


def test_a_submission_says_it_and_ranks_without_predictions(here: Path, submitted: Path, tmp_path: Path) -> None:
    checked = check(submitted, board())
    assert refused(submitted) == {}
    add(submitted, checked, tmp_path / "into", predictions=False)
    found = joined(board(), None, tmp_path / "into")
    assert found is not None
    own = collect(board(), Store(here / "store")).metrics.filter(pl.col("algorithm") == "erm")
    key = ["target", "trial", *STREAM]
    theirs = found.metrics.sort(key)
    assert theirs["accuracy"].to_list() == pytest.approx(own.sort(key)["accuracy"].to_list())
    assert refused(tmp_path / "into" / "erm@1") == {}


def _metrics(edit: Any) -> Any:
    def rows(table: pl.DataFrame) -> pl.DataFrame:
        results = []
        for text in table["result"]:
            result = json.loads(text)
            for one in result["metrics"]:
                edit(one)
            results.append(json.dumps(result))
        return table.with_columns(result=pl.Series(results))

    return rows


def test_a_better_one_than_predictions_give_is_refused(submitted: Path) -> None:
    tamper(submitted, rows=_metrics(lambda one: one.update(headline=1.0)))
    choose_again(submitted)
    assert "headline is" in refused(submitted)["E05"]


def test_groups_are_those_of_the_data(submitted: Path) -> None:
    """Whoever puts his errors into the group that does not count reaches more."""

    def elsewhere(table: pl.DataFrame, _: dict[str, Any]) -> pl.DataFrame:
        wrong = pl.col("label") != pl.col("prediction")
        return table.with_columns(group=pl.when(wrong).then(2).otherwise("group").cast(PREDICTIONS["group"]))

    repredict(submitted, elsewhere, report=False)
    assert "groups are not those of the data" in refused(submitted)["E04"]


def test_a_submission_that_lacks_it_is_refused_without_its_predictions_too(submitted: Path) -> None:
    shutil.rmtree(submitted / "predictions")
    tamper(submitted, rows=_metrics(lambda one: one.pop("headline")))
    choose_again(submitted)
    assert "lacks the accuracy on the worst group, by which 'sites' is judged" in refused(submitted)["E05"]
