from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgbench.core.cards import BoardCard, algorithm_card, board_card, card_names
from dgbench.core.errors import RecipeError, UnknownNameError
from dgbench.core.recipe import compose, resolve
from dgbench.core.registry import BUILT_IN, SLOTS, load
from dgbench.core.seeds import generator
from dgbench.core.space import Space

BOARD = board_card("quick")


@pytest.mark.parametrize(("slot", "name"), [(slot, name) for slot in SLOTS for name in BUILT_IN[slot]])
def test_every_part_loads_and_fills_its_slot(slot: str, name: str) -> None:
    part = load(slot, name)  # type: ignore[arg-type]
    assert part.slot == slot
    assert part.__doc__


@pytest.mark.parametrize("name", card_names("algorithms"))
def test_every_card_resolves_on_the_board(name: str) -> None:
    resolved = resolve(compose(name), BOARD)
    assert set(resolved.parts) == set(SLOTS)
    for key in algorithm_card(name).search:
        slot, _, hyperparameter = key.partition(".")
        assert hyperparameter in resolved.specs[slot], f"{key} is searched, but the part has no such hyperparameter"  # type: ignore[index]


@pytest.mark.parametrize("name", card_names("algorithms"))
def test_every_draw_of_every_card_is_valid(name: str) -> None:
    recipe = compose(name)
    for draw in range(1, 6):
        resolve(recipe, BOARD, trial=draw, draw=draw)


def test_cards_compose_in_any_order() -> None:
    one, other = compose("sam + adanpc"), compose("adanpc + sam")
    assert one.slots == other.slots
    assert {slot: choice.part for slot, choice in one.slots.items()} == {"optimizer": "sam", "predictor": "adanpc"}


def test_two_parts_for_one_slot_are_refused() -> None:
    with pytest.raises(
        RecipeError, match=r"two parts for the slot 'optimizer': sam \(from sam\) and udim \(from udim\)"
    ):
        compose("sam + udim")


def test_settings_in_the_expression_win_over_everything() -> None:
    resolved = resolve(compose("sam(rho=0.2, optimizer.lr=0.5)"), BOARD)
    assert resolved.specs["optimizer"]["rho"] == 0.2
    assert resolved.specs["optimizer"]["lr"] == 0.5


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("sam(rhoo=0.2)", ["rhoo", "Did you mean"]),
        ("sam(rho=-1)", ["optimizer.rho", "greater than or equal to 0", "-1"]),
        ("sam(rho='large')", ["optimizer.rho", "'large'"]),
        ("sam(rho)", ["cannot read 'rho'"]),
        ("sam ++ erm", ["cannot read"]),
    ],
)
def test_a_wrong_hyperparameter_is_one_clear_error(expression: str, words: list[str]) -> None:
    with pytest.raises(RecipeError) as error:
        resolve(compose(expression), BOARD)
    for word in words:
        assert word in str(error.value)


def test_a_name_that_two_parts_have_is_refused_with_both_ways_to_write_it() -> None:
    with pytest.raises(RecipeError) as refused:
        resolve(compose("itta(lr=0.01)"), BOARD)
    assert str(refused.value) == (
        "recipe 'itta(lr=0.01)': 'lr' (the expression) belongs to the optimizer and the predictor; "
        "write 'optimizer.lr' or 'predictor.lr'"
    )
    for slot in ("optimizer", "predictor"):
        assert resolve(compose(f"itta({slot}.lr=0.01)"), BOARD).specs[slot]["lr"] == 0.01  # type: ignore[index]


def test_an_unknown_card_in_a_recipe_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'adanpc'"):
        compose("sam + adampc")


def test_what_a_part_needs_is_checked_before_anything_runs(tmp_path: Path) -> None:
    card = tmp_path / "bare.toml"
    card.write_text(
        'name = "bare"\ntitle = "Bare"\nsummary = "WiSE-FT without a reference."\n'
        '[paper]\ntitle = "t"\nauthors = ["a"]\nvenue = "v"\nyear = 2022\n[recipe.averaging]\npart = "wise_ft"\n'
    )
    with pytest.raises(RecipeError, match=r"needs reference head.*linear_probe"):
        resolve(compose(str(card)), BOARD)


def test_draw_zero_is_the_recipe_itself() -> None:
    assert resolve(compose("sam"), BOARD).specs["optimizer"]["rho"] == 0.05


def test_algorithms_are_compared_on_equal_draws() -> None:
    for trial in range(3):
        for draw in range(1, 4):
            rates = {
                resolve(compose(n), BOARD, trial=trial, draw=draw).specs["optimizer"]["lr"]
                for n in ("erm", "sam", "irm")
            }
            assert len(rates) == 1
    assert resolve(compose("erm"), BOARD, draw=1).specs != resolve(compose("erm"), BOARD, draw=2).specs


@given(st.integers(1, 50), st.integers(0, 5))
def test_a_new_hyperparameter_never_shifts_another_draw(draw: int, trial: int) -> None:
    more = BOARD.model_copy(
        update={"search": {"averaging.alpha": Space(kind="uniform", low=0, high=1), **BOARD.search}}
    )
    before = resolve(compose("sam"), BOARD, trial=trial, draw=draw).specs
    assert resolve(compose("sam"), more, trial=trial, draw=draw).specs == before
    space = algorithm_card("sam").search["optimizer.rho"]
    assert before["optimizer"]["rho"] == space.at(generator("draw", draw, trial, "optimizer.rho").random())


def test_the_boards_overrides_must_fit_the_recipe() -> None:
    board: BoardCard = BOARD.model_copy(update={"overrides": {"sam": {"optimizer.rhoo": 1}}})
    with pytest.raises(RecipeError, match=r"the board's overrides.*Did you mean 'optimizer.rho'"):
        resolve(compose("sam"), board)


def test_a_sampler_that_misspells_a_family_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strict validation would otherwise hold out nothing, without a word."""
    monkeypatch.setattr(load("sampler", "balanced"), "families", lambda self: frozenset({"geometry"}))
    with pytest.raises(RecipeError, match=r"'geometry', which there is not\. Did you mean 'geometric'"):
        resolve(compose("erm"), BOARD)


@pytest.mark.parametrize("field", ["hyperparameters", "search"])
@pytest.mark.parametrize(("key", "words"), [("optimizer.lrr", "Did you mean 'lr'"), ("optimiser.lr", "'optimizer'")])
def test_the_boards_keys_must_belong_to_some_part(field: str, key: str, words: str) -> None:
    value = 0.1 if field == "hyperparameters" else Space(kind="uniform", low=0, high=1)
    board = BOARD.model_copy(update={field: {key: value}})
    with pytest.raises(RecipeError, match=words):
        resolve(compose("erm"), board)


def test_what_a_card_searches_it_must_have(tmp_path: Path) -> None:
    card = tmp_path / "typo.toml"
    card.write_text(
        'name = "typo"\ntitle = "T"\nsummary = "s"\n[paper]\ntitle = "t"\nauthors = ["a"]\nvenue = "v"\nyear = 2022\n'
        '[recipe.optimizer]\npart = "sam"\n[search."optimizer.rhho"]\nkind = "uniform"\nlow = 0\nhigh = 1\n'
    )
    with pytest.raises(RecipeError, match=r"searches 'optimizer.rhho'.*Did you mean 'optimizer.rho'"):
        resolve(compose(str(card)), BOARD)
