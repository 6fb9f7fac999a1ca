"""``dgbench criteria`` on a store, run as a user runs it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import polars as pl
import pytest
from cli.rooms import Room
from comparing.called import within
from scripts_loaded import load_script

import dgbench
from dgbench.api import judging
from dgbench.core.cards import board_card
from dgbench.runs.store import Store


@pytest.fixture(scope="module")
def made(room: Room) -> dgbench.CriteriaBoard:
    """What the function gives."""
    return dgbench.criteria(room.board, store=room.store)


def test_it_says_and_writes_what_the_function_gives(room: Room, made: dgbench.CriteriaBoard, tmp_path: Path) -> None:
    done = within("criteria", room.board, "--store", room.store, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["said"] == made.said
    assert pl.DataFrame(told["criteria"], made.to_polars().schema).equals(made.to_polars())
    assert {Path(path).name for path in told["files"]} == {path.name for path in (tmp_path / "out").iterdir()}
    assert pl.read_csv(tmp_path / "out" / "models.csv").height == made.to_polars("models").height == 3 * 2 * 2
    assert [made.to_polars(name).is_empty() for name in ("curves", "pairs")] == [False, False]


def test_it_prints_tables_and_where_files_lie(
    room: Room, made: dgbench.CriteriaBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "criteria", lambda board, *, store: made)
    lines = within("criteria", room.board, "--store", room.store).stdout.splitlines()
    assert [line.split()[0] for line in lines[-6:]] == ["html", "md", "csv", "csv", "csv", "csv"]
    assert all(Path(line.split(maxsplit=1)[1]).is_file() for line in lines[-6:])
    assert any("augmented validation" in line for line in lines)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--trials", "2"], "holds nothing of 'small' by these rules; 'dgbench run small' fills it"),
        (["-a", "smm"], "'sam'"),
    ],
)
def test_what_is_not_there_is_one_message_and_exit_code_2(room: Room, asked: list[str], words: str) -> None:
    done = within("criteria", room.board, "--store", room.store, *asked)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_boards_on_the_page_have_as_many_models_as_it_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "criteria.md").read_text(encoding="utf-8")
    targets = {"criteria-digits": 4, "criteria-emoji": 3, "criteria-digits-trained": 4}
    for name, cases in targets.items():
        card = board_card(name)
        models = cases * len(card.algorithms) * card.draws * card.trials
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert row.endswith(f"| {models:,} |")
        assert f"{card.draws} draws of {len(card.algorithms)} algorithms, {card.trials} trials" in row


def test_the_commands_that_ask_for_further_trainings_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a store in which all is done, which nobody trained."""
    page = (Path(__file__).parents[2] / "docs" / "criteria.md").read_text(encoding="utf-8")
    block = re.findall(r"```sh\n(.*?)```", page.partition("## Further trainings")[2], re.DOTALL)[0]
    once = ["--trials", "1"]  # as many as show it
    plan, run, select, judge = ([*shlex.split(line, comments=True)[1:], *once] for line in block.splitlines())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DGBENCH_STORE", raising=False)
    asked = dgbench.rules("quick", algorithms=["irm"], criterion="kfold", trials=1)
    load_script("measure_store").fill(Store(tmp_path / "store"), asked, examples=20)

    done = within(*plan)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "4 runs (4 finished) are served by 4 trainings" in said
    assert "4 of them, with 4 runs more, only judge others for 'kfold', and are never ranked." in said
    done = within(*run)
    assert done.returncode == 0, done.stderr
    assert "nothing was left to do" in done.stderr
    assert "judged by a further model" in " ".join(done.stdout.split())
    done = within(*select, "--json")
    told = json.loads(done.stdout)
    assert (told["criterion"], told["missing"], len(told["cells"])) == ("kfold", 0, 4)
    assert {len(cell["views"]) for cell in told["cells"]} == {10}
    done = within(*judge)
    assert done.returncode == 0, done.stderr
    assert "cross-validated" in done.stdout
    page = (Path(done.stdout.split()[-1]).parent / "criteria.md").read_text(encoding="utf-8")
    assert "dgbench criteria quick -a irm --trials 1 --criterion kfold" in page
    done = within("leaderboard", "quick", "-a", "irm", "--criterion", "lodo")
    assert done.returncode == 2
    assert "'dgbench run quick --criterion lodo' fills it" in done.stderr
