"""WiSE-FT by layers: which share each layer gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from dgbench.algorithms.averaging.wise_ft import WiSEFT
from dgbench.algorithms.averaging.wise_ft_layers import WiSEFTLayers
from dgbench.core.cards import board_card
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import compose, resolve
from dgbench.models.backbones import build
from dgbench.models.layers import blocks, layers
from dgbench.models.network import Network

NAMES = ["backbone.stem.weight", "backbone.blocks.0.a.weight", "backbone.blocks.0.b.bias", "backbone.blocks.1.a.weight"]
NAMES += ["backbone.blocks.1.a.seen", "backbone.norm.weight", "head.weight", "head.bias"]
PLACES = [0, 1, 1, 2, 2, 3, 4, 4]


@pytest.fixture
def path(scripted: Callable[..., Any]) -> Any:
    """Every weight goes from 0 to 1; a counter from 0 to 41."""
    path = scripted([1.0], every=1)
    path.start.clear()
    path.start.update({name: torch.zeros(2) for name in NAMES} | {NAMES[4]: torch.tensor(0)})
    path.path[0] = {name: torch.ones(2) for name in NAMES} | {NAMES[4]: torch.tensor(41)}
    return path


def merged(part: Any, path: Any) -> dict[str, torch.Tensor]:
    ((step, state),) = part.candidates(path)
    assert step == path.steps[-1]
    assert list(state) == NAMES
    return state


@pytest.mark.parametrize(("first", "last"), [(0.25, 0.75), (1.0, 0.0), (0.0, 1.0)])
def test_shares_rise_evenly_from_the_first_layer_to_the_head(first: float, last: float, path: Any) -> None:
    state = merged(WiSEFTLayers(first, last), path)
    for name, place in zip(NAMES, PLACES, strict=True):
        share = 41 if name.endswith("seen") else first + (last - first) * place / 4
        assert state[name].unique().tolist() == pytest.approx([share])
    assert state[NAMES[4]].dtype == torch.int64


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_equal_ends_are_wise_ft(alpha: float, scripted: Callable[..., Any]) -> None:
    path = scripted([1.0, 0.5])
    ((_, mine),), ((_, plain),) = WiSEFTLayers(alpha, alpha).candidates(path), WiSEFT(alpha).candidates(path)
    assert torch.equal(mine["w"], plain["w"])


def test_layers_of_a_network_are_its_blocks_and_what_is_around_them() -> None:
    names = list(Network(build("dgbench:vit-micro"), 3).state_dict())
    assert layers(names)[-4:] == ["backbone.blocks.0", "backbone.blocks.1", "backbone.fc_norm", "head"]
    assert blocks(names)[-2:] == ["backbone.blocks.0", "backbone.blocks.1"]
    assert all("patch_embed" in layer for layer in layers(names)[1:-4])


def test_it_needs_initial_weights_that_classify() -> None:
    with pytest.raises(RecipeError, match="head='linear_probe'"):
        resolve(compose("wise_ft_layers(head=random)"), board_card("quick"))
