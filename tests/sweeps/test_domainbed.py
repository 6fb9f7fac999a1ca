"""The reference benchmark's tables come out cell by cell: against a plain implementation, and against known answers."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweeps.made import record, write_job, write_sweep
from sweeps.naive import tables as naive
from typer.testing import CliRunner

from dgbench.cli import program
from dgbench.sweeps import notes
from dgbench.sweeps.domainbed import RULES, Figure, Table, tables
from dgbench.sweeps.read import read_sweep

NAN = float("nan")
# Accuracies are eighths: their sums are exact, so that a tie is one in whatever order a mean is taken.
SWEEPS: dict[str, dict[str, Any]] = {
    "whole": {},
    "two datasets, unfinished jobs": {"datasets": {"PACS": 4, "ColoredMNIST": 3}, "unfinished": 0.15, "trials": 2},
    "jobs that are not there": {"missing": 0.3, "draws": 2},
    "many ties": {"values": 3, "draws": 5, "trials": 2, "algorithms": ("ERM",)},
    "ties, NaN and gaps": {"values": 3, "nan": 0.1, "unfinished": 0.2, "missing": 0.1},
    "no pairs": {"pairs": False, "datasets": {"VLCS": 4}},
    "two domains": {"datasets": {"PACS": 2}, "pairs": False, "nan": 0.05},
    "one of all": {"trials": 1, "draws": 1, "steps": (0,), "algorithms": ("Mine",)},
}


def cells(made: Sequence[Table]) -> dict[tuple[str, str], dict[str, list[str]]]:
    return {
        (table.rule.name, table.name): {
            algorithm: ["X" if cell is None else str(cell) for cell in row] for algorithm, row in table.rows.items()
        }
        for table in made
    }


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", SWEEPS)
def test_a_drawn_sweep_gives_the_tables_of_a_plain_implementation(kind: str, seed: int, tmp_path: Path) -> None:
    write_sweep(tmp_path, seed=seed, **({"values": 7} | SWEEPS[kind]))
    assert cells(tables(read_sweep(tmp_path))) == naive(tmp_path)


def accuracies(*parts: tuple[float, float]) -> dict[str, float]:
    """Of each domain that on "in", then that on "out"."""
    return {
        f"env{n}_{part}_acc": v for n, pair in enumerate(parts) for part, v in zip(("in", "out"), pair, strict=True)
    }


def job(
    folder: Path, draw: int, *steps: dict[str, float], envs: Sequence[int] = (0,), trial: int = 0, **more: Any
) -> Path:
    algorithm = more.pop("algorithm", "ERM")
    lines = [record("Toy", algorithm, envs, trial, draw, 100 * n, values) for n, values in enumerate(steps)]
    return write_job(folder, lines, **more)


def figure(folder: Path, rule: str, algorithm: str = "ERM", column: int = 0) -> Figure | None:
    (table,) = [each for each in tables(read_sweep(folder)) if (each.rule.name, each.name) == (rule, "Toy")]
    return table.rows[algorithm][column]


def test_the_three_criteria_pick_what_they_are_known_to_pick(tmp_path: Path) -> None:
    source = {
        0: [accuracies((0.50, 0.10), (1, 0.80), (1, 0.60)), accuracies((0.51, 0.20), (1, 0.75), (1, 0.75))],
        1: [accuracies((0.60, 0.90), (1, 0.70), (1, 0.70)), accuracies((0.61, 0.30), (1, 0.70), (1, 0.60))],
    }
    for draw, steps in source.items():
        job(tmp_path, draw, *steps)
    # by the jobs that held out domain 1 or 2 as well, seed 1 is best at its first step
    for draw, at in ((0, (0.3, 0.4)), (1, (0.5, 0.2))):
        for envs in ((0, 1), (2, 0)):
            job(tmp_path, draw, *(accuracies((0, 0), (value, 0), (value, 0)) for value in at), envs=envs)
    assert figure(tmp_path, "iid") == Figure(51.0, 0.0, 1), "seed 0 at its second step has 0.75 on the sources' out"
    assert figure(tmp_path, "lodo") == Figure(60.0, 0.0, 1)
    assert figure(tmp_path, "oracle") == Figure(61.0, 0.0, 1), "of the last steps seed 1 has 0.30 on the target's out"


def test_ties_go_to_the_earliest_checkpoint_and_to_the_largest_seed(tmp_path: Path) -> None:
    for draw in range(12):  # as numbers: 9 is no larger seed than 11
        same = [accuracies((0.01 * draw + 0.5 * step, 0.5), (1, 0.5)) for step in range(2)]
        job(tmp_path, draw, *same)
    assert figure(tmp_path, "iid") == Figure(pytest.approx(11), 0.0, 1)
    assert figure(tmp_path, "oracle") == Figure(pytest.approx(61), 0.0, 1)


def test_nan_loses_among_runs_and_stays_where_it_is_the_first_checkpoint(tmp_path: Path) -> None:
    job(tmp_path, 0, accuracies((0.3, 0.1), (1, 0.2)))
    job(tmp_path, 1, accuracies((0.4, NAN), (1, NAN)), accuracies((0.5, NAN), (1, 0.9)))
    assert figure(tmp_path, "iid") == Figure(30.0, 0.0, 1)
    assert figure(tmp_path, "oracle") == Figure(30.0, 0.0, 1)
    job(tmp_path, 2, accuracies((0.6, 0.2), (1, 0.3)), accuracies((0.7, 0.2), (1, NAN)))
    assert figure(tmp_path, "iid") == Figure(60.0, 0.0, 1)


def test_a_cell_has_the_deviation_of_the_population(tmp_path: Path) -> None:
    for trial, value in enumerate((0.2, 0.4, 0.9)):
        job(tmp_path, 0, accuracies((value, 0.5), (1, 0.5)), trial=trial)
    job(tmp_path, 0, accuracies((1, 0.5), (0.25, 0.5)), envs=(1,))
    job(tmp_path, 0, accuracies((0.5, 0.5), (1, 0.5)), algorithm="SD")
    found = figure(tmp_path, "iid")
    assert found is not None
    assert (found.mean, found.error) == (pytest.approx(50), pytest.approx(100 * np.std([0.2, 0.4, 0.9]) / 3**0.5))
    assert str(found) == "50.0 +/- 17.0"
    made = {(each.rule.name, each.name): each for each in tables(read_sweep(tmp_path))}
    assert made["iid", "Toy"].columns == ("env0", "env1", "Avg")
    assert list(map(str, made["iid", "Toy"].rows["ERM"])) == ["50.0 +/- 17.0", "25.0 +/- 0.0", "37.5"]
    assert list(map(str, made["iid", "Toy"].rows["SD"])) == ["50.0 +/- 0.0", "None", "None"]
    # the first trial has both targets, the others one: (0.225 + 0.4 + 0.9) / 3
    assert str(made["iid", "Averages"].rows["ERM"][0]).startswith("50.8 ")


@pytest.mark.parametrize("domains", [3, 4, 6, 10])
def test_means_over_domains_are_those_of_numpy_to_the_bit(domains: int, tmp_path: Path) -> None:
    """Else a tie there would be none here: 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1."""
    random = np.random.default_rng(domains)
    for draw in range(20):
        outs = random.permutation(np.linspace(0.1, 0.9, domains - 1)).tolist()
        job(tmp_path, draw, accuracies((draw / 20, 0), *((0, out) for out in outs)))
    jobs = {each.draw: each for each in read_sweep(tmp_path).jobs}
    for each in jobs.values():
        pick = RULES[0].pick([each], 0)
        assert pick == (np.mean(each.outside[0, 1:].tolist()), each.draw / 20)


def test_tables_name_domains_and_order_rows_as_the_reference(tmp_path: Path) -> None:
    write_sweep(tmp_path, datasets={"PACS": 4, "Own": 3}, algorithms=("aaa", "VREx", "ERM"), trials=1, draws=1)
    made = tables(read_sweep(tmp_path))
    assert [(each.rule.name, each.name) for each in made[:3]] == [("iid", "PACS"), ("iid", "Own"), ("iid", "Averages")]
    assert made[0].columns == ("A", "C", "P", "S", "Avg")
    assert made[1].columns == ("env0", "env1", "env2", "Avg")
    assert made[2].columns == ("PACS", "Own", "Avg")
    assert list(made[0].rows) == ["ERM", "VREx", "aaa"]


def test_what_is_left_out_or_counts_twice_is_said(tmp_path: Path) -> None:
    full = accuracies((0.5, 0.5), (1, 0.5), (1, 0.5), (1, 0.5))
    job(tmp_path, 0, full, full, name="a")
    job(tmp_path, 0, full, name="again")
    job(tmp_path, 1, full, envs=(0, 1, 2), name="three")
    place = job(tmp_path, 2, full, full, done=False, name="killed")
    text = (place / "results.jsonl").read_text()
    (place / "results.jsonl").write_text(text[:-30])
    job(tmp_path, 0, full, trial=1, envs=(1,), name="b")
    job(tmp_path, 0, full, trial=0, envs=(1,), name="c")
    (tmp_path / "launched").mkdir()
    (tmp_path / "results.txt").touch()
    sweep = read_sweep(tmp_path)
    killed = [each for each in sweep.jobs if each.folder == "killed"]
    assert [each.steps for each in killed] == [(0,)]
    said = "\n".join([*notes.found(sweep, unfinished="they count"), *notes.repeated(sweep.jobs)])
    for line in (
        f"6 jobs in {tmp_path}, 5 of them finished.",
        "1 job without 'done' (killed): they count.",
        "is left out, in killed.",
        "1 folder without a record (launched)",
        "1 job done more than once, in several folders or in one (a = again)",
    ):
        assert line in said
    assert list(notes.unused(sweep.jobs, 2, "why")) == ["1 job with 3 or more test_envs: why."]
    (uneven,) = notes.uneven(tables(sweep))
    assert "iid, Toy, ERM, env0: 1 of 2" in uneven


def run(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(program(), ["import", "domainbed", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_the_command_prints_and_writes_the_tables_and_opens_no_pickle(tmp_path: Path, monkeypatch: Any) -> None:
    write_sweep(tmp_path / "sweep", algorithms=("ERM", "=1+1"), values=7)
    monkeypatch.chdir(tmp_path)
    code, said = run("sweep", "--protocol", "domainbed", "--csv", "out.csv")
    assert code == 0
    assert "PACS, model selection: leave-one-domain-out cross-validation" in said
    expected = naive(tmp_path / "sweep")
    for cell in expected["lodo", "PACS"]["ERM"]:
        assert cell in said
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert {row["algorithm"] for row in rows} == {"ERM", "'=1+1"}
    written = {
        (row["criterion"], row["table"], row["column"]): row["shown"] for row in rows if row["algorithm"] == "ERM"
    }
    assert [written["oracle", "PACS", column] for column in (*"ACPS", "Avg")] == expected["oracle", "PACS"]["ERM"]
    code, said = run("sweep", "--protocol", "domainbed", "--json")
    assert len(json.loads(said)["rows"]) == len(rows) == 3 * 2 * (5 + 2)
    assert not (tmp_path / "opened").exists()


def test_nan_is_printed_as_the_reference_prints_it_and_is_null_in_json(tmp_path: Path) -> None:
    job(tmp_path, 0, accuracies((NAN, 0.5), (1, 0.5)))
    code, said = run(tmp_path, "--protocol", "domainbed", "--json")
    first = json.loads(said)["rows"][0]
    assert (code, first["accuracy"], first["shown"]) == (0, None, "nan +/- nan")
