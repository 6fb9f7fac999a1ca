"""SWA, LAWA and SMA: which checkpoints, or steps, count, and that all that do count alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from dgbench.algorithms.averaging.lawa import LAWA
from dgbench.algorithms.averaging.sma import SMA
from dgbench.algorithms.averaging.swa import SWA
from dgbench.core.pieces import checkpoint, segment


@pytest.mark.parametrize(
    ("part", "taken"),
    [
        (SWA(), [14, 16]),
        (SWA(start=0.5), [10, 12, 14, 16]),
        (SWA(start=0.0), [2, 4, 6, 8, 10, 12, 14, 16]),
        (SWA(start=1.0), [16]),
        (LAWA(latest=1), [16]),
        (LAWA(latest=3), [12, 14, 16]),
        (LAWA(latest=99), [2, 4, 6, 8, 10, 12, 14, 16]),
    ],
)
def test_the_mean_of_these_checkpoints(part: Any, taken: list[int], scripted: Callable[..., Any]) -> None:
    path = scripted([0.5] * 8)
    ((step, state),) = part.candidates(path)
    assert step == 16
    torch.testing.assert_close(state["w"], torch.stack([path.path[at - 1]["w"] for at in taken]).mean(0))
    assert part.reads(path.steps) == set(map(checkpoint, taken))
    assert part.recomputes()


@pytest.mark.parametrize(
    ("start", "first"), [(0.0, 1), (0.02, 3), (0.12, 3), (0.125, 3), (0.13, 5), (0.75, 13), (0.9, 15), (1.0, 15)]
)
def test_the_mean_of_all_steps_from_a_checkpoint_on(start: float, first: int, scripted: Callable[..., Any]) -> None:
    path, part = scripted([0.5] * 8), SMA(start=start)
    ((step, state),) = part.candidates(path)
    assert step == 16
    torch.testing.assert_close(state["w"], torch.stack([one["w"] for one in path.path[first - 1 :]]).mean(0))
    assert part.reads(path.steps) == {segment(end) for end in range(first + 1, 17, 2)}


def test_segments_count_by_their_steps_and_the_mean_is_the_one_that_runs_along(scripted: Callable[..., Any]) -> None:
    """Three steps and then one: in ERM++ each step moves the mean by one over the number of steps so far."""
    path = scripted([0.5] * 2)

    class Uneven:
        steps = (3, 4)
        segment = staticmethod({3: {"w": torch.full((3, 2), 2.0)}, 4: path.path[3]}.__getitem__)

    running, count = torch.zeros(3, 2), 0
    for state in (*[torch.full((3, 2), value) for value in (1.0, 2.0, 3.0)], path.path[3]["w"]):
        running, count = (running * count + state) / (count + 1), count + 1
    ((_, state),) = SMA(start=0.0).candidates(Uneven())  # type: ignore[arg-type]
    torch.testing.assert_close(state["w"], running)


@pytest.mark.parametrize("hundredths", range(100))
def test_a_checkpoint_at_the_very_start_counts(hundredths: int) -> None:
    """Of 5,000 steps .07 are 350, and a bit more as a product of floats."""
    assert min(SMA(start=hundredths / 100).taken(range(50, 5001, 50))) == 50 * hundredths + 50
