from pathlib import Path

import pytest

from dgbench.core.cards import (
    AlgorithmCard,
    BoardCard,
    Space,
    algorithm_card,
    board_card,
    board_names,
    card_names,
)
from dgbench.core.errors import CardError, UnknownNameError
from dgbench.core.toml import read_toml

MINIMAL = """
name = "mine"
title = "Mine"
summary = "A method."
[paper]
title = "A title"
authors = ["A. Author"]
venue = "ICML"
year = 2020
"""


@pytest.mark.parametrize("name", card_names("algorithms"))
def test_every_algorithm_card_reads(name: str) -> None:
    card = algorithm_card(name)
    assert card.name == name
    assert card.summary.endswith(".")
    for key in card.search:
        slot, _, hyperparameter = key.partition(".")
        assert slot in card.recipe.filled(), f"{key}: the card does not fill that slot"
        assert hyperparameter


@pytest.mark.parametrize("name", board_names())
def test_every_board_reads(name: str) -> None:
    assert board_card(name).name == name


def test_a_minimal_card_reads(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL)
    assert read_toml(path, AlgorithmCard).recipe.filled() == {}


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("[recipe.optimiser]\npart = 'sam'", ["recipe.optimiser", "Did you mean 'optimizer'"]),
        ("[recipe.optimizer]\nrho = 0.1", ["recipe.optimizer.part", "missing"]),
        ("[search.'optimizer.rho']\nkind = 'loguniform'\nlow = 1", ["search.optimizer.rho", "'low' below 'high'"]),
        ("[search.'optimizer.rho']\nkind = 'log'", ["search.optimizer.rho.kind", "'log'"]),
        ("[recipe", ["not valid TOML"]),
        ("licens = 'MIT'", ["licens", "unknown field. Did you mean 'licence'"]),
    ],
)
def test_a_bad_card_says_file_field_and_remedy(tmp_path: Path, extra: str, words: list[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"{extra}\n{MINIMAL}" if extra.startswith("licens") else f"{MINIMAL}\n{extra}\n")
    with pytest.raises(CardError) as error:
        read_toml(path, AlgorithmCard)
    for word in [str(path), *words]:
        assert word in str(error.value)


def test_the_name_of_a_card_is_the_name_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(MINIMAL)
    with pytest.raises(CardError, match="expected 'other'"):
        read_toml(path, AlgorithmCard)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"nothing\.toml"):
        read_toml(tmp_path / "nothing.toml", BoardCard)


def test_an_unknown_algorithm_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'swad'"):
        algorithm_card("sward")


def test_spaces_cover_their_range_and_nothing_else() -> None:
    log = Space(kind="loguniform", low=1e-4, high=1e-2)
    assert log.at(0.5) == pytest.approx(1e-3)
    whole = Space(kind="integer", low=2, high=4)
    assert [whole.at(u) for u in (0.0, 0.34, 0.67, 0.999)] == [2, 3, 4, 4]
    assert Space(kind="choice", values=("a", "b")).at(0.99) == "b"
    assert Space(kind="uniform", low=-1, high=1).at(0.75) == 0.5
