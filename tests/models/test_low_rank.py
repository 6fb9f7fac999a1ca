"""The low-rank parametrisation, on every kind of weight it must fit."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from dgbench.core.errors import RecipeError
from dgbench.models.backbones import build
from dgbench.models.low_rank import LowRankDelta, adapt, low_rank_deltas
from dgbench.models.network import Network

WEIGHTS = {
    "linear": lambda: (nn.Linear(6, 9), "weight", torch.randn(2, 6)),
    "raw parameter": lambda: (nn.MultiheadAttention(6, 2, batch_first=True), "in_proj_weight", torch.randn(2, 4, 6)),
    "convolution": lambda: (nn.Conv2d(3, 8, 3), "weight", torch.randn(2, 3, 5, 5)),
}


def output(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return module(x, x, x)[0] if isinstance(module, nn.MultiheadAttention) else module(x)


def changed(kind: str, *, rows: tuple[int, int] | None = (2, 5), terms: int = 3) -> tuple[nn.Module, str, torch.Tensor]:
    torch.manual_seed(0)
    module, name, x = WEIGHTS[kind]()
    delta = LowRankDelta(getattr(module, name), rank=2, rows=rows, terms=terms, scale=0.5)
    parametrize.register_parametrization(module, name, delta)
    return module, name, x


@pytest.mark.parametrize("kind", WEIGHTS)
def test_nothing_changes_at_the_start(kind: str) -> None:
    torch.manual_seed(0)
    plain, _, x = WEIGHTS[kind]()
    module, _, _ = changed(kind)
    assert torch.equal(output(module, x), output(plain, x))


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("rows", [(2, 5), (0, 3), None])
def test_weight_is_the_original_plus_the_sum_of_products(kind: str, rows: tuple[int, int] | None) -> None:
    module, name, _ = changed(kind, rows=rows)
    stored = getattr(module.parametrizations, name)
    delta, original = stored[0], stored.original
    with torch.no_grad():
        delta.B.normal_()
    expected = original.detach().clone().reshape(len(original), -1)
    start, stop = rows or (0, len(original))
    for n in range(3):
        expected[start:stop] += 0.5 * delta.B[n].detach() @ delta.A[n].detach()
    merged = getattr(module, name)
    torch.testing.assert_close(merged.detach(), expected.view_as(original))
    outside = [row for row in range(len(original)) if not start <= row < stop]
    assert torch.equal(merged[outside], original[outside])


@pytest.mark.parametrize("kind", WEIGHTS)
def test_merging_leaves_a_plain_module_with_the_same_function(kind: str) -> None:
    module, name, x = changed(kind)
    with torch.no_grad():
        getattr(module.parametrizations, name)[0].B.normal_()
    before = output(module, x)
    twin = copy.deepcopy(module)
    assert torch.equal(output(twin, x), before)
    parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    assert module.state_dict().keys() == WEIGHTS[kind]()[0].state_dict().keys()
    assert torch.equal(output(module, x), before)


def test_gradients_reach_the_factors_and_not_a_frozen_weight() -> None:
    layer = nn.Linear(6, 9).requires_grad_(False)
    parametrize.register_parametrization(layer, "weight", LowRankDelta(layer.weight, rank=2))
    layer(torch.randn(4, 6)).sum().backward()
    stored = layer.parametrizations.weight
    assert stored.original.grad is None
    assert stored[0].B.grad.abs().sum() > 0
    assert not stored[0].A.grad.any()  # B is 0 at the start


def test_random_factor_has_the_range_of_a_linear_layer() -> None:
    torch.manual_seed(0)
    A = LowRankDelta(torch.empty(8, 64), rank=16, terms=4).A
    assert A.abs().max() <= 1 / 8
    assert A.std().item() == pytest.approx(1 / 8 / 3**0.5, rel=0.05)


def test_deltas_come_with_the_frozen_rows_they_add_to() -> None:
    network = Network(build("dgbench:vit-micro"), 10)
    weight = network.get_submodule("backbone.blocks.1.attn.qkv").weight.detach().clone()
    adapt(network, ("q", "v"), rank=1)
    found = list(low_rank_deltas(network))
    assert len(found) == 2 * 2
    assert torch.equal(found[2][0], weight[:48])
    assert torch.equal(found[3][0], weight[96:])
    assert [(delta.start, delta.stop) for _, delta in found[2:4]] == [(0, 48), (96, 144)]


def test_a_backbone_without_attention_changes_the_pointwise_pair_of_each_block() -> None:
    network = Network(build("timm:test_efficientnet"), 10)
    adapt(network, ("q", "v"), rank=1)
    changed = [key.rpartition(".parametrizations")[0] for key in network.state_dict() if key.endswith(".0.A")]
    assert changed == [f"backbone.blocks.{block}.0.{name}" for block in (3, 4) for name in ("conv_pw", "conv_pwl")]


def test_a_backbone_without_a_map_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"convnet-small.*no attention and no pairs of 1x1"):
        adapt(Network(build("dgbench:convnet-small"), 10), ("q", "v"), rank=1)


def test_what_the_name_freezes_gets_no_change() -> None:
    network = Network(build(r"dgbench:vit-micro(freeze=blocks\.0\.)"), 10)
    adapt(network, ("q", "v"), rank=1)
    moving = {key for key, parameter in network.backbone.named_parameters() if parameter.requires_grad}
    assert len(moving) == 4
    assert all(key.startswith("blocks.1.") for key in moving)
    with pytest.raises(RecipeError, match="'freeze' leaves none"):
        adapt(Network(build("dgbench:vit-micro(freeze=blocks)"), 10), ("q", "v"), rank=1)


@pytest.mark.gpu
def test_factors_are_the_same_on_every_device() -> None:
    drawn = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        delta = LowRankDelta(torch.empty(4, 6, device=device), rank=2)
        assert delta.A.device.type == delta.B.device.type == device
        drawn.append(delta.A.detach().cpu())
    assert torch.equal(*drawn)
