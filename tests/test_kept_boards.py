"""The boards that come with results: each is whole, by one clean revision and today's rules, and its tables follow."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

import dgbench
from dgbench.board.render import files
from dgbench.core.cards import BoardCard
from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import StoreError
from dgbench.core.reader_cards import BuiltIn
from dgbench.core.recipe import compose
from dgbench.submissions.asked import Asked
from dgbench.submissions.evidence import file_of
from dgbench.submissions.joined import verdicts
from dgbench.submissions.place import Placed, placed

BOARDS = Path(__file__).parents[1] / "leaderboards"
KEPT = sorted(folder.parent.name for folder in BOARDS.glob("*/submissions"))
LARGEST = 10 << 20
"""Bytes of all submissions together: a repository is no place for more."""


@pytest.fixture(scope="module")
def entered() -> dict[str, list[Placed]]:
    return {name: placed(BOARDS / name / "submissions") for name in KEPT}


def test_there_are_boards_with_results_and_they_are_small() -> None:
    assert {"quick", "digits", "emoji"} <= set(KEPT)
    assert {path.parent.name for path in BOARDS.glob("*/leaderboard.csv")} == set(KEPT), "no table without submissions"
    assert sum(path.stat().st_size for path in BOARDS.glob("*/submissions/**/*") if path.is_file()) < LARGEST


@pytest.mark.parametrize("name", KEPT)
def test_one_clean_revision_made_all_of_it(name: str, entered: dict[str, list[Placed]]) -> None:
    versions = {version for one in entered[name] for version in one.submission.provenance.dgbench}
    (version,) = versions
    assert re.fullmatch(r"\S+ \([0-9a-f]{12}\)", version), "a revision, and nothing changed since"
    assert version in (BOARDS / name / "leaderboard.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", KEPT)
def test_every_algorithm_of_the_board_is_there_and_was_computed_again(
    name: str, entered: dict[str, list[Placed]]
) -> None:
    """Whoever changes the rules of a board makes its submissions again: E02 says so here, and all other rules hold."""
    card = dgbench.rules(name)
    recipes = {compose(one.submission.method.recipe or "").name for one in entered[name]}
    assert recipes >= {compose(expression).name for expression in card.algorithms}
    assert "self-reported" not in {one.level for one in entered[name]}
    asked = Asked.of(card, build=False)
    for one in entered[name]:
        said = {found.code: found for found in verdicts(one, asked)}
        assert [str(found) for found in said.values() if found.outcome == "refused"] == []
        assert said["W13"].outcome == "passed"
        for dataset, manifest in one.submission.data.items():
            reader = dataset_card(dataset).reader
            assert not isinstance(reader, BuiltIn) or reader.manifest == manifest


@pytest.mark.parametrize("name", KEPT)
def test_predictions_are_beside_it_or_made_again_by_a_named_command(
    name: str, entered: dict[str, list[Placed]]
) -> None:
    readme = (BOARDS / name / "README.md").read_text(encoding="utf-8")
    assert f"dgbench run {name}" in readme
    assert f"dgbench submit make {name} -o out" in readme
    for one in entered[name]:
        there = [(one.folder / file_of(row)).is_file() for row in one.rows if row.result.status == "ok"]
        assert all(there) or not any(there)
        assert any(there) or "--no-predictions" in readme


@pytest.mark.parametrize("name", KEPT)
def test_its_tables_are_those_of_its_submissions(name: str, tmp_path: Path) -> None:
    made = dgbench.leaderboard(name, store=tmp_path / "none")
    for file, table in (("leaderboard.csv", files.table(made)), ("cells.csv", files.cells(made))):
        kept = pl.read_csv(BOARDS / name / file)
        assert kept.columns == table.columns
        for column, kind in table.schema.items():
            if kind.is_float():
                assert kept[column].to_list() == pytest.approx(table[column].to_list(), abs=1e-9, nan_ok=True), column
            elif kind == pl.String:
                assert [text or "" for text in kept[column].cast(pl.String)] == [
                    text or "" for text in table[column]
                ], column
            else:
                assert kept[column].to_list() == table[column].to_list(), column


def test_the_table_of_the_readme_is_that_of_the_board(tmp_path: Path) -> None:
    """What ``make demo`` prints is what the submissions to ``quick`` give, but for their level."""
    readme = (BOARDS.parent / "README.md").read_text(encoding="utf-8")
    shown = [line for line in readme.splitlines() if re.match(r"\| \d", line)]
    kept = (BOARDS / "quick" / "leaderboard.md").read_text(encoding="utf-8")
    rows = [re.sub(r" \([a-z -]+\) \|", " |", line, count=1) for line in kept.splitlines() if re.match(r"\| \d", line)]
    assert len(shown) == len(dgbench.rules("quick").algorithms) == 18
    assert shown == rows


def test_rules_that_changed_leave_them_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The guard above would see it: a board with one more step has no results."""
    card: BoardCard = dgbench.rules("quick")
    other = card.model_copy(update={"training": card.training.model_copy(update={"steps": 110})})
    with pytest.raises(StoreError):
        dgbench.leaderboard(other, store=tmp_path / "none", submissions=BOARDS / "quick" / "submissions")
    assert caplog.text.count("E02 it was made by the rules") == 18


def test_predictions_that_are_kept_are_checked_where_their_data_cannot_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a service does that checks a pull request without npm: nothing is refused for that, and it is said."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    checked = dgbench.check_submission(BOARDS / "emoji" / "submissions" / "sam@1", store=tmp_path / "none")
    assert (checked.good, checked.level) == (True, "recomputed")
    marked = {verdict.code for verdict in checked.verdicts if verdict.outcome == "marked"}
    assert marked >= {"E02", "E04"}
    assert "'emoji' is not on this machine: fetching packs needs npm" in caplog.text
