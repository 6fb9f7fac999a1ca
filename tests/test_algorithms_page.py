"""The page on algorithms says what the cards say, and of pairs what composing them says."""

from __future__ import annotations

import re
from types import ModuleType

import pytest
import typer
from scripts_loaded import load_script
from typer.testing import CliRunner

import dgbench
from dgbench.cli.show import show
from dgbench.core.cards import algorithm_card, board_card, card_names
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import compose, resolve
from dgbench.sweeps.names import ALGORITHMS


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("write_algorithms_page")


@pytest.fixture(scope="module")
def page(script: ModuleType) -> str:
    text: str = script.page()
    return text


def test_the_committed_page_is_that_of_the_cards(script: ModuleType, page: str) -> None:
    assert script.PAGE.read_text(encoding="utf-8") == page, "run python scripts/write_algorithms_page.py"


def test_every_algorithm_has_one_row_with_its_paper_and_all_that_differs(page: str) -> None:
    rows = {found[1]: found[0] for found in re.finditer(r"^\| `(\w+)` .*$", page, re.MULTILINE)}
    assert set(rows) == set(card_names("algorithms"))
    assert page.count("\n| `") == len(rows)
    for name, row in rows.items():
        card = algorithm_card(name)
        assert card.paper.title in row
        assert all(f"* {difference.what}\n" in page for difference in card.differences)


def test_the_algorithms_of_domainbed_are_here_but_for_those_that_the_page_names(page: str) -> None:
    said = re.sub(r"\s+", " ", page.partition("## The algorithms of DomainBed")[2].partition("## ")[0])
    theirs, ours, missing = (
        re.findall(r"`(\w+)`", part) for part in re.findall(r"those of (.*?) are (.*?)\. (.*?) is not\.", said)[0]
    )
    named = {name: name.lower() for name in ALGORITHMS if name not in missing} | dict(zip(theirs, ours, strict=True))
    assert set(named.values()) <= set(card_names("algorithms"))
    assert f"Of its {len(ALGORITHMS)} algorithms {len(named)} are here" in said
    assert not {name.lower() for name in missing} & set(card_names("algorithms"))


def test_what_a_step_costs_is_that_of_its_parts(page: str) -> None:
    passes = dict(re.findall(r"^\| `(\w+)` [^|]*\|[^|]*\| ([^|]+) \|", page, re.MULTILINE))
    assert (passes["erm"], passes["sam"], passes["gam"]) == ("1", "2", "4")
    assert (passes["miro"], passes["adrmx"], passes["crafting_shifts"]) == ("1.33", "2", "2")
    assert (passes["as_is"], passes["zero_shot"]) == ("–", "–")
    assert {passes["ema"], passes["swad"], passes["t3a"], passes["adanpc"]} == {"–"}


def test_pairs_that_are_said_to_be_refused_are_and_others_compose(page: str) -> None:
    said = set()
    for who, partners in re.findall(r"^\* ((?:`\w+`(?:, )?)+) with ((?:`\w+`(?:, )?)+)\. So", page, re.MULTILINE):
        said |= {(one, other) for one in re.findall(r"\w+", who) for other in re.findall(r"\w+", partners)}
    assert ("and_mask", "vrex") in said, "a mask over domains sees one at a time"
    for one, other in said:
        with pytest.raises(RecipeError):
            resolve(compose(f"{one} + {other}"), board_card("quick"))
    for pair in (("sam", "swad"), ("pego", "adanpc"), ("mixup", "t3a"), ("and_mask", "ema")):
        assert pair not in said
        resolve(compose(" + ".join(pair)), board_card("quick"))


@pytest.mark.parametrize("name", card_names("algorithms"))
def test_what_show_says_to_run_composes_on_that_board(name: str) -> None:
    board, *recipes, _ = shown_to_run(name)
    assert recipes == ["erm", name]
    resolve(compose(name), board_card(board))


@pytest.mark.parametrize("name", ["soup", "greedy_soup", "diwa"])
def test_what_show_says_to_run_of_a_soup_has_something_to_average(name: str) -> None:
    board, *recipes, draws = shown_to_run(name)
    planned = dgbench.plan(dgbench.rules(board, algorithms=recipes, draws=int(draws) if draws else None))
    assert {entry.without_effect for entry in planned.entries if entry.algorithm == name} == {""}


def shown_to_run(name: str) -> tuple[str, str, str, str]:
    """The board, both recipes and the draws of the command that ``dgbench show`` ends with."""
    app = typer.Typer()
    app.command()(show)
    done = CliRunner().invoke(app, [name], catch_exceptions=False)
    command = done.stdout.splitlines()[-1]
    ((board, first, second, draws),) = re.findall(
        r"run it  dgbench run (\S+)(?: --backbone \S+)? -a (\S+) -a (\S+)(?: --draws (\d+))?$", command
    )
    return board, first, second, draws
