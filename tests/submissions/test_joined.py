"""Who stands on a board, and under which name, when the store and submissions hold the same algorithms."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from submissions.synthetic import submit, tamper, usual

import dgbench
from dgbench.board.from_records import from_records
from dgbench.board.render import text
from dgbench.core.cards import BoardCard, board_card
from dgbench.core.paths import shipped
from dgbench.data import catalogue
from dgbench.runs.collect import Records
from dgbench.submissions.check import check
from dgbench.submissions.joined import joined
from dgbench.submissions.place import add


@pytest.fixture(scope="module")
def entered(tmp_path_factory: pytest.TempPathFactory, board: BoardCard) -> Path:
    """Two submissions that no test changes."""
    room = tmp_path_factory.mktemp("both")
    for recipe in ("erm", "sam"):
        put(submit(room / "out", board, recipe), board, room / "submissions")
    return room / "submissions"


@pytest.fixture
def into(tmp_path: Path, entered: Path) -> Path:
    """A copy of them."""
    return Path(shutil.copytree(entered, tmp_path / "submissions"))


def put(folder: Path, board: BoardCard, into: Path, *, level: bool = True) -> Path:
    place = add(folder, check(folder, board), into, predictions=False)
    if not level:
        place.with_name(f"{place.name}.verified.json").unlink()
    return place


def alone(board: BoardCard, into: Path) -> Records:
    found = joined(board, None, into)
    assert found is not None
    return found


def as_run_here(found: Records, *, but: pl.Expr | None = None) -> Records:
    """The same records, as if the store had made them; without some runs."""
    kept = found.runs if but is None else found.runs.filter(~but)
    return replace(found, runs=kept, streams=found.metrics.join(kept, on="run", how="semi"), levels={}, repeats=())


def test_an_algorithm_is_called_as_it_is(board: BoardCard, into: Path) -> None:
    found = alone(board, into)
    assert found.names == ("erm", "sam")
    assert found.levels == {"erm": "recomputed", "sam": "recomputed"}
    assert found.submitted == {"erm": "erm@1", "sam": "sam@1"}
    entries = {entry.algorithm: entry for entry in from_records(found).entries}
    assert entries["erm"].difference is None
    assert entries["sam"].difference is not None, "it is compared with the ERM that was submitted"


def test_a_look_at_a_board_draws_no_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of ``emoji`` that is to fetch packs and to draw for a minute, where nothing is run."""
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(catalogue, "build", lambda *_: pytest.fail("a set was built"))
    board = board_card("emoji")
    assert alone(board, shipped("leaderboards") / "emoji" / "submissions").names == board.algorithms


def test_nobody_takes_a_name_by_submitting_it_again(board: BoardCard, into: Path, tmp_path: Path) -> None:
    """The one of which others have seen the most is called so, of equals the first."""
    again = submit(tmp_path / "more", board, "erm", name="erm", number=2, skill=lambda stream: usual(stream) - 0.05)
    put(again, board, into)
    assert alone(board, into).names == ("erm", "erm@2", "sam")
    (into / "erm@1.verified.json").unlink()
    assert alone(board, into).levels == {"erm": "recomputed", "sam": "recomputed", "erm@1": "self-reported"}


def test_a_method_of_another_code_base_is_called_after_its_folder(board: BoardCard, into: Path, tmp_path: Path) -> None:
    put(submit(tmp_path / "more", board, None, name="erm-of-mine"), board, into)
    assert alone(board, into).names == ("erm", "erm-of-mine@1", "sam")


def test_what_the_store_holds_stands_for_submissions_of_the_same_runs(board: BoardCard, into: Path) -> None:
    submitted = alone(board, into)
    own = as_run_here(submitted)
    both = joined(board, own, into)
    assert both is not None
    assert both.names == own.names
    assert both.levels == {}
    assert both.metrics.equals(own.metrics), "no result is there twice"
    assert [(again.submission, again.identical, again.difference) for again in both.repeats] == [
        ("erm@1", True, 0.0),
        ("sam@1", True, 0.0),
    ]
    said = " ".join(text.notes(from_records(both)))
    assert "Submitted from the same runs, with the same predictions bit for bit, and listed once: erm@1, sam@1." in said


def test_the_same_runs_with_other_numbers_are_listed_once_and_told(board: BoardCard, into: Path) -> None:
    """Another machine rounds otherwise, or somebody invented them: what the store holds itself is shown."""
    own = as_run_here(alone(board, into))
    shifted = pl.when(algorithm="sam").then(pl.col("accuracy") - 0.0123).otherwise("accuracy")
    other = pl.when(algorithm="sam").then(pl.lit("0" * 16)).otherwise("digest")
    both = joined(board, replace(own, streams=own.metrics.with_columns(accuracy=shifted, digest=other)), into)
    assert both is not None
    assert both.names == ("erm", "sam")
    again = next(one for one in both.repeats if one.submission == "sam@1")
    assert not again.identical
    assert again.difference == pytest.approx(0.0123)
    said = " ".join(text.notes(from_records(both)))
    assert "submitted from the same runs as sam@1 (recomputed), where accuracies on targets differ by up to 1.2" in said


def test_a_store_that_holds_a_part_stands_for_nothing_more(board: BoardCard, into: Path) -> None:
    """Work that goes on hides no finished result; what was submitted gives way when the last run is there."""
    own = as_run_here(alone(board, into), but=pl.col("algorithm").eq("sam") & pl.col("trial").eq(1))
    both = joined(board, own, into)
    assert both is not None
    assert both.names == ("erm", "sam", "sam@1")
    assert both.levels == {"sam@1": "recomputed"}
    assert [again.submission for again in both.repeats] == ["erm@1"]
    made = {entry.algorithm: entry for entry in from_records(both).entries}
    assert made["sam"].rank is None
    assert made["sam@1"].rank is not None


def test_what_claims_a_recipe_and_has_other_runs_stands_beside_the_store(
    board: BoardCard, into: Path, tmp_path: Path
) -> None:
    own = as_run_here(alone(board, into))
    stranger = submit(tmp_path / "more", board, "sam", name="another")
    tamper(stranger, says=lambda content: content.update(id="another@1"))
    put(stranger, board, into)
    both = joined(board, own, into)
    assert both is not None
    assert both.names == ("erm", "sam", "another@1")


def test_the_table_of_both_is_that_of_the_store(board: BoardCard, into: Path, tmp_path: Path) -> None:
    own = from_records(as_run_here(alone(board, into)))
    both = joined(board, as_run_here(alone(board, into)), into)
    assert both is not None
    assert from_records(both).cells.equals(own.cells)
    submitted = dgbench.leaderboard(board, store=tmp_path / "none", submissions=into)
    assert submitted.cells.equals(own.cells)


def test_models_are_selected_from_submissions_as_on_the_leaderboard(
    board: BoardCard, into: Path, tmp_path: Path
) -> None:
    made = dgbench.select(board, store=tmp_path / "none", submissions=into)
    assert made.submitted == {"erm": "erm@1", "sam": "sam@1"}
    lead = dgbench.leaderboard(board, store=tmp_path / "none", submissions=into).cells
    same = ("algorithm", "target", "trial", "draw", "step", "run", "score", "accuracy")
    assert sorted(made.cells.select(same).rows()) == sorted(lead.select(same).rows())
    one = dgbench.select(
        board, algorithms=["sam"], targets=["print"], trials=[0], store=tmp_path / "none", submissions=into
    )
    assert one.cells.height == 1
    assert not one.exportable, "its weights are with those who submitted it"
