"""Commands end with the codes that ``docs/exit-codes.md`` says."""

from __future__ import annotations

import inspect
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from comparing.called import within

from dgbench.cli import program

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")


def commands(command: Any, words: str = "dgbench") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every command that does something, with the function that does it."""
    below = getattr(command, "commands", {})
    if not below:
        yield words, inspect.unwrap(command.callback)
    for name, each in below.items():
        yield from commands(each, f"{words} {name}")


def test_the_page_names_the_commands_that_end_with_one() -> None:
    verbs = dict(commands(typer.main.get_command(program())))
    assert len(verbs) > 20
    ends = {name for name, function in verbs.items() if "typer.Exit(1)" in inspect.getsource(function)}
    assert set(re.findall(r"^\| `(dgbench [^`]+)` \|", PAGE, re.MULTILINE)) == ends


def test_each_verb_is_there_where_its_module_alone_is_imported() -> None:
    every = typer.main.get_command(program()).commands
    for verb, command in every.items():
        alone = typer.main.get_command(program(verb)).commands
        assert set(alone) <= set(every)
        assert alone[verb].help == command.help
    assert len(typer.main.get_command(program("list")).commands) == 1
    assert list(typer.main.get_command(program("no such verb")).commands) == list(every)


def test_the_page_has_every_code() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "dgbench" / "cli").glob("*.py"))
    used = {
        int(code)
        for call in re.findall(r"(?:typer\.Exit|sys\.exit)\((.*)\)", source)
        for code in re.findall(r"\d+", call)
    }
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)} == used | {0}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["list", "boards"], 0),
        (["--version"], 0),
        (["lst"], 2),
        (["list", "--loud"], 2),
        (["plan", "quick", "--trials", "0"], 2),
        (["show", "no-such-name"], 2),
        (["submit", "check", "nowhere"], 2),
    ],
)
def test_commands_end_so(words: list[str], code: int) -> None:
    done = within(*words)
    assert done.returncode == code, done.stderr
    assert bool(done.stderr) == (code == 2)
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_any_command_with_130() -> None:
    code = "import dgbench.cli, sys, time, dgbench.cli.show as s\n"
    code += "s.board_names = lambda: (print('here', flush=True), time.sleep(60))\n"
    code += "sys.argv = ['dgbench', 'show', 'digits']\ndgbench.cli.main()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
