"""Placed submissions: who may be there, what their level is, and what the board makes of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from submissions.synthetic import submit, tamper, toy_board, usual

import dgbench
from dgbench.board.render import files, html, markdown, text
from dgbench.core.cards import BoardCard, CaseRules
from dgbench.core.errors import RecordError, StoreError
from dgbench.submissions.check import check
from dgbench.submissions.place import VERIFICATION, Verification, add, note, on_target, placed


def put(folder: Path, board: BoardCard, into: Path) -> Path:
    return add(folder, check(folder, board), into)


def test_a_good_submission_is_placed_whole_and_again_without_harm(good: Path, board: BoardCard, tmp_path: Path) -> None:
    into = tmp_path / "submissions"
    place = put(good, board, into)
    assert {path.name for path in into.iterdir()} == {"erm@1", "erm@1.verified.json"}
    for path in good.rglob("*"):
        if path.is_file():
            assert (place / path.relative_to(good)).read_bytes() == path.read_bytes()
    before = {path: path.stat().st_mtime_ns for path in into.rglob("*")}
    assert put(good, board, into) == place
    assert before == {path: path.stat().st_mtime_ns for path in into.rglob("*")}
    (one,) = placed(into)
    assert (one.submission.id, one.level) == ("erm@1", "recomputed")


def test_a_refused_one_leaves_nothing(good: Path, board: BoardCard, tmp_path: Path) -> None:
    tamper(good, says=lambda content: content["scores"][0].update(accuracy=0.99))
    with pytest.raises(RecordError, match=r"is refused: E05 \(the score on .*; 'dgbench submit check' says more"):
        put(good, board, tmp_path / "submissions")
    assert not (tmp_path / "submissions").exists()


def test_what_changed_after_it_was_checked_leaves_nothing(good: Path, board: BoardCard, tmp_path: Path) -> None:
    checked = check(good, board)
    tamper(good, says=lambda content: content["method"].update(title="Another"))
    with pytest.raises(RecordError, match="changed while it was read"):
        add(good, checked, tmp_path / "submissions")
    assert list((tmp_path / "submissions").iterdir()) == []


def test_nobody_takes_the_place_of_another(good: Path, board: BoardCard, tmp_path: Path) -> None:
    put(good, board, tmp_path / "submissions")
    tamper(good, says=lambda content: content["method"].update(title="Another"))
    with pytest.raises(StoreError, match=r"is there already, and is another submission; give this one the next number"):
        put(good, board, tmp_path / "submissions")


def test_a_level_is_that_of_the_files_as_they_are(good: Path, board: BoardCard, tmp_path: Path) -> None:
    place = put(good, board, tmp_path / "submissions")
    tamper(place, says=lambda content: content["method"].update(title="Another"))
    assert [one.level for one in placed(place.parent)] == ["self-reported"]


def test_nobody_vouches_for_himself(good: Path, board: BoardCard) -> None:
    """A level inside the folder is a file, or a field, that no submission has."""
    seen = Verification(submission="0" * 64, level="full re-run", by="me", made="now")
    note(good / "erm@1", seen)
    assert not check(good, board).good
    (good / "erm@1.verified.json").unlink()
    tamper(good, says=lambda content: content.update(level="full re-run"))
    assert not check(good, board).good


def test_predictions_on_targets_are_those_that_were_submitted_or_none(
    good: Path, board: BoardCard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = put(good, board, tmp_path / "submissions")
    (one,) = placed(place.parent)
    run = one.rows[0].run
    found = on_target(one, run)
    assert found is not None
    assert set(found["split"]) == {"target"}
    for measured in one.rows[0].result.metrics:
        if measured.split == "target":
            own = found.filter(step=measured.step)
            assert (own["prediction"] == own["label"]).mean() == pytest.approx(measured.accuracy)
    assert on_target(one, "0" * 16) is None
    assert not caplog.records
    path = place / "predictions" / f"{run}.parquet"
    path.write_bytes(path.read_bytes() + b"more")
    assert on_target(one, run) is None
    assert "is not what was submitted" in caplog.text
    path.unlink()
    assert on_target(one, run) is None


def test_without_predictions_a_board_is_the_same(good: Path, board: BoardCard, tmp_path: Path) -> None:
    into = tmp_path / "submissions"
    place = add(good, check(good, board), into, predictions=False)
    assert not (place / "predictions").exists()
    assert [one.level for one in placed(into)] == ["recomputed"], "they were there when it was placed"
    light = dgbench.leaderboard(board, store=tmp_path / "store", submissions=into)
    put(good, board, tmp_path / "whole")
    whole = dgbench.leaderboard(board, store=tmp_path / "store", submissions=tmp_path / "whole")
    assert files.table(light).equals(files.table(whole))


def test_what_does_not_belong_on_a_board_is_named_and_left_out(
    good: Path, board: BoardCard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    into = tmp_path / "submissions"
    put(good, board, into)
    for number, change in enumerate(
        [
            lambda content: content["board"].update(rules="0" * 16),
            lambda content: content.update(colour="\x1b[31m"),
            lambda content: content.update(id="other@1"),
            lambda content: content["board"].update(name="quick"),
        ]
    ):
        other = Path(shutil.copytree(good, into / f"erm@{number + 2}"))
        tamper(other, says=lambda content, number=number: content.update(id=f"erm@{number + 2}"))  # type: ignore[misc]
        tamper(other, says=change)
    made = dgbench.leaderboard(board, store=tmp_path / "store", submissions=into)
    assert [entry.algorithm for entry in made.entries] == ["erm"]
    for number, why in enumerate(
        ["E02", "", "it is called 'other@1', and lies in 'erm@4'", "it is for the board 'quick'"]
    ):
        assert f"left out: erm@{number + 2}: " in caplog.text
        assert why in caplog.text
    assert caplog.text.isascii()
    assert "\x1b" not in caplog.text


def test_a_board_ranks_what_was_submitted_and_says_its_level(tmp_path: Path) -> None:
    """The table that comes of placed submissions is that of the predictions, computed here by hand."""
    board = toy_board(cases={"digits": CaseRules(targets=("print", "dot-matrix"))})

    def better(stream: dict[str, Any]) -> float:
        return 0.9 if stream["split"] == "target" else usual(stream)

    into = tmp_path / "submissions"
    for recipe, skill in (("erm", usual), ("sam", better)):
        put(submit(tmp_path / "out", board, recipe, skill=skill), board, into)
    made = dgbench.leaderboard(board, store=tmp_path / "store", submissions=into)
    table = files.table(made)
    assert table["algorithm"].to_list() == ["sam", "erm"]
    assert table["level"].to_list() == ["recomputed", "recomputed"]
    for name, row in zip(table["algorithm"], table.iter_rows(named=True), strict=True):
        said = json.loads((into / f"{name}@1" / "submission.json").read_text())
        by_hand = {score["target"]: score["accuracy"] for score in said["scores"]}
        for target, accuracy in by_hand.items():
            assert row[f"accuracy_{target}"] == pytest.approx(accuracy, abs=1e-12)
        assert row["accuracy"] == pytest.approx(sum(by_hand.values()) / 2, abs=1e-12)
    assert text.name(made.entries[0], made) == "A method (recomputed)"
    for page in (html.render(made), markdown.render(made)):
        assert "A method (recomputed)" in page


def test_no_title_acts_on_a_page(tmp_path: Path, board: BoardCard) -> None:
    folder = submit(tmp_path / "out", board)
    tamper(folder, says=lambda content: content["method"].update(title="<script>alert(1)</script>=1+1"))
    put(folder, board, tmp_path / "submissions")
    made = dgbench.leaderboard(board, store=tmp_path / "store", submissions=tmp_path / "submissions")
    assert "<script>alert" not in html.render(made)


def test_other_rules_have_other_submissions(tmp_path: Path, board: BoardCard, caplog: pytest.LogCaptureFixture) -> None:
    put(submit(tmp_path / "out", board), board, tmp_path / "submissions")
    with pytest.raises(StoreError, match="holds nothing of 'toy' by these rules"):
        dgbench.leaderboard(toy_board(trials=1), store=tmp_path / "store", submissions=tmp_path / "submissions")
    assert "left out: erm@1: E02" in caplog.text


def test_a_note_that_cannot_be_read_is_named(
    good: Path, board: BoardCard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = put(good, board, tmp_path / "submissions")
    path = place.with_name("erm@1.verified.json")
    assert VERIFICATION.read(json.loads(path.read_text()), "it").level == "recomputed"
    path.write_text("{")
    assert placed(place.parent) == []
    assert "left out: erm@1: erm@1.verified.json is no JSON" in caplog.text
