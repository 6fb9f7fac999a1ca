import pytest

import dgbench
from dgbench.board.protocol import protocol
from dgbench.core.cards import board_names
from dgbench.core.dataset_card import dataset_card


@pytest.mark.parametrize("name", board_names())
def test_the_protocol_says_what_the_rules_ask_for(name: str) -> None:
    card = dgbench.rules(name, trials=7, draws=5)
    said = protocol(card)
    assert "7 trials draw other splits" in said
    assert f"{card.training.steps} steps of {card.training.batch_per_domain} images" in said
    assert "5 sets of hyperparameters are tried" in said
    assert all(dataset in said for dataset in card.dataset)
    assert ("compute in bfloat16" in said) == (card.training.precision == "bfloat16")
    official = "official" in said
    assert official == card.split.official
    for dataset in card.dataset:
        for domain in dataset_card(dataset).domains:
            tested = card.cases[dataset].targets if dataset in card.cases else ()
            lacking = f"Accuracy on {domain.name} is over {dataset_card(dataset).class_count - len(domain.without)} of"
            assert (lacking in said) == bool(domain.without and (not tested or domain.name in tested))


def test_the_protocol_says_how_the_domains_of_a_step_are_drawn() -> None:
    card = dgbench.rules("quick")
    training = card.training.model_copy(update={"domains_per_step": 8, "domains_drawn": "size"})
    said = protocol(card.model_copy(update={"training": training}))
    assert f"{card.training.batch_per_domain} images from each of 8 source domains, drawn by their numbers of" in said


@pytest.mark.parametrize(("batch", "shown"), [(1, "one image at a time"), (32, "32 images at a time")])
def test_the_protocol_says_what_adapts_sees_at_once(batch: int, shown: str) -> None:
    card = dgbench.rules("quick").model_copy(update={"stream_batch": batch})
    assert f"What adapts to the images that it predicts is shown {shown}." in protocol(card)
    episodic = card.model_copy(update={"stream_mode": "episodic"})
    assert f"{shown}, and forgets them before the next." in protocol(episodic)
    inductive = card.model_copy(update={"tracks": {"inductive": card.tracks["inductive"]}})
    assert "adapts" not in protocol(inductive)


def test_the_protocol_of_the_smallest_board() -> None:
    said = protocol(dgbench.rules("quick"))
    assert said.startswith("Each domain of digits in turn is left out; a model learns from the others and is tested on")
    assert said.endswith("For every algorithm 1 set of hyperparameters is tried.")


def test_one_target_is_not_left_out_in_turn() -> None:
    said = protocol(dgbench.rules("digits-all"))
    assert said.startswith("The domain handwritten of digits is left out; a model learns from the others and is")
    assert protocol(dgbench.rules("emoji")).startswith(
        "Of the domains noto, line-art, openmoji of emoji each in turn is"
    )


def test_digits_are_the_rules_of_quick_with_trials_that_grow() -> None:
    own = {"name", "title", "summary", "version", "trials", "looks"}
    quick, digits = (dgbench.rules(name).model_dump(exclude=own) for name in ("quick", "digits"))
    assert digits == quick
