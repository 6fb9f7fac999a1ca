"""The store that is measured is one that every command takes for finished work."""

from pathlib import Path

from scripts_loaded import load_script

import dgbench
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.runs.todo import todo
from small import small_board


def test_what_is_drawn_is_a_finished_board(tmp_path: Path) -> None:
    store, board = Store(tmp_path), small_board("erm", "t3a")
    assert load_script("measure_store").fill(store, board) == 8
    assert not todo(make_plan(board), store).runs
    assert all(store.intact("run", id_) for id_ in store.pieces("run"))
    made = dgbench.leaderboard(board, store=tmp_path)
    assert sorted(entry.algorithm for entry in made.entries) == ["erm", "t3a"]
    ece = dgbench.ranking(board, "ece", store=tmp_path)
    assert all(0 < place.value.mean < 1 for track in ece.tracks.values() for place in track)


def test_a_pool_of_predictions_makes_whole_runs_that_differ(tmp_path: Path) -> None:
    store, board = Store(tmp_path), small_board("erm", "sam")
    load_script("measure_store").fill(store, board, examples=3, pool=1)
    assert all(store.intact("run", id_) for id_ in store.pieces("run"))
    metrics = dgbench.records(board, store=tmp_path).metrics
    assert metrics["n"].max() == 3
    assert metrics["digest"].n_unique() > len(metrics["target"].unique())


def test_what_a_command_takes_is_measured(tmp_path: Path) -> None:
    clock, processor, memory = load_script("measure_store").timed(
        ["list", "boards"], {"PATH": "", "HOME": str(tmp_path)}
    )
    assert clock > 0
    assert 0.1 < processor < 60
    assert 10 < memory < 1000, "megabytes"
