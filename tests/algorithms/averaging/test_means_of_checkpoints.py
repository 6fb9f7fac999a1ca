"""SWA and LAWA: which checkpoints count, and that all that do count alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from dgbench.algorithms.averaging.lawa import LAWA
from dgbench.algorithms.averaging.swa import SWA
from dgbench.core.pieces import checkpoint


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
