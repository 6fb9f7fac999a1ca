"""The class, the card, the command and the script of *Run an algorithm from elsewhere* work as they stand there."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from comparing.called import Done, within
from nursery import python
from submissions.boards import write_board

from dgbench.core import elsewhere, registry

PAGE = (Path(__file__).parents[1] / "docs" / "whole-algorithms.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader works: with the files of the page, and a board smaller than `quick`."""
    folder = tmp_path_factory.mktemp("mine")
    module, _ = (text for kind, text in BLOCKS if kind == "python")
    card, _ = (text for kind, text in BLOCKS if kind == "toml")
    (folder / "my_method").mkdir()
    (folder / "my_method" / "__init__.py").touch()
    (folder / "my_method" / "algorithm.py").write_text(module)
    (folder / "my_method.toml").write_text(card)
    write_board(folder / "small", "erm", "domainbed:my-method", targets=("print",))
    return folder


def _run(folder: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": ".", "DGBENCH_STORE": str(folder / "store")}
    done = subprocess.run([python(), *command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def called(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Done]]:
    """``dgbench`` in this process, in which nobody has named a class, or looked for packages, before each call."""
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("DGBENCH_STORE", str(folder / "store"))

    def forget() -> None:
        for remembered in (elsewhere._loaded, elsewhere.code, registry._installed, registry.classes):
            remembered.cache_clear()

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(elsewhere, "_TRUSTED", set())
        forget()
        return within(*arguments, folder=folder)

    yield call
    forget()
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_method"]:
        del sys.modules[name]


def test_the_command_and_the_script_of_the_page_run_it(folder: Path, called: Callable[..., Done]) -> None:
    (text,) = (text for kind, text in BLOCKS if kind == "sh")
    exported, command = text.strip().split("\n")
    assert exported == "export PYTHONPATH=."
    given = shlex.split(command.replace("run quick", "run small/board.toml"))
    printed = _run(folder, "-m", "dgbench.cli", *given[1:], "--workers", "1")
    assert "My method + SWAD" in printed
    _, script = (text for kind, text in BLOCKS if kind == "python")
    shown = _run(folder, "-c", script.replace('"quick"', '"small/board.toml"'))
    assert len(re.findall(r"^My method( \+ SWAD)? domainbed:my_method\.algorithm:MyAlgorithm 0\.\d", shown, re.M)) == 2
    listed = ["leaderboard", "small/board.toml", *given[3:]]
    board = json.loads(called(*listed, "--json").stdout)
    assert '"pretrained_on": "nothing"' in json.dumps(board)
    planned = json.loads(called("plan", "small/board.toml", "--json", *given[3:]).stdout)
    assert (planned["trainings"], planned["trainings_finished"]) == (2, 2)  # SWAD shares that of the class


def test_a_board_names_it_where_a_package_registers_it(folder: Path, called: Callable[..., Done]) -> None:
    """Only then; what it lacks of hyperparameters is said when it is made."""
    unknown = called("plan", "small/board.toml")
    assert unknown.returncode == 2
    assert "there is no class of an installed package" in unknown.stderr
    _, project = (text for kind, text in BLOCKS if kind == "toml")
    ((group, names),) = tomllib.loads(project)["project"]["entry-points"].items()
    about = folder / "my_method-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my_method\nVersion: 1.0\n")
    entries = "".join(f"{name} = {target}\n" for name, target in names.items())
    (about / "entry_points.txt").write_text(f"[{group}]\n{entries}")
    lacking = called("plan", "small/board.toml")
    assert lacking.returncode == 2
    assert "cannot be made with hparams = {}: KeyError: 'width'" in lacking.stderr
    given = ("-a", "domainbed:my-method(lr=0.01, width=8)", "-a", "domainbed:my-method(lr=0.01, width=8) + ema")
    (sharing,) = json.loads(called("plan", "small/board.toml", *given, "--json").stdout)["sharing"]
    assert sharing["algorithms"] == list(given[1::2])
