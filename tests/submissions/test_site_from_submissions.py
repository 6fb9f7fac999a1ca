"""From runs to the site and back: what the site exports is what a reader computes from the predictions, by hand."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import polars as pl
import pytest
from comparing.called import within
from sites.made import few_cards
from sklearn.metrics import balanced_accuracy_score
from submissions.boards import write_board

import dgbench
from dgbench.board.misses import MOST
from dgbench.board.render import text
from dgbench.core.errors import StoreError
from dgbench.submissions.place import placed

ALGORITHMS = ("erm", "t3a")


@pytest.fixture(scope="module")
def room(ran: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Submissions of all algorithms of a board, made, checked and added without predictions, and a site of them."""
    room = tmp_path_factory.mktemp("from-submissions")
    write_board(room / "small", *ALGORITHMS)
    call(room, "submit", "make", board(room), "-o", "out", "--store", str(ran / "store"))
    made = [f"out/{name}@1" for name in ALGORITHMS]
    told = json.loads(call(room, "submit", "check", *made, "--board", board(room), "--json"))
    assert [(one["id"], one["good"]) for one in told] == [(f"{name}@1", True) for name in ALGORITHMS]
    call(room, "submit", "add", *made, "--board", board(room), "--no-predictions")
    with few_cards:
        assert dgbench.build_site(room / "site", [board(room)], store=room / "empty")
    return room


def call(room: Path, *words: str) -> str:
    done = within(*words, folder=room)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def board(room: Path) -> str:
    return str(room / "small" / "board.toml")


def by_hand(folder: Path) -> dict[str, list[tuple[int, float, float]]]:
    """Target -> (trial, score, accuracy on the target) of the chosen models, from nothing but tables of predictions."""
    chosen = defaultdict(list)
    for row in pl.read_parquet(folder / "runs.parquet").iter_rows(named=True):
        right: dict[tuple[int, str, str, str], list[bool]] = defaultdict(list)
        for one in pl.read_parquet(folder / "predictions" / f"{row['run']}.parquet").iter_rows(named=True):
            key = (one["step"], one["split"], one["domain"], one["view"])
            right[key].append(one["prediction"] == one["label"])
        held_out = set(json.loads(row["families"]))
        best = (-1.0, 0, 0.0)
        for step in sorted({key[0] for key in right}):
            views: dict[str, list[float]] = defaultdict(list)
            for (at, split, domain, view), hits in right.items():
                if at == step and split == "validation" and view != "clean" and view not in held_out:
                    views[domain].append(fmean(hits))
            score = round(fmean(fmean(values) for values in views.values()), 12)
            (target,) = (fmean(hits) for key, hits in right.items() if key[:2] == (step, "target"))
            if score > best[0]:  # ties go to the earlier step
                best = (score, step, target)
        chosen[row["target"]].append((row["trial"], best[0], best[2]))
    return chosen


def test_the_table_that_a_site_exports_is_that_of_the_predictions(room: Path) -> None:
    exported = pl.read_csv(room / "site" / "boards" / "small" / "augmented" / "leaderboard.csv")
    assert sorted(exported["algorithm"]) == sorted(ALGORITHMS)
    levels = {one.submission.id: one.level for one in placed(room / "small" / "submissions")}
    assert dict(exported.select("algorithm", "level").iter_rows()) == {name: levels[f"{name}@1"] for name in ALGORITHMS}
    reference = by_hand(room / "out" / "erm@1")
    for row in exported.iter_rows(named=True):
        own = by_hand(room / "out" / f"{row['algorithm']}@1")
        assert set(own) == {"print", "dot-matrix"}
        means = {target: fmean(accuracy for _, _, accuracy in cells) for target, cells in own.items()}
        for target, mean in means.items():
            assert row[f"accuracy_{target}"] == pytest.approx(mean, abs=1e-12)
        assert row["accuracy"] == pytest.approx(fmean(means.values()), abs=1e-12)
        assert row["worst_target"] == min(means, key=lambda target: means[target])
        lead = fmean(means[target] - fmean(cell[2] for cell in reference[target]) for target in means)
        assert row["versus_erm"] is None if row["algorithm"] == "erm" else row["versus_erm"] == pytest.approx(lead)


def test_the_cells_that_a_site_exports_are_those_of_the_predictions(room: Path) -> None:
    exported = pl.read_csv(room / "site" / "boards" / "small" / "augmented" / "cells.csv")
    found = {(row["algorithm"], row["target"], row["trial"]): row for row in exported.iter_rows(named=True)}
    for name in ALGORITHMS:
        for target, cells in by_hand(room / "out" / f"{name}@1").items():
            for trial, score, accuracy in cells:
                row = found.pop((name, target, trial))
                assert row["score"] == pytest.approx(score, abs=1e-11)
                assert row["accuracy"] == pytest.approx(accuracy, abs=1e-12)
    assert found == {}


def test_a_site_of_a_store_shows_other_measures_and_pictures_of_what_was_missed(ran: Path, tmp_path: Path) -> None:
    with few_cards:
        assert dgbench.build_site(tmp_path / "site", [board(ran)], store=ran / "store")
    folder = tmp_path / "site" / "boards" / "small"
    cells = pl.read_csv(folder / "augmented" / "cells.csv")
    exported = pl.read_csv(folder / "augmented" / "measures.csv").filter(metric="macro")
    wrong: dict[str, set[str]] = {}
    for name in ALGORITHMS:
        recalls = []
        for run, step in cells.filter(algorithm=name).select("run", "step").iter_rows():
            table = pl.read_parquet(ran / "store" / "runs" / run / "predictions.parquet")
            on_target = table.filter(step=step, split="target")
            recalls.append(balanced_accuracy_score(on_target["label"], on_target["prediction"]))
            wrong.setdefault(name, set()).update(on_target.filter(pl.col("label") != pl.col("prediction"))["sample"])
        assert exported.filter(algorithm=name)["value"].item() == pytest.approx(fmean(recalls))
    page = (folder / "runs" / "erm.html").read_text(encoding="utf-8")
    missed = page[page.index('id="missed"') :]
    shown = re.findall(r"<code>([0-9a-f]{16})</code>", missed[: missed.index("</section>")])
    assert set(shown) <= wrong["erm"]
    assert len(shown) == MOST
    assert missed.count("data:image/png") == MOST, "the data is on every machine"


def test_a_submission_of_several_is_all_or_none(ran: Path, tmp_path: Path) -> None:
    """Nothing is written where runs of one algorithm are missing, or one of the folders is there."""
    with pytest.raises(StoreError, match="'dgbench run small -a \"sam\"' does them"):
        dgbench.make_submissions(board(ran), tmp_path, ["erm", "sam"], store=ran / "store")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "t3a@1").mkdir()
    with pytest.raises(StoreError, match="t3a@1 is there already"):
        dgbench.make_submissions(board(ran), tmp_path, store=ran / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["t3a@1"]


def test_the_pages_say_who_vouches_for_runs_and_what_does_them_again(room: Path) -> None:
    page = (room / "site" / "boards" / "small" / "runs" / "erm.html").read_text(encoding="utf-8")
    said = " ".join(page.split())
    (level,) = {one.level for one in placed(room / "small" / "submissions")}
    assert f"These runs are those of the submission <code>erm@1</code>: {level}, that is, {text.LEVELS[level]}." in said
    algorithm = (room / "site" / "algorithms" / "erm.html").read_text(encoding="utf-8")
    assert f'<td class="left">{level}</td>' in algorithm
    shown = (room / "site" / "boards" / "small" / "augmented" / "leaderboard.html").read_text(encoding="utf-8")
    assert shown.count("Not to be had here: ") == 1, "one reason is said once"
