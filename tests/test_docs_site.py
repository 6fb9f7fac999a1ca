"""The site of the documentation, as far as that is seen without building it: ``make docs`` checks every link."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import griffe
import pytest
import typer
import yaml
from scripts_loaded import load_script

import dgbench
from dgbench.cli import program

ROOT = Path(__file__).parents[1]
PUBLIC = [name for name in dgbench.__all__ if not name.startswith("_")]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("build_docs")


@pytest.fixture(scope="module")
def pages(script: ModuleType) -> dict[str, str]:
    """Those that are made from something else."""
    made: dict[str, str] = script.made()
    return made


def listed(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for each in nav.values() if isinstance(nav, dict) else nav:
            yield from listed(each)


def test_every_page_is_in_the_contents_once(pages: dict[str, str]) -> None:
    contents = list(listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    assert sorted(contents) == sorted([*pages, *(path.name for path in (ROOT / "docs").glob("*.md"))])


def test_the_reference_has_every_public_name_once(pages: dict[str, str]) -> None:
    shown = re.findall(r"^::: dgbench\.(\w+)$(?!\n    options)", "\n".join(pages.values()), re.MULTILINE)
    assert sorted(shown) == sorted(PUBLIC)


def test_every_command_is_shown_with_the_help_that_it_prints(pages: dict[str, str]) -> None:
    def named(command: Any, before: str) -> Iterator[str]:
        yield before
        for name, below in getattr(command, "commands", {}).items():
            yield from named(below, f"{before} {name}")

    page = pages["commands.md"]
    for name in named(typer.main.get_command(program()), "dgbench"):
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert f"Usage: {name}" in section
        assert "--help" in section


def test_links_of_the_readme_lead_from_its_place_on_the_site(script: ModuleType) -> None:
    moved = script.moved(
        "[a](docs/submit.md#levels), [b](CONTRIBUTING.md), [d](docs/d.ipynb), [e](x/e.md), "
        "![c](docs/img/x.png), `docs/`"
    )
    assert moved == "[a](submit.md#levels), [b](contributing.md), [d](d.md), e, ![c](img/x.png), `docs/`"
    assert script.inside("[`a.py`](../dgbench/a.py), [b](submit.md#levels)") == "`a.py`, [b](submit.md#levels)"


def test_a_notebook_becomes_a_page(script: ModuleType) -> None:
    outputs = [
        {"output_type": "display_data", "data": {"text/html": ["<p>\n", "\n", "a</p>"], "text/plain": "a"}},
        {"output_type": "display_data", "data": {"image/png": "QUJD\n", "text/plain": "picture"}},
        {"output_type": "stream", "name": "stdout", "text": ["1 < 2\n"]},
    ]
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": ["# Title\n", "text"]},
            {"cell_type": "code", "source": ["a = 1\n", "a"], "outputs": outputs},
        ]
    }
    assert list(script.cells(notebook)) == [
        "# Title\ntext",
        "```python\na = 1\na\n```",
        '<div class="output">\n<p>\na</p>\n</div>',
        '<div class="output"><img alt="" src="data:image/png;base64,QUJD"></div>',
        '<pre class="output">1 &lt; 2</pre>',
    ]


def test_dead_links_and_what_is_fetched_are_found(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there"></a><a href="b.html#gone"></a><a href="c.html"></a><a href="https://x.example"></a>'
        '<a href="#here"></a><h1 id="here"></h1><img src="data:image/png;base64,QUJD"><script src="//x.example/s.js">'
        '</script><link rel="stylesheet" href="https://x.example/s.css"><p style="background: url(missing.png)">'
    )
    (tmp_path / "b.html").write_text('<p id="there"><img src="i%20j.png">')
    (tmp_path / "i j.png").touch()
    (tmp_path / "s.css").write_text("@import 'https://x.example/t.css'; p { background: url(i.png) }")
    assert sorted(script.dead_links(tmp_path)) == [
        "a.html: b.html#gone: there is no such place on that page",
        "a.html: c.html leads nowhere",
        "a.html: missing.png leads nowhere",
    ]
    assert sorted(script.fetched(tmp_path)) == [
        "a.html fetches //x.example/s.js",
        "a.html fetches https://x.example/s.css",
        "s.css fetches https://x.example/t.css",
    ]


@pytest.fixture(scope="module")
def read() -> griffe.Module:
    """The package as the reference reads it: nothing of it is run."""
    roles = load_script("docs_roles").Roles()
    found = griffe.load(
        "dgbench", search_paths=[ROOT], allow_inspection=False, extensions=griffe.load_extensions(roles)
    )
    assert isinstance(found, griffe.Module)
    return found


def entries(thing: griffe.Object | griffe.Alias, section: str) -> set[str]:
    """What a section of a docstring has entries for."""
    assert thing.docstring is not None, thing.path
    parsed = thing.docstring.parse("google", returns_multiple_items=False, returns_named_value=False)
    return {entry.name for part in parsed if part.kind.value == section for entry in part.value}


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_public_says_what_it_takes_and_gives(read: griffe.Module, name: str) -> None:
    """Functions have an entry for each parameter, and say what a table or number is; classes one for each field.

    What a board and a store are the module says, for functions that take nothing else.
    """
    public, thing = read[name], getattr(dgbench, name)
    if inspect.isclass(thing):
        fields = {
            member.name
            for member in public.members.values()
            if member.is_attribute and "property" not in member.labels and not member.name.startswith("_")
        }
        assert fields <= entries(public, "attributes")
        for member in public.members.values():
            assert member.is_attribute or member.name.startswith("_") or member.docstring, member.path
    else:
        taken = set(inspect.signature(thing).parameters)
        assert entries(public, "parameters") == (taken if taken - {"board", "store"} else set())
        if re.match(r"pl\.|int|float|str|dict|tuple", str(public.returns)):
            assert "Returns:" in (public.docstring.value if public.docstring else "")


def test_roles_become_links_to_what_is_public_and_names_entries_of_their_own() -> None:
    code = '''
def f(a, b):
    """As :func:`dgbench.run`, :meth:`Leaderboard.filter` and :mod:`dgbench.core.errors`.

    Args:
        a, b: Both,
            in two lines.
    """
'''
    roles = load_script("docs_roles").Roles()
    with griffe.temporary_visited_module(code, extensions=griffe.load_extensions(roles)) as module:
        function = module["f"]
    assert function.docstring.value.splitlines()[0] == (
        "As [`run`][dgbench.run], [`Leaderboard.filter`][dgbench.Leaderboard.filter] and `dgbench.core.errors`."
    )
    (given,) = (part for part in function.docstring.parse("google") if part.kind.value == "parameters")
    assert [(entry.name, entry.description) for entry in given.value] == [
        ("a", "Both,\nin two lines."), ("b", "Both,\nin two lines."),
    ]  # fmt: skip
