"""``dgbench select`` on a store, run as a user runs it."""

from __future__ import annotations

import functools
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer
from cli.rooms import Room
from comparing.called import within
from scripts_loaded import load_script

import dgbench
from dgbench.api import judging
from dgbench.api.boards import rules
from dgbench.cli import program
from dgbench.core.paths import shipped
from dgbench.runs.store import Store

BOARD = "quick/board.toml"
"""A copy of the board *quick* with two algorithms and two targets, and without what was submitted to it, which every
command would read."""
CHOICE = ("algorithm", "target", "trial", "draw", "step", "run", "score", "accuracy")


@pytest.mark.parametrize("criterion", ["source", "augmented"])
def test_it_names_the_models_of_the_leaderboard(room: Room, criterion: str) -> None:
    done = within("select", room.board, "--store", room.store, "--criterion", criterion, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    made = dgbench.leaderboard(room.board, criterion=criterion, store=room.store)
    found = {
        tuple(c["with_target_labels"][key] if key == "accuracy" else c[key] for key in CHOICE) for c in told["cells"]
    }
    assert found == set(made.cells.select(CHOICE).iter_rows())
    assert told["export"] is None
    assert told["missing"] == 0


def test_without_json_there_are_tables(room: Room) -> None:
    assert "Accuracy*" in within("select", room.board, "--store", room.store).stdout


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--criterion", "augmentd"], "no criterion named 'augmentd'. Did you mean 'augmented'"),
        (["-a", "smm"], "no algorithm on this board named 'smm'. Did you mean 'sam'"),
        (["--target", "prnt"], "no target on this board named 'prnt'. Did you mean 'print'"),
        (["--trial", "4"], "no trial on this board named '4'"),
        (["--trials", "2"], "holds nothing of 'small' by these rules; 'dgbench run small' fills it"),
    ],
)
def test_a_wrong_name_is_one_message_and_exit_code_2(room: Room, asked: list[str], words: str) -> None:
    done = within("select", room.board, "--store", room.store, *asked)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_runs_count_by_the_boards_list_and_by_that_of_the_algorithms_alone(room: Room, tmp_path: Path) -> None:
    store = Path(shutil.copytree(room.store, tmp_path / "store"))
    whole = dgbench.select(room.board, algorithms=["t3a", "erm"], store=store).cells
    assert whole["algorithm"].unique(maintain_order=True).to_list() == ["erm", "t3a"]
    kept, alone = Store(store), rules(room.board, algorithms=["t3a", "erm"])
    listed = kept.read_index(rules(room.board))
    entries = [entry for entry in listed["entries"] if entry["algorithm"] in ("t3a", "erm")]
    kept.index(rules(room.board)).unlink()
    kept.write_index(alone, listed | {"entries": entries})
    assert dgbench.select(room.board, algorithms=["t3a", "erm"], store=store).cells.equals(whole)


def commands(page: str, section: str = "") -> list[list[str]]:
    """The first block of commands on a page, or in a section of it, without the program's name; for ``BOARD``."""
    text = (Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8").partition(section or "# ")[2]
    block = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[0]
    lines = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    return [[BOARD if word == "quick" else word for word in line] for line in lines]


def test_the_commands_of_the_pages_run_on_a_full_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DGBENCH_STORE", raising=False)
    shutil.copytree(shipped("leaderboards") / "quick", "quick", ignore=shutil.ignore_patterns("submissions"))
    text = Path(BOARD).read_text(encoding="utf-8") + '\n[cases.digits]\ntargets = ["print", "dot-matrix"]\n'
    Path(BOARD).write_text(re.sub(r"algorithms = \[.*?\]", 'algorithms = ["erm", "sam"]', text, flags=re.DOTALL))
    load_script("measure_store").fill(Store(tmp_path / "store"), rules(BOARD), examples=60, pool=8)
    beside, source, one = commands("compare.md", "## Which model was chosen, and why?")

    done = within(*beside)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[1] for row in rows if row[:1] == ["dot-matrix"]] == ["0", "1", "2"]
    assert {"source", "oracle*"} <= set(re.findall(r"[a-z_]+\*?", done.stdout))

    done = within(*source, "--json")
    assert done.returncode == 0, done.stderr
    made = dgbench.leaderboard(BOARD, criterion="source").cells
    chosen = {tuple(cell[key] for key in CHOICE[:-2]) for cell in json.loads(done.stdout)["cells"]}
    assert chosen == set(made.select(CHOICE[:-2]).iter_rows())

    done = within(*one)
    assert done.returncode == 0, done.stderr
    tool, verb, *words = shlex.split(done.stdout.splitlines()[-1])
    assert (tool, verb) == ("dgbench", "export")
    typer.main.get_command(program()).commands[verb].make_context(verb, words)

    monkeypatch.setattr(judging, "criteria", functools.cache(judging.criteria))  # both commands ask for the same
    shown, written = (within(*command) for command in commands("criteria.md"))
    assert (shown.returncode, written.returncode) == (0, 0), shown.stderr + written.stderr
    assert "Choosing the method" in shown.stdout
    assert (tmp_path / "judged" / "criteria.html").is_file()
