"""What the pages have readers type is there: nothing of it runs, all of it is parsed."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

import dgbench
from dgbench.cli import program
from dgbench.core.cards import board_names
from dgbench.core.recipe import compose
from dgbench.selection.criteria import CRITERIA

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path, *kinds: str) -> list[str]:
    """The fenced blocks of some languages."""
    found = re.findall(rf"^```(?:{'|'.join(kinds)})\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    return list(map(str, found))


def typed(page: Path) -> Iterator[list[str]]:
    """The words of each line that a shell is given, without what the line sets for it."""
    for block in blocks(page, "sh", "bash", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words and re.match(r"\w+=", words[0]):
                del words[0]
            if words:
                yield words


def mentioned(page: Path) -> Iterator[list[str]]:
    """The words of each command that stands in a sentence."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    yield from map(shlex.split, re.findall(r"`(dgbench [^`\n]+)`", prose))


@cache
def whole() -> Any:
    return typer.main.get_command(program())


def asked(words: list[str]) -> dict[str, Any]:
    """The parameters of a command, as its verb reads them; raises where there is no such verb or option."""
    command, (name, *rest) = whole(), words
    while (below := getattr(command, "commands", {})) and rest:
        name, *rest = rest
        assert name in below, f"{' '.join(words)}: there is no '{name}'"
        command = below[name]
    given: dict[str, Any] = {} if below else command.make_context(name, rest).params
    return given


def recipes(given: dict[str, Any]) -> list[str]:
    """Those that a command is about, however many its verb takes."""
    found = [given.get("algorithm"), given.get("algorithms")]
    return [recipe for one in found for recipe in ([one] if isinstance(one, str) else one or ())]


def test_what_there_is_not_is_seen() -> None:
    assert asked(["dgbench", "run", "quick", "-a", "erm"])["algorithm"] == ["erm"]
    with pytest.raises(Exception, match="No such option: --for-ever"):
        asked(["dgbench", "run", "quick", "--for-ever"])
    with pytest.raises(typer.BadParameter, match="valid integer"):
        asked(["dgbench", "run", "quick", "--trials", "many"])
    with pytest.raises(AssertionError, match="there is no 'everything'"):
        asked(["dgbench", "submit", "everything"])


@every_page
def test_commands_are_such_as_the_program_reads(page: Path) -> None:
    for words in typed(page):
        if words[0] != "dgbench":
            continue
        given = asked(words)
        if re.fullmatch(r"[a-z][\w-]*", board := str(given.get("board") or "quick")):
            assert board in board_names(), words
        if (criterion := given.get("criterion")) is not None:
            assert criterion in CRITERIA, words
        for recipe in recipes(given):
            if ".toml" not in recipe:
                compose(recipe)


@every_page
def test_commands_in_sentences_are_such_too(page: Path) -> None:
    for words in mentioned(page):
        with contextlib.suppress(typer.BadParameter):  # it is named, and not said in full
            asked(words)


@every_page
def test_scripts_and_targets_have_the_options_and_names_that_pages_give_them(page: Path) -> None:
    for program_, name, *rest in (words for words in typed(page) if len(words) > 1):
        if program_ == "make":
            assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M), name
        if program_ == "python" and name.startswith("scripts/"):
            code = (ROOT / name).read_text(encoding="utf-8")
            assert [option for option in rest if option.startswith("--") and f'"{option}"' not in code] == []


@every_page
def test_python_compiles_and_names_what_dgbench_has(page: Path) -> None:
    for code in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "dgbench":
                module = importlib.import_module(str(node.module))
                assert [one.name for one in node.names if not hasattr(module, one.name)] == []
            if isinstance(node, ast.Attribute) and public(node):
                assert node.attr in dgbench.__all__
            if isinstance(node, ast.Call) and public(node.func):
                taken = inspect.signature(getattr(dgbench, node.func.attr))
                taken.bind(*node.args, **{str(given.arg): given.value for given in node.keywords})


def public(node: ast.AST) -> bool:
    """Whether a piece of code is ``dgbench.`` and a name."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "dgbench"


@every_page
def test_toml_is_toml(page: Path) -> None:
    for text in blocks(page, "toml"):
        tomllib.loads(text)
