"""Boards with known truth: intervals cover it as often as they say, and equal algorithms stay together."""

import pytest
from scripts_loaded import load_script

simulation = load_script("simulate_boards")


@pytest.mark.parametrize("title", simulation.protocols())
def test_intervals_cover_the_truth_on_a_board_of_each_protocol(title: str) -> None:
    """A share of .95 in 1,200 boards has a standard error of .006."""
    law = simulation.Law(simulation.protocols()[title], 3, 5, 0.35)
    found = simulation.measure(law, law.design, 1200)
    assert 0.93 <= found.means <= 0.97
    assert 0.93 <= found.differences <= 0.97
    assert found.torn <= 0.05 + 2 * 0.0063


def test_targets_of_one_training_are_not_independent() -> None:
    """What the board would claim if it took them for independent: the fault that clusters mend."""
    law = simulation.Law(simulation.protocols()["fixed, 20 targets"], 3, 5, 0.35)
    found = simulation.measure(law, law.naive, 200)
    assert found.means < 0.7
    assert found.torn > 0.2


def test_a_part_that_was_picked_after_looking_separates_equals() -> None:
    """What the page on the architecture says of twenty; a share of 400 boards has a standard error of .025 at most."""
    law = simulation.Law(simulation.protocols()["leave-one-domain-out, 4 domains"], 20, 3, 0.35)
    found = simulation.parts(law, 400)
    assert found.settled <= 0.05 + 2 * 0.011
    assert abs(found.picked - 0.42) <= 2 * 0.025
