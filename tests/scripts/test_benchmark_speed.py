"""The benchmark of speed, at a size that says whether it works and not how fast anything is."""

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from comparing.called import within
from nursery import python

from dgbench.runs.deterministic import as_worker
from dgbench.train.environment import bfloat16

SCRIPTS = Path(__file__).parents[2] / "scripts"
STAND_IN = """
import argparse, json, pathlib
parser = argparse.ArgumentParser()
for name in ("data_dir", "algorithm", "dataset", "hparams", "output_dir"):
    parser.add_argument(f"--{name}")
for name in ("test_envs", "trial_seed", "steps", "checkpoint_freq"):
    parser.add_argument(f"--{name}", type=int)
asked = parser.parse_args()
assert asked.algorithm == "ERM" and json.loads(asked.hparams)["batch_size"] == 2
environments = sorted(path.name for path in (pathlib.Path(asked.data_dir) / asked.dataset).iterdir())
assert environments[asked.test_envs] == "art_painting"
out = pathlib.Path(asked.output_dir)
out.mkdir(parents=True)
(out / "results.jsonl").write_text(json.dumps({"step": 0}))
"""
DONE = '(out / "done").write_text("done")\n'


def sound(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for row in found:
        assert row["mode"] in ("parity", "fast")
        assert row["ratios"] == [theirs / own for own, theirs in zip(row["ours"], row["theirs"], strict=False)]
        assert all(math.isfinite(value) and value > 0 for value in (*row["ours"], *row["theirs"]))
    return found


def checkout(folder: Path, source: str) -> str:
    package = folder / "domainbed" / "scripts"
    package.mkdir(parents=True)
    (package / "train.py").write_text(source, encoding="utf-8")
    return str(folder)


def named(found: Sequence[dict[str, Any]], what: str, against: str) -> dict[str, Any]:
    (row,) = [row for row in found if (row["what"], row["against"], row["mode"]) == (what, against, "parity")]
    return row


BUSY = """
import subprocess, sys, time
if sys.argv[1:]:
    subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
while time.process_time() < 0.1:
    pass
"""


def test_what_a_process_takes_is_what_its_children_take_as_well(setup: Any, tmp_path: Path) -> None:
    from speed.whole import run

    cost = run([sys.executable, "-c", BUSY, BUSY], tmp_path)
    assert cost.cpu >= 0.2
    assert cost.wall >= 0.2


def test_whole_jobs_are_timed_against_the_pipeline_and_against_a_checkout(tmp_path: Path) -> None:
    """By the script as a user runs it. Copies of processes are no children: their CPU time is not what is said."""
    asked = ["--quick", "--rounds", "1", "--only", "jobs", "--peer", checkout(tmp_path, STAND_IN + DONE), "--json"]
    command = [python(), str(SCRIPTS / "benchmark_speed.py"), *asked]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = sound(json.loads(done.stdout)["rows"])
    assert {row["what"] for row in found} == {"1 training, by the clock", "1 training, CPU"}
    pretends, works = (
        named(found, "1 training, by the clock", against)["theirs"][0]
        for against in ("the benchmark itself", "reference, 1 worker a loader")
    )
    assert works > 2 * pretends > 0


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with images of no content, and their card."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        patch.chdir(tmp_path_factory.mktemp("drawn"))
        from draw_pacs_like import evenly, write

        from speed.setup import DATASET, QUICK, Setup

        write(Path("data", "PACS"), evenly(QUICK.images))
        assert within("data", "new", "data/PACS", "--name", DATASET).returncode == 0
        yield Setup(Path.cwd(), QUICK, rounds=1, jobs=1)


@pytest.fixture
def setup(drawn: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Of the rows, in this process."""
    monkeypatch.chdir(drawn.folder)
    return drawn


def test_rows_of_one_process_say_what_was_looked_at_and_how_long_it_took(setup: Any) -> None:
    from benchmark_speed import ROWS

    modes: list[Any] = ["parity", "fast"] if bfloat16("cpu") else ["parity"]
    with as_worker("cpu"):
        found = sound([row.spec() for name in ROWS for row in ROWS[name](setup, modes)])
    assert {row["name"] for row in found} == set(ROWS)
    looked_at = named(found, "images that a checkpoint looks at", "reference")
    # one of two images of each of seven classes in three domains; and all of 4 x 14
    assert (looked_at["ours"], looked_at["theirs"]) == ([21], [56])
    probe = named(found, "step of a head on a frozen backbone", "reference")
    assert probe["ratios"][0] > 5  # no image goes through a network


def test_a_checkout_that_writes_no_results_is_an_error(setup: Any, tmp_path: Path) -> None:
    from speed.whole import Theirs

    with pytest.raises(SystemExit, match="ended without"):
        Theirs(setup, Path(checkout(tmp_path / "peer", STAND_IN))).train(0)


def test_fourteen_rows_share_their_trainings(setup: Any) -> None:
    from speed.whole import board

    row = next(board(setup, ["parity"], []))
    assert (row.ours, row.theirs, row.ratios) == ([1], [14], [14])
