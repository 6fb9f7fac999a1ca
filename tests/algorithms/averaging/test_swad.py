"""SWAD's valley on scripted losses, and the released code's weights against a simulation of its queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dgbench.algorithms.averaging.swad import SWAD, released_counts, valley_counts
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import build_part

SHALLOW_END = [1, 0.8, 0.6, 0.5, 0.4, 0.3, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36]
FLAT_FROM_THE_START = [0.3, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36, 0.37]
DEAD = [1, 0.9, 0.5, 0.36, 0.35, 0.3, 0.31, 0.32, 0.33, 0.34, 0.35, 0.5, *[0.6] * 6]
FALLING = [5, 4, 3, 2, 1]
SOON_OVER = [1, 0.8, 0.6, 0.5, 0.4, 0.3, 0.31, 0.32]


@pytest.mark.parametrize(
    ("losses", "valley", "released"),
    [
        (SHALLOW_END, [0] * 5 + [1] * 7, [0] * 5 + [2] + [1] * 6),
        (FLAT_FROM_THE_START, [1] * 8, [3, 2, 2, 1, 1, 1, 1, 1]),
        (DEAD, [0] * 5 + [1] * 6 + [0] * 7, [0] * 4 + [1, 2] + [1] * 5 + [0] * 7),
        (FALLING, [0] * 4 + [1], [0] * 4 + [1]),
        (SOON_OVER, [0] * 5 + [1] * 3, [0] * 3 + [1, 1, 2, 1, 1]),
        ([0.5], [1], [1]),
    ],
)
def test_scripted_losses(losses: list[float], valley: list[int], released: list[int]) -> None:
    assert valley_counts(losses, converge=3, tolerance=6, ratio=0.3) == valley
    assert released_counts(losses, converge=3, tolerance=6, ratio=0.3) == released


def test_released_weights_as_shares() -> None:
    shares = [count / 12 for count in released_counts(FLAT_FROM_THE_START, 3, 6, 0.3)]
    assert shares == pytest.approx([0.25, 0.1667, 0.1667] + [0.0833] * 5, abs=1e-4)
    assert sum(released_counts(SHALLOW_END, 3, 6, 0.3)) == sum(released_counts(DEAD, 3, 6, 0.3)) == 8


def test_a_bump_shorter_than_the_tolerance_stays_in_the_valley() -> None:
    losses = [0.3, 0.31, 0.32, 0.9, 0.9, 0.33, 0.9]
    assert valley_counts(losses, converge=3, tolerance=3, ratio=0.3) == [1, 1, 1, 1, 1, 1, 0]
    assert valley_counts(losses, converge=2, tolerance=2, ratio=0.3) == [1, 1, 1, 0, 0, 0, 0]


def simulate(losses: list[float], converge: int, tolerance: int, ratio: float) -> list[int]:
    """The released bookkeeping, replayed checkpoint by checkpoint with its two queues."""
    recent: deque[int] = deque(maxlen=converge)
    queue: deque[int] = deque(maxlen=tolerance)
    taken: list[int] = []
    start, threshold, dead = -1, 0.0, False

    def smooth() -> float:
        return min(losses[segment] for segment in queue)

    for segment in range(len(losses)):
        recent.append(segment)
        queue.append(segment)
        if start < 0:
            window = [losses[s] for s in recent]
            if len(recent) == converge and window.index(min(window)) == 0:
                start = recent[0]
                threshold = (1 + ratio) * sum(window) / converge
                if tolerance > converge:
                    reach = list(queue)[: tolerance - converge + 1]
                    begin = 0
                    for place in reversed(range(len(reach))):
                        if losses[reach[place]] > threshold:
                            begin = place + 1
                            break
                    taken += reach[begin + 1 :]
        elif queue[0] >= start and not dead:
            dead = smooth() > threshold
            if not dead:
                taken.append(queue[0])
    if start < 0:
        taken = [len(losses) - 1]
    elif not dead:
        queue.popleft()
        while queue and smooth() <= threshold:
            taken.append(queue.popleft())
    if not taken:
        taken = [start]
    return [taken.count(segment) for segment in range(len(losses))]


SEQUENCES = st.lists(st.integers(1, 12).map(lambda tenth: tenth / 10), min_size=1, max_size=25)


@given(SEQUENCES, st.integers(1, 4), st.integers(0, 4), st.sampled_from([0.0, 0.3, 1.2]))
def test_released_weights_equal_a_replay(losses: list[float], converge: int, more: int, ratio: float) -> None:
    tolerance = converge + more
    assert released_counts(losses, converge, tolerance, ratio) == simulate(losses, converge, tolerance, ratio)


@given(SEQUENCES, st.integers(1, 4), st.integers(0, 4), st.sampled_from([0.0, 0.3, 1.2]))
def test_valley_is_one_stretch_that_opens_low_and_closes_low(
    losses: list[float], converge: int, more: int, ratio: float
) -> None:
    counts = valley_counts(losses, converge, converge + more, ratio)
    inside = [segment for segment, count in enumerate(counts) if count]
    assert set(counts) <= {0, 1}
    assert inside == list(range(inside[0], inside[-1] + 1))
    window = losses[inside[0] : inside[0] + converge]
    if len(window) == converge:
        assert window[0] == min(window)
        threshold = (1 + ratio) * sum(window) / converge
        assert losses[inside[-1]] <= threshold or inside == [inside[0]]
        assert all(loss > threshold for loss in losses[inside[-1] + 1 :][: converge + more])


@pytest.mark.parametrize("legacy", [False, True])
def test_result_is_the_weighted_mean_of_segment_means(legacy: bool, scripted: Callable[..., Any]) -> None:
    path = scripted(DEAD)
    ((step, state),) = SWAD(legacy_double_count=legacy).candidates(path)
    shares = {5: 2, 6: 1, 7: 1, 8: 1, 9: 1, 10: 1, 4: 1} if legacy else dict.fromkeys(range(5, 11), 1)
    expected = sum(n * path.segment(path.steps[s])["w"] for s, n in shares.items()) / sum(shares.values())
    torch.testing.assert_close(state["w"], expected)
    assert step == path.steps[10]


def test_with_one_segment_it_is_the_mean_of_all_steps(scripted: Callable[..., Any]) -> None:
    path = scripted([0.4], every=7)
    ((_, state),) = SWAD().candidates(path)
    torch.testing.assert_close(state["w"], torch.stack([s["w"] for s in path.path]).mean(0))


def test_tolerance_below_converge_is_refused() -> None:
    with pytest.raises(RecipeError, match="at least converge"):
        build_part("averaging", "swad", {"converge": 3, "tolerance": 2}, "here")
