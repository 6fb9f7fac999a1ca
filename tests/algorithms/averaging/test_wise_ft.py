"""WiSE-FT: endpoints, linear models, low-rank changes, and BANG as a composition with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from dgbench.algorithms.averaging.wise_ft import WiSEFT
from dgbench.core.cards import board_card
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import compose, resolve
from dgbench.models.effective import effective_state
from dgbench.models.low_rank import LowRankDelta
from dgbench.models.network import Backbone, Network


def merged(alpha: float, path: Any) -> dict[str, torch.Tensor]:
    ((step, state),) = WiSEFT(alpha).candidates(path)
    assert step == path.steps[-1]
    return state


def test_ends_are_bit_for_bit(scripted: Callable[..., Any]) -> None:
    path = scripted([1.0, 0.5])
    assert torch.equal(merged(0, path)["w"], path.start["w"])
    assert torch.equal(merged(1, path)["w"], path.path[-1]["w"])


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.7])
def test_between_the_ends(alpha: float, scripted: Callable[..., Any]) -> None:
    path = scripted([1.0, 0.5])
    expected = (1 - alpha) * path.start["w"] + alpha * path.path[-1]["w"]
    torch.testing.assert_close(merged(alpha, path)["w"], expected)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_what_did_not_move_stays_exactly(alpha: float, scripted: Callable[..., Any]) -> None:
    path = scripted([1.0, 0.5])
    path.path[-1] = path.start
    assert torch.equal(merged(alpha, path)["w"], path.start["w"])


def test_on_a_linear_model_it_is_the_ensemble_of_logits(scripted: Callable[..., Any]) -> None:
    path = scripted([1.0, 0.5])
    x = torch.randn(5, 2)
    before, after = x @ path.start["w"].T, x @ path.path[-1]["w"].T
    torch.testing.assert_close(x @ merged(0.3, path)["w"].T, 0.7 * before + 0.3 * after)


def test_counters_keep_their_type_and_come_from_the_end(scripted: Callable[..., Any]) -> None:
    path = scripted([1.0, 0.5])
    path.start["batches"], path.path[-1]["batches"] = torch.tensor(0), torch.tensor(41)
    state = merged(0.5, path)
    assert state["batches"].dtype == torch.int64
    assert state["batches"].item() == 41


def test_states_of_different_networks_are_refused(scripted: Callable[..., Any]) -> None:
    path = scripted([1.0, 0.5])
    path.path[-1]["extra"] = torch.ones(1)
    with pytest.raises(ValueError, match="extra"):
        merged(0.5, path)


def test_on_low_rank_changes_it_scales_the_change(scripted: Callable[..., Any]) -> None:
    """W0 = 1, A from 1 to 3, B from 0 to 2: halfway is 1 + 6/2 = 4, where halfway factors would give 1 + 2 * 1 = 3."""
    layer = nn.Linear(1, 1, bias=False)
    network = Network(Backbone("one", nn.Sequential(layer), 1, 1, (0, 0, 0), (1, 1, 1)), classes=2)
    delta = LowRankDelta(layer.weight, rank=1)
    with torch.no_grad():
        layer.weight.fill_(1)
        delta.A.fill_(1)
    parametrize.register_parametrization(layer, "weight", delta)
    start = effective_state(network)
    with torch.no_grad():
        delta.A.fill_(3)
        delta.B.fill_(2)
    path = scripted([1.0], every=1)
    path.start.clear()
    path.start.update(start)
    path.path[0] = effective_state(network)
    assert merged(0.5, path)["backbone.0.weight"].item() == 4


def test_it_needs_initial_weights_that_classify() -> None:
    board = board_card("quick")
    with pytest.raises(RecipeError, match="head='linear_probe'"):
        resolve(compose("wise_ft(head=random)"), board)
    assert resolve(compose("wise_ft"), board).parts["averaging"] == WiSEFT()


def test_bang_without_its_strengths_is_wise_ft() -> None:
    """One training serves both, so the results are the same bits."""
    board = board_card("quick")
    bang = resolve(compose("bang(mixup=0.0, label_smoothing=0.0)"), board)
    assert bang.specs == resolve(compose("wise_ft"), board).specs
    assert resolve(compose("bang"), board).specs["averaging"] == bang.specs["averaging"]
    assert resolve(compose("bang"), board).specs["objective"] != bang.specs["objective"]
