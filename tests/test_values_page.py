"""What the page *Values as targets* names is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from dgbench.api.boards import rules
from dgbench.cli import program
from dgbench.core import registry
from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import RecipeError
from dgbench.runs.planning import make_plan
from dgbench.selection.criteria import CRITERIA
from dgbench.selection.value_measures import OF_VALUES

PAGE = (Path(__file__).parents[1] / "docs" / "values.md").read_text(encoding="utf-8")


def serving(slot: str) -> set[str]:
    """Parts of a slot, as they are by default, that serve values."""
    return {name for name in registry.BUILT_IN[slot] if "values" in registry.load(slot, name)().serves()}  # type: ignore[arg-type,index]


def test_the_parts_of_the_page_are_those_that_serve_values() -> None:
    listed = PAGE.split("With values go")[1].split("every optimizer")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == serving("objective") - {"cross_entropy", "squared_error"}
    others = {name for name in registry.BUILT_IN["optimizer"] if name not in serving("optimizer")}
    assert others == {name for name in registry.BUILT_IN["optimizer"] if name.startswith("udim")}
    assert set(registry.BUILT_IN["averaging"]) - serving("averaging") == {"wise_ft_fisher"}
    of_texts = {name for name in registry.BUILT_IN["adapter"] if "text" in registry.load("adapter", name)().needs()}
    assert set(registry.BUILT_IN["adapter"]) - serving("adapter") == {
        "divdis",
        "domain_heads",
        "mtl",
        "rfc",
        "rfc_heads",
        *of_texts,
    }
    assert serving("predictor") == {"argmax", "value"}
    assert set(registry.BUILT_IN["sampler"]) - serving("sampler") == {"class_balanced", "useful"}


def test_the_measures_and_criteria_of_the_page_are_all_that_there_are() -> None:
    table = PAGE.split("| measure |")[1].split("\n\n")[0]
    assert set(re.findall(r"\| `(\w+)` \|", table)) == set(OF_VALUES)
    refused = PAGE.split("Criteria that are about classes")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", refused)) == {name for name, one in CRITERIA.items() if one.classes}


def test_the_message_of_the_page_is_the_one_that_is_said() -> None:
    with pytest.raises(RecipeError) as refused:
        make_plan(rules("turned-digits", algorithms=["irm"]))
    assert str(refused.value) in PAGE


def test_the_commands_of_the_page_are_about_its_board_and_recipes_that_there_are() -> None:
    commands = [line.split()[1:] for line in PAGE.split("```sh")[1].split("```")[0].split("\n") if line]
    assert [verb for verb, *_ in commands] == ["run", "leaderboard", "compare"]
    for verb, *words in commands:
        command = typer.main.get_command(program(verb)).commands[verb]  # type: ignore[attr-defined]
        asked = command.make_context(verb, words).params
        assert asked["board"] == "turned-digits"
        algorithms = asked.get("algorithms") or ["erm"]
        assert make_plan(rules("turned-digits", algorithms=algorithms, trials=1)).runs


def test_the_card_of_the_page_is_that_of_the_set() -> None:
    value = dataset_card("turned-digits").value
    assert value is not None
    assert f'what = "{value.what}"' in PAGE
    assert f'unit = "{value.unit}"' in PAGE
