"""Own weights from the command line to the board's page: the commands of *Your own backbone* as they stand there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path
from unittest import mock

import polars as pl
import pytest
import timm
import torch
from comparing.called import Done, within
from safetensors.torch import save_file

import dgbench
from dgbench.board.render import markdown
from dgbench.core.errors import DGBenchError
from dgbench.core.paths import shipped

PAGE = (Path(__file__).parents[1] / "docs" / "your-own-backbone.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Weights of your own")[2].partition("\n## ")[0]
BOARD = f"""
{(shipped("leaderboards") / "quick" / "board.toml").read_text(encoding="utf-8")}
[cases.digits]
sources = ["print", "dot-matrix"]
targets = ["seven-segment"]
"""
SMALL = {"quick": "my-board", "validation = 0.1": "validation = 0.01", "steps = 100": "steps = 2"}
SMALL |= {
    "checkpoints = 10": "checkpoints = 2",
    "batch_per_domain = 16": "batch_per_domain = 2",
    "trials = 3": "trials = 1",
}


def run(command: str, folder: Path) -> Done:
    program, *words = shlex.split(command)
    assert program == "dgbench"
    with mock.patch.dict(os.environ, COLUMNS="400"):
        return within(*words, folder=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small board and weights as MoCo saves them."""
    folder = tmp_path_factory.mktemp("users-own-place")
    board = BOARD
    for large, small in SMALL.items():
        assert large in board
        board = board.replace(large, small, 1)
    (folder / "my-board").mkdir()
    (folder / "my-board" / "board.toml").write_text(board)
    torch.manual_seed(0)
    state = {f"module.encoder_q.{name}": t for name, t in timm.create_model("resnet18").state_dict().items()}
    torch.save({"state_dict": state | {"module.queue": torch.ones(2, 3)}}, folder / "my-weights.pth")
    return folder


def test_the_commands_of_the_page_end_with_a_board_that_names_the_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (commands,) = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
    (found,) = re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL)
    plan, work, board = commands.splitlines()
    planned = run(plan, folder)
    assert planned.returncode == 0, planned.stderr
    assert found in caplog.text
    caplog.clear()
    ran = run(f"{work} --device cpu --workers 1", folder)
    assert ran.returncode == 0, ran.stderr
    assert found in caplog.text
    shown = run(board, folder)
    assert shown.returncode == 0, shown.stderr
    digest = re.findall(r"SHA-256 ([0-9a-f]{12})", shown.stdout)
    assert (
        f"timm:resnet18(size=32, weights=my-weights.pth), SHA-256 {digest[0]}, pretrained on: ImageNet-1k."
        in shown.stdout
    )
    assert "Nobody told" not in shown.stdout
    for path in (folder / "store" / "boards").rglob("*"):
        if path.is_file():
            content = pl.read_parquet(path).write_json() if path.suffix == ".parquet" else path.read_text("utf-8")
            assert folder.name not in content, path

    (folder / "moved").mkdir()
    shutil.move(folder / "my-weights.pth", folder / "moved" / "it's mine, best=1.pth")
    monkeypatch.chdir(folder)
    other = 'timm:resnet18(size=32, weights="moved/it\'s mine, best=1.pth", pretrained_on=unknown)'
    rules = dgbench.rules("my-board/board.toml", algorithms=["erm"], backbone=other)
    again = dgbench.run(rules, device="cpu", workers=1)
    assert (again.trainings, again.runs) == (0, 0), "a file that was moved is the same, whatever is said of it"
    page = markdown.render(dgbench.leaderboard(rules))
    assert f'weights="it\'s mine, best=1.pth"), SHA-256 {digest[0]}, pretrained on: not told.' in page
    assert "Nobody told what the backbone was pretrained on" in page


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("weights=none.pth, pretrained_on=unknown", "weights=none.pth: there is no such file or folder"),
        ("weights=own.safetensors", "say what its weights were pretrained on"),
        ("weights=own.safetensors, pretrained_on=unknown", "own.safetensors does not fit timm:test_resnet"),
        ("weights=text.pth, pretrained_on=unknown", "is no file of weights"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(
    option: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_file({"weight": torch.ones(2)}, "own.safetensors")
    Path("text.pth").write_text("no weights")
    rules = dgbench.rules("quick", algorithms=["erm"], backbone=f"timm:test_resnet({option})")
    for ask in (dgbench.plan, dgbench.run):
        with pytest.raises(DGBenchError, match=words):
            ask(rules)
    assert not list(tmp_path.glob("store/trainings/*"))


def test_at_the_command_line_that_is_one_message_and_exit_code_2(tmp_path: Path) -> None:
    done = run("dgbench run quick --backbone 'timm:test_resnet(weights=no.pth, pretrained_on=unknown)'", tmp_path)
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("dgbench: ")]
    assert "weights=no.pth: there is no such file or folder in the working directory" in line
    assert "Traceback" not in done.stderr


def test_a_board_of_ones_own_may_name_weights_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_file(timm.create_model("test_resnet").state_dict(), "own.safetensors")
    own = "timm:test_resnet(weights=own.safetensors, pretrained_on=unknown, size=32)"
    board = BOARD.replace('"quick"', '"mine"', 1).replace("dgbench:vit-micro@letters", own)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "board.toml").write_text(board)
    plan = dgbench.plan("mine/board.toml")
    (start,) = plan.starts.values()
    assert start.shown == f"timm:test_resnet(size=32, weights=own.safetensors), SHA-256 {start.weights[7:19]}"
    assert {training.weights for training in plan.trainings.values()} == {start.weights}
    assert str(tmp_path) not in json.dumps([training.spec() for training in plan.trainings.values()])
    chosen = dgbench.rules("mine/board.toml", backbone="timm:test_resnet(size=32)")
    assert set(chosen.tracks.values()) == {"timm:test_resnet(size=32)"}
    assert not dgbench.plan(chosen).trainings.keys() & plan.trainings.keys()
