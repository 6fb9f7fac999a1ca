"""What holds for every sampler in the registry."""

from __future__ import annotations

import pytest

from dgbench.algorithms.samplers.balanced import Balanced
from dgbench.algorithms.slots import Sampler
from dgbench.core import registry
from dgbench.core.shift_families import FAMILIES


class Own(Balanced):
    """One that cannot leave out some of what it trains with."""

    without = Sampler.without


@pytest.mark.parametrize("name", [*registry.BUILT_IN["sampler"], "own"])
def test_families_can_be_left_out(name: str) -> None:
    """Those that it does not train with without a change, and of the others it says so where it cannot."""
    sampler = Own("crop") if name == "own" else registry.load("sampler", name)()
    assert sampler.without(frozenset(FAMILIES) - sampler.families()) == sampler
    assert sampler.families(), "or this would say nothing"
    for family in sampler.families():
        left = sampler.without(frozenset({family}))
        assert left is None or family not in left.families()


def test_one_that_cannot_leave_out_a_part_says_so() -> None:
    assert Own("crop").without(frozenset({"geometric", "blur"})) is None
    assert Own("none").without(frozenset(FAMILIES)) == Own("none")
