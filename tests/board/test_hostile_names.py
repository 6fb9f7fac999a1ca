"""No name acts in a rendering: no link, heading, formula, escape sequence or markup comes from it, in any script."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from board.synthetic import candidate, info, tables
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console

from dgbench.board.build import build
from dgbench.board.leaderboard import Leaderboard
from dgbench.board.render import files, html, latex, markdown, notebook, terminal
from dgbench.runs.collect import Failure

PIECES = [
    "[x](http://evil.example)", "![x](http://evil.example/i.png)", "<http://evil.example>", "https://evil.example",
    "www.evil.example", "me@evil.example", "@someone", "# Title", "\n# Title\n", "\n\n---\n", "- item", "1. item",
    "> q", "\n```\n", "`code`", "**bold**", "_em_", "~~gone~~", "$x^2$", "&copy;", "&#64;", "<script>alert(1)</script>",
    "<b>", "| a | b |", "\\", "\\|", "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "\x1b[31m",
    "\x1b]8;;http://x\x07", "\x9b31m", "[bold]", "[/]", ":smile:", "\u202e", "\u2066", "\u2028", "\x00", "фото", "写真",
    "👩\u200d🔬", "= ", "    x", "[x]: http://evil.example", "ftp://evil.example", "HTTP://EVIL.example",
    "{{ 7 * 7 }}", "{% raw %}",
]  # fmt: skip
NAMES = (
    st.lists(
        st.one_of(st.sampled_from(PIECES), st.text(st.characters(codec="utf-8"), max_size=4)), min_size=1, max_size=4
    )
    .map("".join)
    .filter(str.strip)
)


def board(name: str) -> Leaderboard:
    """A board on which everything that people name has one name."""
    records = tables(
        candidate(algorithm, target, trial, clean={"s": 0.9}, backbone=name, pretrained_on=name, dataset=name)
        for algorithm in (name, name + "2")
        for target in (name, name + "3")
        for trial in range(2)
    )
    rules = info(
        name=name, title=name, dataset=name, protocol=name, domains=(name, name + "3"), recompute=f"dgbench run {name}",
        algorithms=(name, name + "2", name + "4"), reference=name,
    )  # fmt: skip
    metrics = records[0].with_columns(title="algorithm")
    failed = [Failure(name, name, name, 0, 0, name)]
    return build(metrics, records[1], rules, dict, {"data": name, name: name}, failed)


def tokens(source: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(source):
        yield token
        yield from token.children or ()


@cache
def plain_tokens() -> tuple[Token, ...]:
    return tuple(tokens(markdown.render(board("plain"))))


def markdown_does_nothing(source: str) -> None:
    found = list(tokens(source))
    types = Counter(token.type for token in found)
    assert not types.keys() & {
        "link_open", "image", "code_inline", "strong_open", "em_open", "s_open", "hr", "html_block", "blockquote_open"
    }  # fmt: skip
    expected = Counter(token.type for token in plain_tokens())
    for kind in ("heading", "fence", "code_block", "bullet_list", "ordered_list", "list_item", "tr", "td", "paragraph"):
        for which in (kind, f"{kind}_open"):
            assert types[which] == expected[which], which
    assert {token.content for token in found if token.type == "html_inline"} <= {"<!-- -->"}
    for token in found:
        if token.type == "text":
            # what GitHub makes links and mentions of, though no markup says so
            assert not re.search(r"\w://|www\.|(?<!\w)@\w|\w@[\w-]+\.\w", token.content, re.IGNORECASE), token.content


def a_spreadsheet_calculates_nothing(content: str) -> None:
    assert no_commands(content.replace("\n", ""))
    header, *rows = csv.reader(io.StringIO(content))
    assert rows
    for row in [header, *rows]:
        assert len(row) == len(header)
        for cell in row:
            number = re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell)
            assert number or not cell.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")), cell


def a_terminal_is_told_nothing(shown: str, name: str) -> None:
    assert no_commands(shown.replace("\n", ""))
    # markup and emoji codes stay text: colours are off, so a name that was taken for markup would be gone
    assert "".join(terminal.visible(f"{name}").split()) in "".join(shown.split()) or len(name) > 20


def no_commands(text: str) -> bool:
    return not any(
        unicodedata.category(c) in ("Cc", "Cs") or c in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068" for c in text
    )


class Tags(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


@cache
def plain_tags(render: Callable[[Leaderboard], str]) -> list[str]:
    return Tags(render(board("plain"))).tags


@settings(max_examples=25, deadline=None)
@given(NAMES)
@example("# [x](http://e.example) | <b> @me\n\n## y")
def test_each_rendering_shows_names_and_does_nothing(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    made = board(name)
    markdown_does_nothing(markdown.render(made))
    folder = tmp_path_factory.mktemp("rendered")
    files.write(made, folder)
    for table in ("leaderboard.csv", "cells.csv"):
        a_spreadsheet_calculates_nothing((folder / table).read_text(encoding="utf-8"))
    out = io.StringIO()
    terminal.show(made, Console(file=out, width=200))
    a_terminal_is_told_nothing(out.getvalue(), name)
    for render in (html.render, notebook.render):
        page = render(made)
        page.encode("utf-8")
        assert no_commands(page.replace("\n", ""))
        assert Tags(page).tags == plain_tags(render)


@pytest.mark.parametrize(
    "name", ["photo", "dot-matrix", "a b", "фото", "C#", "v1.0", "50% off!", "a (b)", "dgbench:vit-micro@letters"]
)
def test_ordinary_names_are_not_marked_up(name: str) -> None:
    assert markdown.inline(name) == name


@given(NAMES)
def test_latex_prints_every_character(name: str) -> None:
    left = latex.escaped(name)
    for escape in sorted(set(latex._SPECIAL.values()), key=len, reverse=True):
        left = left.replace(escape, "")
    assert not set(left) & set("\\{}$&#^_~%\n\r")


def test_code_is_fenced_by_more_backticks_than_it_has(tmp_path: Path) -> None:
    assert markdown._code("dgbench run '```'").splitlines()[0] == "````"
