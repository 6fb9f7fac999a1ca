from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from dgbench.algorithms.adapters.soma import SoMA
from dgbench.core.errors import RecipeError
from dgbench.models.backbones import build
from dgbench.models.low_rank import SpectralDelta, low_rank_deltas
from dgbench.models.network import Network


def test_the_least_component_of_a_diagonal_matrix() -> None:
    delta = SpectralDelta(torch.diag(torch.tensor([3.0, 2.0, 1.0])), rank=1)
    torch.testing.assert_close((delta.B @ delta.A)[0], torch.diag(torch.tensor([0.0, 0.0, 1.0])))
    assert torch.equal(delta.change(), torch.zeros(3, 3))


@pytest.mark.parametrize("component", ["minor", "major", "random"])
@pytest.mark.parametrize("rows", [None, (2, 6)])
def test_factors_are_singular_components_of_the_rows(component: str, rows: tuple[int, int] | None) -> None:
    torch.manual_seed(0)
    W = torch.randn(9, 5)
    mine = W[slice(*(rows or (0, 9)))]
    delta = SpectralDelta(W, rank=2, rows=rows, component=component)
    BA, values = (delta.B @ delta.A)[0], torch.linalg.svdvals(mine)
    rest = mine - BA
    torch.testing.assert_close(rest @ delta.A[0].T, torch.zeros(len(mine), 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(rest.T @ delta.B[0], torch.zeros(5, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(delta.A[0] @ delta.A[0].T, delta.B[0].T @ delta.B[0], atol=1e-5, rtol=0)
    expected = {"minor": values[-2:], "major": values[:2]}.get(component)
    if expected is not None:
        torch.testing.assert_close(torch.linalg.svdvals(BA)[:2], expected)
    else:
        assert all((values - value).abs().min() < 1e-5 for value in torch.linalg.svdvals(BA)[:2])


def test_the_rest_stays_and_the_product_moves() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(4, 6)
    W = layer.weight.detach().clone()
    delta = SpectralDelta(layer.weight, rank=2)
    rest = W - (delta.B @ delta.A)[0].detach()
    parametrize.register_parametrization(layer, "weight", delta)
    assert torch.equal(layer.weight, W)
    with torch.no_grad():
        delta.A.normal_()
        delta.B.normal_()
    torch.testing.assert_close(layer.weight, rest + (delta.B @ delta.A)[0])


def test_a_rank_above_the_matrixs_is_all_of_it() -> None:
    delta = SpectralDelta(torch.randn(3, 5), rank=16)
    assert delta.A.shape == (1, 3, 5)


@pytest.mark.parametrize(("start", "blocks"), [(0.0, {0, 1}), (1 / 3, {0, 1}), (0.5, {1}), (0.9, {1})])
def test_every_matrix_and_bias_of_the_later_blocks_and_nothing_else(start: float, blocks: set[int]) -> None:
    network = Network(build("dgbench:vit-micro"), classes=3)
    SoMA(rank=2, start=start).attach(network, domains=2)
    names = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    layers = [
        f"backbone.blocks.{block}.{layer}"
        for block in blocks
        for layer in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    ]
    expected = {"head.weight", "head.bias"} | {f"{layer}.bias" for layer in layers}
    for layer in layers:
        for number in range(3 if layer.endswith("qkv") else 1):
            expected |= {f"{layer}.parametrizations.weight.{number}.{factor}" for factor in "AB"}
    assert names == expected
    assert len(list(low_rank_deltas(network))) == 6 * len(blocks)


def test_frozen_by_name_and_by_share_leaves_nothing() -> None:
    network = Network(build(r"dgbench:vit-micro(freeze=blocks\.1)"), classes=3)
    with pytest.raises(RecipeError, match="its option 'freeze' leaves none"):
        SoMA(start=0.5).attach(network, domains=2)


def test_shapes_are_known_without_weights() -> None:
    with torch.device("meta"):
        network = Network(build("dgbench:vit-micro"), classes=3)
        SoMA(rank=2).attach(network, domains=2)
    assert {delta.A.shape[1] for _, delta in low_rank_deltas(network)} == {2}
