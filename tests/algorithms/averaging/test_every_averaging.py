"""What holds for every averaging part in the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from dgbench.algorithms.averaging.ema import EMA
from dgbench.algorithms.slots import Averaging, State, Trajectory
from dgbench.core import registry
from dgbench.core.errors import RecipeError
from dgbench.core.pieces import DECAYS, checkpoint, every, exponential, segment
from dgbench.core.recipe import build_part

NAMES = sorted(registry.BUILT_IN["averaging"])
LOSSES = [1.0, 0.8, 0.5, 0.3, 0.31, 0.32, 0.33, 0.9]


@pytest.mark.parametrize("name", NAMES)
def test_candidates_are_states_of_the_network_at_checkpoints(name: str, scripted: Callable[..., Any]) -> None:
    path = scripted(LOSSES)
    candidates = list(registry.load("averaging", name)().candidates(path))
    steps = [step for step, _ in candidates]
    assert steps == sorted(set(steps))
    assert set(steps) <= set(path.steps)
    assert registry.load("averaging", name)().count(len(path.steps)) == len(candidates)
    for _, state in candidates:
        assert {key: tensor.shape for key, tensor in state.items()} == {"w": (3, 2)}


@pytest.mark.parametrize("name", NAMES)
def test_a_training_that_never_moves_gives_its_weights(name: str, scripted: Callable[..., Any]) -> None:
    path = scripted(LOSSES)
    path.path[:] = [path.start] * len(path.path)
    for _, state in registry.load("averaging", name)().candidates(path):
        torch.testing.assert_close(state["w"], path.start["w"])


@pytest.mark.parametrize("name", NAMES)
def test_the_trajectory_is_left_alone(name: str, scripted: Callable[..., Any]) -> None:
    path, untouched = scripted(LOSSES), scripted(LOSSES)
    list(registry.load("averaging", name)().candidates(path))
    for state, before in zip([path.start, *path.path], [untouched.start, *untouched.path], strict=True):
        assert torch.equal(state["w"], before["w"])


class _Watched:
    """A trajectory that notes what is read of it."""

    def __init__(self, path: Any) -> None:
        self.path = path
        self.steps = path.steps
        self.initial = path.initial
        self.validation_loss = path.validation_loss
        self.read: set[str] = set()

    def at(self, step: int) -> State:
        self.read.add(checkpoint(step))
        return self.path.at(step)  # type: ignore[no-any-return]

    def segment(self, step: int) -> State:
        self.read.add(segment(step))
        return self.path.segment(step)  # type: ignore[no-any-return]

    def ema(self, decay: float) -> State:
        self.read.add(exponential(decay))
        return self.path.ema(decay)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_read_that_was_not_said_before(name: str, scripted: Callable[..., Any]) -> None:
    """A training writes no more than that, so reading more would be a gap."""
    part, watched = registry.load("averaging", name)(), _Watched(scripted(LOSSES))
    before: set[str] = set()
    for step, _ in part.candidates(watched):
        assert watched.read - before <= part.reads(watched.steps, step)
        before |= watched.read
    assert watched.read <= part.reads(watched.steps)
    assert part.reads(watched.steps) < every(watched.steps)


def test_a_part_that_does_not_say_what_it_reads_gets_everything() -> None:
    class Silent(Averaging):
        def candidates(self, trajectory: Trajectory) -> Iterator[tuple[int, State]]:
            yield trajectory.steps[-1], trajectory.initial()

    assert Silent().reads((2, 4)) == {"000002", "000002-mean", "000004", "000004-mean"} | {
        f"ema-{decay}" for decay in DECAYS
    }


def test_last_is_the_end(scripted: Callable[..., Any]) -> None:
    path = scripted(LOSSES)
    ((step, state),) = registry.load("averaging", "last")().candidates(path)
    assert step == 16
    assert torch.equal(state["w"], path.path[-1]["w"])


def test_best_offers_every_checkpoint(scripted: Callable[..., Any]) -> None:
    path = scripted(LOSSES)
    candidates = dict(registry.load("averaging", "best")().candidates(path))
    assert tuple(candidates) == path.steps
    assert all(torch.equal(candidates[step]["w"], path.at(step)["w"]) for step in path.steps)


@pytest.mark.parametrize(("limit", "steps"), [(1, [16]), (2, [8, 16]), (3, [4, 10, 16]), (8, None), (99, None)])
def test_best_with_a_limit_spaces_its_candidates_evenly(
    limit: int, steps: list[int] | None, scripted: Callable[..., Any]
) -> None:
    path = scripted(LOSSES)
    part = registry.load("averaging", "best")(limit=limit)
    found = [step for step, _ in part.candidates(path)]
    assert found == (list(path.steps) if steps is None else steps)
    assert part.count(len(path.steps)) == len(found)


@pytest.mark.parametrize("decay", DECAYS)
def test_ema_is_the_recorded_average(decay: float, scripted: Callable[..., Any]) -> None:
    path = scripted(LOSSES)
    ((step, state),) = EMA(decay).candidates(path)
    assert step == path.steps[-1]
    assert torch.equal(state["w"], path.ema(decay)["w"])


def test_ema_takes_only_decays_that_trainings_record() -> None:
    with pytest.raises(RecipeError, match=r"decay 0\.95 is not recorded"):
        build_part("averaging", "ema", {"decay": 0.95}, "here")
