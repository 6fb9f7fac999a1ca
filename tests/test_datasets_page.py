"""The page on datasets says what the cards say, and so does the command line."""

from pathlib import Path
from types import ModuleType

import pytest
import typer
from scripts_loaded import load_script
from typer.testing import CliRunner

from dgbench.cli.listing import list_
from dgbench.cli.show import show
from dgbench.core.cards import card_names
from dgbench.core.dataset_card import dataset_card


def dgbench(*arguments: str) -> str:
    app = typer.Typer()
    app.command("list")(list_)
    app.command()(show)
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("write_datasets_page")


def test_the_committed_page_is_that_of_the_cards(script: ModuleType) -> None:
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "run python scripts/write_datasets_page.py"


def test_the_page_has_every_dataset_with_its_terms_and_ways_in_order(script: ModuleType) -> None:
    text = script.page()
    for name in card_names("datasets"):
        card, section = dataset_card(name), text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        said = [card.licence, card.redistribution, *card.get, *card.notes, *(s.citation for s in card.sources)]
        places = [section.index(part) for part in said]
        assert places == sorted(places)
        predicted = f"a value: {card.value.what}" if card.value else card.class_count
        assert f"| [{name}](#{name}) | {card.domain_count} | {predicted} | {card.images} |" in text


def test_list_shows_images_licence_and_whether_data_may_be_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    rows = [" ".join(line.split()) for line in dgbench("list", "datasets").splitlines()]
    assert "pacs 4 7 9,991 None stated by its authors Not allowed" in rows
    assert "camelyon17 5 2 ~455,954 CC0 1.0 Allowed" in rows
    assert "spawrious 6 4 ~76,032 CC BY 4.0 ? ?" in rows
    assert "mini-domainnet 4 126 ? Fair use Not allowed" in rows


def test_show_says_where_the_data_is_and_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setenv("DGBENCH_DATA", str(tmp_path))
    card, shown = dataset_card("camelyon17"), dgbench("show", "camelyon17")
    for said in (card.licence, card.redistribution, *card.get, *card.notes, *(s.citation for s in card.sources)):
        assert said in shown, "square brackets are text here, no markup"
    assert f"no; looked for as {tmp_path / 'camelyon17_v1.0'}" in shown
    (tmp_path / "camelyon17_v1.0").mkdir()
    assert "no; looked for" not in dgbench("show", "camelyon17")
