"""Soups against means and a greedy search written here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import torch

from dgbench.algorithms.averaging.ensemble import Ensemble
from dgbench.algorithms.averaging.merging import Validated
from dgbench.algorithms.averaging.soup import Soup
from dgbench.algorithms.slots import State


@dataclass
class Pot:
    """Trainings of which each has its last weights; ``worth`` scores weights."""

    trajectories: Sequence[Any]
    worth: Callable[[torch.Tensor], float]
    asked: int = 0

    def validated(self, state: State) -> Validated:
        self.asked += 1
        return Validated(self.worth(state["w"]), 0.0)


@pytest.fixture
def pot(scripted: Callable[..., Any]) -> Callable[..., Pot]:
    def make(count: int, worth: Callable[[torch.Tensor], float], seed: int = 0) -> Pot:
        draw = torch.Generator().manual_seed(seed)
        paths = [scripted([1.0, 0.5, 0.7]) for _ in range(count)]
        for path in paths:
            path.path[-1] = {"w": torch.randn(3, 2, generator=draw)}
        return Pot(paths, worth)

    return make


def last(pot: Pot) -> list[torch.Tensor]:
    return [one.path[-1]["w"] for one in pot.trajectories]


def test_the_uniform_soup_is_the_mean_and_asks_nobody(pot: Callable[..., Pot]) -> None:
    made = pot(5, lambda w: 0.0)
    found = Soup().merge(made)["w"]
    torch.testing.assert_close(found, torch.stack(last(made)).mean(0))
    assert made.asked == 0


def test_an_ensemble_is_of_the_last_weights_of_each(pot: Callable[..., Pot]) -> None:
    made = pot(3, lambda w: 0.0)
    assert Ensemble().merge(made).keys() == {"0/w", "1/w", "2/w"}
    for number, weights in enumerate(last(made)):
        assert torch.equal(Ensemble().merge(made)[f"{number}/w"], weights)


def greedy(weights: list[torch.Tensor], worth: Callable[[torch.Tensor], float]) -> list[int]:
    """Which take part, by their numbers."""
    order = sorted(range(len(weights)), key=lambda number: (-worth(weights[number]), number))
    taken: list[int] = []
    for number in order:
        before = worth(torch.stack([weights[n] for n in taken]).double().mean(0)) if taken else float("-inf")
        if worth(torch.stack([weights[n] for n in [*taken, number]]).double().mean(0)) >= before:
            taken.append(number)
    return taken


@pytest.mark.parametrize("seed", range(5))
def test_the_greedy_soup_takes_whom_a_naive_search_takes(seed: int, pot: Callable[..., Pot]) -> None:
    goal = torch.randn(3, 2, generator=torch.Generator().manual_seed(99))
    made = pot(7, lambda w: -float((w.double() - goal.double()).square().sum()), seed)
    taken = greedy(last(made), made.worth)
    assert 1 < len(taken) < 7
    torch.testing.assert_close(Soup("greedy").merge(made)["w"], torch.stack([last(made)[n] for n in taken]).mean(0))


def test_what_is_as_good_joins_and_the_best_comes_first(pot: Callable[..., Pot]) -> None:
    made = pot(4, lambda w: 0.5)
    assert torch.equal(Soup("greedy").merge(made)["w"], Soup().merge(made)["w"])
    best = last(made)[2]
    made.worth = lambda w: float(torch.equal(w, best))
    assert torch.equal(Soup("greedy").merge(made)["w"], best)


def test_all_draws_take_part_in_all_orders_whoever_asks() -> None:
    soup = Soup(orders=2)
    members = soup.members(1, range(3))
    assert members == soup.members(0, range(3))
    assert sorted(members) == [(draw, order) for draw in range(3) for order in range(2)]
    assert all(a < b for a, b in pairwise(members)), "the first is the plain training of the first draw"
