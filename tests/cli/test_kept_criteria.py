"""The boards that come with judged criteria: whole, by one clean revision and today's rules, all from their models."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from cli.rooms import Room

import dgbench
from dgbench.board.judged import JudgedTrack, track
from dgbench.board.render.criteria import data, words
from dgbench.core.rules import rules_identity
from dgbench.selection.criteria import CRITERIA
from dgbench.selection.design import Design

BOARDS = Path(__file__).parents[2] / "leaderboards"
KEPT = sorted(folder.parent.name for folder in BOARDS.glob("*/criteria.csv"))


def again(folder: Path) -> list[JudgedTrack]:
    """The criteria, judged by the models that are kept, of a board that leaves one domain out."""
    made = []
    for (name,), points in pl.read_csv(folder / "models.csv", infer_schema_length=None).group_by("track"):
        columns = [column for column in points.columns if column in CRITERIA and points[column].count()]
        floats = points.drop("track").with_columns(pl.col("accuracy", *columns).cast(pl.Float64))
        titles = {str(algorithm): str(algorithm) for algorithm in points["algorithm"].unique()}
        design = Design({target: target for target in points["target"].unique()})
        made.append(track(str(name), titles, floats, {each: CRITERIA[each] for each in columns}, {}, design))
    return sorted(made, key=lambda one: one.name)


def check(folder: Path, board: str | Path) -> None:
    """That the tables follow from the models, and the words from the tables."""
    card, tracks = dgbench.rules(board), again(folder)
    said = (folder / "criteria.md").read_text(encoding="utf-8").replace("\\", "")
    assert f"rules {rules_identity(card)}" in said
    for one in tracks:
        assert all(line in said for line in words.verdicts(one))
    kept = pl.read_csv(folder / "criteria.csv", infer_schema_length=None)
    table = pl.concat([data.of_track(one) for one in tracks])
    assert kept.columns == table.columns
    for column, kind in table.schema.items():
        if kind.is_float():
            assert kept[column].cast(pl.Float64).to_list() == pytest.approx(table[column].to_list(), abs=1e-9), column
        else:
            assert kept[column].cast(kind).to_list() == table[column].to_list(), column


@pytest.mark.parametrize("name", KEPT)
def test_it_is_whole_and_made_by_one_clean_revision(name: str) -> None:
    folder, card = BOARDS / name, dgbench.rules(name)
    check(folder, name)
    said = (folder / "criteria.md").read_text(encoding="utf-8").replace("\\", "")
    (versions,) = re.findall(r"^\* computed with dgbench: (.*)$", said, re.MULTILINE)
    assert re.fullmatch(r"\S+ \([0-9a-f]{12}\)", versions), "one revision, and nothing changed since"
    models = pl.read_csv(folder / "models.csv", infer_schema_length=None)
    places = [models["algorithm"].n_unique(), models["draw"].n_unique(), models["trial"].n_unique()]
    assert places == [len(card.algorithms), card.draws, card.trials]
    asked = len(card.algorithms) * card.draws * card.trials * models["target"].n_unique()
    assert models.height == asked if "Diverged: " not in said else models.height < asked
    assert "Runs that are not finished" not in said
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert f"dgbench run {name}" in readme
    assert f"dgbench criteria {name} -o leaderboards/{name}" in readme


def test_the_page_on_criteria_says_what_the_boards_say() -> None:
    """Augmented against source validation for each choice, as the tables have it."""
    page = (BOARDS.parent / "docs" / "criteria.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| \[`([\w-]+)`\]\S+ \| (.*) \|$", page, re.MULTILINE)
    assert {name for name, _ in told} == set(KEPT)
    for name, cells in told:
        table = pl.read_csv(BOARDS / name / "criteria.csv", infer_schema_length=None)
        for purpose, cell in zip(("method", "hyperparameters", "both"), cells.split(" | "), strict=True):
            (row,) = table.filter(choice=purpose, criterion="augmented").iter_rows(named=True)
            points = [f"{100 * row[each]:+.1f}".replace("-", "−") for each in ("gain", "gain_low", "gain_high")]
            assert re.findall(r"[+−]\d\.\d", cell) == points


def test_what_is_written_of_a_drawn_board_would_be_kept(room: Room, tmp_path: Path) -> None:
    dgbench.criteria(room.board, store=room.store).write(tmp_path)
    check(tmp_path, room.board)
    models = (tmp_path / "models.csv").read_text(encoding="utf-8")
    (tmp_path / "models.csv").write_text(
        re.sub(r"(\n[^,]+,[^,]+,[^,]+,\d+,\d+,\d+,)[^,]+", r"\g<1>0.987", models, count=1)
    )
    with pytest.raises(AssertionError):
        check(tmp_path, room.board)
