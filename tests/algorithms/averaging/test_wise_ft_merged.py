"""WiSE-FT weight by weight and with sparse layers, against formulas, limits and barriers in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from dgbench.algorithms.averaging.merging import Validated
from dgbench.algorithms.averaging.wise_ft import WiSEFT
from dgbench.algorithms.averaging.wise_ft_fisher import WiSEFTFisher
from dgbench.algorithms.averaging.wise_ft_sparse import WiSEFTSparse
from dgbench.algorithms.slots import State

NAMES = ["blocks.0.weight", "blocks.1.weight", "blocks.1.running_mean", "head.weight"]


@dataclass
class Ends:
    """One training, a loss of weights, and gradients by end."""

    trajectories: list[Any]
    loss: Callable[[State], float] = lambda state: 0.0
    slopes: list[State] = field(default_factory=list)

    def validated(self, state: State) -> Validated:
        return Validated(0.5, self.loss(state))

    def squared_gradients(self, state: State, images: int) -> State:
        return self.slopes.pop(0)

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(7)


@pytest.fixture
def ends(scripted: Callable[..., Any]) -> Ends:
    """From weights around -1 to weights around 1, and a counter."""
    path = scripted([1.0], every=1)
    draw = torch.Generator().manual_seed(1)
    for state, middle in ((path.start, -1.0), (path.path[0], 1.0)):
        state.clear()
        state.update({name: middle + 0.01 * torch.randn(200, 3, generator=draw) for name in NAMES})
        state["count"] = torch.tensor(int(middle))
    return Ends([path])


def plain(ends: Ends, alpha: float) -> State:
    ((_, state),) = WiSEFT(alpha).candidates(ends.trajectories[0])
    return state


def same(one: State, other: State) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name])


def randoms(seed: int) -> State:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.rand(200, 3, generator=draw) for name in NAMES if "running" not in name}


def test_information_weighs_each_weight_at_each_end(ends: Ends) -> None:
    first, last = randoms(2), randoms(3)
    first["head.weight"][0] = 0.0
    last["head.weight"][0] = 0.0
    ends.slopes = [first, last]
    made = WiSEFTFisher(alpha=0.3).merge(ends)
    before, after = ends.trajectories[0].start, ends.trajectories[0].path[0]
    for name in first:
        f, g = first[name].double().clamp(min=1e-8), last[name].double().clamp(min=1e-8)
        expected = (0.7 * f * before[name] + 0.3 * g * after[name]) / (0.7 * f + 0.3 * g)
        torch.testing.assert_close(made[name].double(), expected, rtol=1e-5, atol=1e-6)
    wise = plain(ends, 0.3)
    torch.testing.assert_close(made["blocks.1.running_mean"], wise["blocks.1.running_mean"])
    torch.testing.assert_close(made["head.weight"][0], wise["head.weight"][0])
    assert torch.equal(made["count"], after["count"])


def test_equal_information_is_wise_ft(ends: Ends) -> None:
    ends.slopes = [randoms(2), randoms(2)]
    same(WiSEFTFisher(alpha=0.4).merge(ends), plain(ends, 0.4))


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_ends_come_out_exactly(alpha: float, ends: Ends) -> None:
    ends.slopes = [randoms(2), randoms(3)]
    path = ends.trajectories[0]
    made = WiSEFTFisher(alpha=alpha).merge(ends)
    assert all(torch.equal(made[name], (path.path[0] if alpha else path.start)[name]) for name in NAMES)


def curved(bends: dict[str, float]) -> Callable[[State], float]:
    """Between -1 and 1 each layer's mean weight w adds bend w^2 / 2."""
    return lambda state: sum(bend * float(state[name].double().mean()) ** 2 / 2 for name, bend in bends.items())


def test_barriers_are_those_of_parabolas(ends: Ends) -> None:
    ends.loss = curved({"blocks.0.weight": 1.0, "blocks.1.weight": -1.0, "head.weight": -0.2})
    path = ends.trajectories[0]
    found = WiSEFTSparse().barriers(ends, path.start, path.path[0])
    assert found == pytest.approx({"blocks.0": 0.0, "blocks.1": 0.5, "head": 0.1, "": 0.0}, abs=1e-3)
    three = WiSEFTSparse(points=2).barriers(ends, path.start, path.path[0])
    assert three["blocks.1"] == pytest.approx(0.5 * (1 - 1 / 9), abs=1e-3)


def test_stragglers_lose_their_share_of_the_change_and_others_nothing(ends: Ends) -> None:
    ends.loss = curved({"blocks.0.weight": 1.0, "blocks.1.weight": -1.0, "head.weight": -0.2})
    wise, before = plain(ends, 0.5), ends.trajectories[0].start
    made = WiSEFTSparse(sparsity=0.7, stragglers=1).merge(ends)
    dropped = made["blocks.1.weight"] == before["blocks.1.weight"]
    assert 0.65 < float(dropped.float().mean()) < 0.75
    assert torch.equal(made["blocks.1.weight"][~dropped], wise["blocks.1.weight"][~dropped])
    same(
        {name: made[name] for name in made if name != "blocks.1.weight"},
        {n: wise[n] for n in wise if n != "blocks.1.weight"},
    )
    again = WiSEFTSparse(sparsity=0.7, stragglers=1).merge(ends)
    assert torch.equal(made["blocks.1.weight"], again["blocks.1.weight"])


@pytest.mark.parametrize(
    ("sparsity", "stragglers", "at_start"), [(0.0, 2, set()), (1.0, 1, {"blocks.1"}), (1.0, 9, {"blocks.1", "head"})]
)
def test_limits(sparsity: float, stragglers: int, at_start: set[str], ends: Ends) -> None:
    ends.loss = curved({"blocks.0.weight": 1.0, "blocks.1.weight": -1.0, "head.weight": -0.2})
    wise: dict[str, Tensor] = plain(ends, 0.5)
    start = ends.trajectories[0].start
    made = WiSEFTSparse(sparsity=sparsity, stragglers=stragglers).merge(ends)
    for name in ("blocks.0.weight", "blocks.1.weight", "head.weight"):
        assert torch.equal(made[name], (start if name.rpartition(".")[0] in at_start else wise)[name])
    assert torch.equal(made["blocks.1.running_mean"], wise["blocks.1.running_mean"])
