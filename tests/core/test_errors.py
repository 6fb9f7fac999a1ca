import pytest

from dgbench.core.cards import algorithm_card, board_names, card_names
from dgbench.core.dataset_card import dataset_names
from dgbench.core.errors import UnknownNameError, did_you_mean, shown


@pytest.mark.parametrize("folder", ["algorithms", "datasets", "leaderboards"])
def test_a_name_in_other_letters_is_the_one_that_is_offered(folder: str) -> None:
    """As papers write them: ERM, PACS."""
    known = {"algorithms": card_names("algorithms"), "datasets": dataset_names(), "leaderboards": board_names()}[folder]
    for name in known:
        assert did_you_mean(name.upper(), known) == f" Did you mean {name!r}?"


@pytest.mark.parametrize("name", card_names("algorithms"))
def test_the_title_of_an_algorithm_is_answered_with_its_name(name: str) -> None:
    title = algorithm_card(name).title
    if title != name and " " not in title:
        with pytest.raises(UnknownNameError, match=f"Did you mean .*'{name}'"):
            algorithm_card(title)


def test_what_is_not_alike_is_not_offered() -> None:
    assert did_you_mean("Fishr", ["erm", "irm", "sam"]) == " Known: erm, irm, sam."
    assert did_you_mean("sam", ["dino", "sam_in1k_of_1999"]) == " Did you mean 'sam_in1k_of_1999'?"
    assert did_you_mean("КОТ-2", ["кот_2", "пёс"]) == " Did you mean 'кот_2'?"
    assert did_you_mean("?!", ["dino"]) == " Known: dino."
    assert did_you_mean("", ["dino"]) == " Known: dino."
    assert did_you_mean("anything", []) == ""


def test_names_that_differ_in_case_only_are_both_offered() -> None:
    assert did_you_mean("art", ["Art", "ART"]) == " Did you mean 'ART' or 'Art'?"


def test_a_long_list_is_not_read_out() -> None:
    said = did_you_mean("zzz", [f"n{number:04}" for number in range(1000)])
    assert said.endswith("n0029 and 970 more.")


STRANGE = ["a\nb", "\x1b[31mred", "x" * 10**6, 10**5000, -(10**5000), list(range(10**4)), {"a": {"b": "c"}}]
STRANGE += [b"\xff" * 999, True, None, float("nan"), ["\n", 10**5000], "\ud800"]


def test_whatever_a_value_is_it_is_shown_on_one_short_line() -> None:
    for value in STRANGE:
        text = shown(value)
        assert text.isprintable()
        assert 0 < len(text) <= 100
