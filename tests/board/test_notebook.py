"""What a notebook shows of a leaderboard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from board.synthetic import DOMAINS, board, info
from browser import ask, needs_browser

from dgbench.board.build import build
from dgbench.board.render import notebook
from dgbench.board.render.notebook import MOST

ALGORITHMS = ("erm", "sam", "irm")


def shown(domains: tuple[str, ...] = DOMAINS) -> str:
    made = build(*board({"irm": 0.1, "erm": 0.4, "sam": 0.4}, trials=3, domains=domains, noise=0.001), info(
        domains=domains, trials=3, algorithms=ALGORITHMS,
    ))  # fmt: skip
    return notebook.render(made)


def test_it_runs_no_script_and_fetches_nothing() -> None:
    assert not re.search(r"<script|<link|<img|\son\w+=|https?:|url\(|@import|javascript:|\bid=", shown())


def test_its_rules_touch_nothing_but_itself() -> None:
    """A notebook is one page: a rule without the table's own class would repaint it."""
    (style,) = re.findall(r"<style>(.*?)</style>", shown(), re.DOTALL)
    for selectors in re.findall(r"^(.*?)\{", style, re.MULTILINE):
        assert all(selector.strip().startswith(".dgbench-board") for selector in selectors.split(",")), selectors


@pytest.mark.parametrize(("count", "there"), [(MOST, True), (MOST + 1, False)])
def test_many_targets_are_counted_and_not_shown(count: int, there: bool) -> None:
    html = shown(tuple(f"domain{number}" for number in range(count)))
    assert ("domain3" in html) == there
    assert (f"There are {count} targets" in html) != there


@needs_browser
@pytest.mark.parametrize(("paper", "ink"), [("#ffffff", "#111111"), ("#111111", "#eeeeee")])
def test_it_is_read_on_light_and_on_dark_pages(tmp_path: Path, paper: str, ink: str) -> None:
    """Text has the colour of the page's own, on backgrounds whose contrast with it is at least 4.5 in every cell."""
    page = tmp_path / "page.html"
    page.write_text(
        f"<!doctype html><html><style>body {{ background: {paper}; color: {ink}; }} "
        "tbody tr:nth-child(odd) { background: #f5f5f5; }</style><body>" + shown() + "</body></html>",
        encoding="utf-8",
    )
    rows, worst = ask(
        page,
        """
        const channels = text => text.match(/[\\d.]+/g).map(Number);
        const luminance = rgb => rgb.slice(0, 3).map(c => c / 255)
          .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
          .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const behind = element => {
          if (!element) return [255, 255, 255];
          const [r, g, b, a = 1] = channels(getComputedStyle(element).backgroundColor);
          return a === 1 ? [r, g, b] : behind(element.parentElement).map((c, i) => a * [r, g, b][i] + (1 - a) * c);
        };
        const contrast = element => {
          const [one, other] = [channels(getComputedStyle(element).color), behind(element)].map(luminance);
          return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        };
        const cells = [...document.querySelectorAll('.dgbench-board th, .dgbench-board td, .dgbench-board p')];
        return [document.querySelectorAll('.dgbench-board tbody tr').length, Math.min(...cells.map(contrast))];
        """,
    )
    assert rows == len(ALGORITHMS)
    assert worst >= 4.5
