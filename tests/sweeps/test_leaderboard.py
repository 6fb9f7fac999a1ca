"""A sweep of the reference as leaderboards of dgbench: the same candidates, chosen and ranked by dgbench's rules."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from sweeps.made import record, write_job, write_sweep
from sweeps.naive import lines
from sweeps.test_domainbed import NAN, accuracies, job, run

from dgbench.core.errors import RecordError, StoreError
from dgbench.sweeps.leaderboard import leaderboards
from dgbench.sweeps.read import read_sweep


def chosen(folder: Path, algorithm: str, target: int, trial: int, envs: int = 4) -> tuple[float, float, float]:
    """Validation and test accuracy of the choice, and the best there was."""
    found = []
    for each in lines(folder):
        args = each["args"]
        if (args["algorithm"], args["test_envs"], args["trial_seed"]) == (algorithm, [target], trial):
            score = fmean(each[f"env{env}_out_acc"] for env in range(envs) if env != target)
            # the best first; of equals the earliest step, then the smallest seed
            found.append((-score, each["step"], args["hparams_seed"], each[f"env{target}_in_acc"]))
    first = min(found)
    return -first[0], first[3], max(each[3] for each in found)


def test_a_sweep_is_selected_and_ranked_by_the_rules_here(tmp_path: Path) -> None:
    write_sweep(tmp_path, values=7)
    (board,) = leaderboards(read_sweep(tmp_path))
    assert (board.info.trials, board.info.draws, board.info.domains) == (3, 3, ("A", "C", "P", "S"))
    (track,) = board.tracks
    assert {entry.algorithm for entry in track.entries} == {"ERM", "CORAL", "Mine"}
    for entry in track.entries:
        cells = [[chosen(tmp_path, entry.algorithm, target, trial) for trial in range(3)] for target in range(4)]
        flat = [cell for row in cells for cell in row]
        assert entry.accuracy.mean == pytest.approx(fmean(cell[1] for cell in flat))
        assert entry.accuracy.n == 12
        assert entry.ceiling.mean == pytest.approx(fmean(cell[2] for cell in flat))
        assert entry.gap.mean == pytest.approx(fmean(cell[0] - cell[1] for cell in flat))
        assert entry.targets["C"].mean == pytest.approx(fmean(cell[1] for cell in cells[1]))
        assert (entry.rank, entry.rank_worst, entry.same_as, entry.nll) == (1, 3, None, None)
        assert (entry.difference is None) == (entry.algorithm == "ERM")


def test_an_algorithm_that_is_better_everywhere_ranks_before_the_others(tmp_path: Path) -> None:
    for trial in range(3):
        for name, skill in (("ERM", 0.5), ("SD", 0.8)):
            for target in range(3):
                values = [(0.9, 0.9)] * 3
                values[target] = (skill + 0.01 * trial * (1 + target) * (1 if name == "SD" else -1), 0.5)
                job(tmp_path, 5, accuracies(*values), envs=(target,), trial=trial, algorithm=name)
    (board,) = leaderboards(read_sweep(tmp_path))
    assert [(entry.algorithm, entry.rank) for entry in board.entries] == [("SD", 1), ("ERM", 2)]
    assert board.info.draws == 1, "the only seed of hyperparameters is 5"


def test_what_is_unfinished_is_missing_and_leaves_its_algorithm_unranked(tmp_path: Path) -> None:
    values = [accuracies((0.5, 0.5), (0.5, 0.5))]
    for trial in range(2):
        for target in range(2):
            for name in ("ERM", "SD"):
                done = (name, trial, target) != ("SD", 1, 1)
                job(tmp_path, 0, *values, envs=(target,), trial=trial, algorithm=name, done=done)
    job(tmp_path, 0, *values, algorithm="Fish", done=False)
    (board,) = leaderboards(read_sweep(tmp_path))
    assert {entry.algorithm: (entry.rank, entry.runs) for entry in board.entries} == {"ERM": (1, 4), "SD": (None, 3)}
    assert board.absent == ("Fish",)
    code, said = run(tmp_path)
    assert code == 0
    flat = " ".join(said.split())
    for words in ("SD has 3 of 4 runs", "2 jobs without 'done'", "left out", "No finished job on Toy: Fish."):
        assert words in flat


def test_a_validation_that_is_not_a_number_is_never_chosen(tmp_path: Path) -> None:
    job(tmp_path, 0, accuracies((0.1, 0), (1, NAN), (1, 0.9)), accuracies((0.2, 0), (1, 0.3), (1, 0.3)))
    (board,) = leaderboards(read_sweep(tmp_path))
    assert board.entries[0].accuracy.mean == pytest.approx(0.2)


def twice(folder: Path) -> None:
    for name in ("one", "two"):
        job(folder, 0, accuracies((0.5, 0.5), (1, 0.5)), name=name)


def again(folder: Path) -> None:
    start = [record("Toy", "ERM", [0], 0, 0, step, accuracies((0.5, 0.5), (1, 0.5))) for step in (0, 300)]
    write_job(folder, [*start, *start], name="one")


def blind(folder: Path) -> None:
    job(folder, 0, accuracies((NAN, 0.5), (1, 0.5)), name="one")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (twice, ["one and two are the same job", "trial_seed 0, hparams_seed 0", "take one of the folders away"]),
        (again, ["one/results.jsonl, line 3: step: 0 comes after 300", "keep the lines of one start"]),
        (blind, ["one/results.jsonl, line 1: env0_in_acc: is not a number", "--protocol domainbed"]),
    ],
)
def test_what_cannot_be_ranked_is_refused_here_and_shown_by_the_reference(
    made: Any, words: list[str], tmp_path: Path
) -> None:
    made(tmp_path)
    with pytest.raises(RecordError) as caught:
        leaderboards(read_sweep(tmp_path))
    for word in words:
        assert word in str(caught.value)
    assert run(tmp_path, "--protocol", "domainbed", "--quiet") == (0, "")


def test_a_sweep_of_pairs_alone_ranks_nothing(tmp_path: Path) -> None:
    job(tmp_path, 0, accuracies((0.5, 0.5), (1, 0.5), (1, 0.5)), envs=(0, 1))
    with pytest.raises(StoreError, match="--protocol domainbed"):
        leaderboards(read_sweep(tmp_path))


def test_the_command_has_a_board_for_each_dataset(tmp_path: Path) -> None:
    write_sweep(tmp_path / "sweep", datasets={"PACS": 4, "VLCS": 4}, draws=2, trials=2, values=7)
    code, said = run(tmp_path / "sweep", "--csv", tmp_path / "out.csv")
    assert code == 0
    for words in ("VLCS, from a sweep of DomainBed", "PACS, from a sweep of DomainBed", "test_envs", "Ceiling*"):
        assert words in said
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["dataset"] for row in rows] == ["VLCS"] * 3 + ["PACS"] * 3
    assert {"rank", "accuracy", "accuracy_low", "accuracy_A", "accuracy_V", "versus_ERM"} <= set(rows[0])
    code, said = run(tmp_path / "sweep", "--json")
    assert [row["algorithm"] for row in json.loads(said)["rows"]] == [row["algorithm"] for row in rows]
