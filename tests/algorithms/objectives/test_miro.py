"""MIRO on backbones with blocks and without; where it looks into them."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from dgbench.algorithms.adapters.lora import LoRA
from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.miro import MIRO
from dgbench.algorithms.step import Batch, Closure, Forward
from dgbench.models.backbones import bare, build
from dgbench.models.levels import levels
from dgbench.models.network import Network


def _attached(objective: MIRO, name: str = "dgbench:vit-micro") -> Network:
    torch.manual_seed(0)
    network = Network(build(name), 3)
    objective.attach(network, [9])
    return network.train()


def _pass(network: Network, objective: MIRO) -> Forward:
    size = network.info.size
    x = torch.randn(6, 3, size, size, generator=torch.Generator().manual_seed(3))
    batch = Batch(x, torch.arange(6) % 3, torch.zeros(6).long(), torch.arange(6))
    return Closure(network, objective.loss, batch, step=0, steps=1, domains=1).forward()


@pytest.mark.parametrize(("name", "inside"), [("dgbench:vit-micro", 2), ("dgbench:convnet-small", 0)])
def test_at_the_start_every_level_has_half_the_logarithm_of_its_variance(name: str, inside: int) -> None:
    objective = MIRO(penalty_weight=1)
    forward = _pass(_attached(objective, name), objective)
    assert len(forward.inner) == inside
    penalty = objective.loss(forward) - CrossEntropy().loss(forward)
    assert penalty.item() == pytest.approx((inside + 1) * 0.5 * math.log(0.1), abs=1e-5)


@pytest.mark.parametrize("name", ["dgbench:vit-micro", "timm:test_resnet(size=32)"])
def test_it_is_the_sum_over_levels_with_a_variance_for_each_channel(name: str) -> None:
    """Networks of tokens and of maps, after a change of the weights."""
    objective = MIRO(penalty_weight=0.7)
    network = _attached(objective, name)
    before = network.auxiliary.get_submodule("oracle")
    with torch.no_grad():
        for parameter in network.backbone.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for raw in network.auxiliary.get_submodule("variances").parameters():
            raw.add_(torch.randn_like(raw))
    forward = _pass(network, objective)
    then, inner = before.eval().looked_into(forward.batch.x)
    total = torch.zeros(())
    variances = [F.softplus(raw) + 1e-5 for raw in network.auxiliary.get_submodule("variances").parameters()]
    for now, past, variance in zip((*forward.inner, forward.features), (*inner, then), variances, strict=True):
        shape = [1, -1, 1, 1] if now.ndim == 4 else [-1]
        likelihood = (now - past) ** 2 / variance.view(shape) + variance.view(shape).log().expand_as(now)
        total = total + likelihood.mean() / 2
    torch.testing.assert_close(objective.loss(forward), CrossEntropy().loss(forward) + 0.7 * total)
    torch.testing.assert_close(objective.auxiliary_loss(forward.detached()), total)


def test_the_frozen_network_stays_and_gradients_reach_the_blocks() -> None:
    objective = MIRO(penalty_weight=1)
    network = _attached(objective)
    with torch.no_grad():
        network.backbone.get_parameter("blocks.0.mlp.fc2.weight").add_(0.1)
    penalty = objective.auxiliary_loss(_pass(network, objective))
    penalty.backward()
    oracle = network.auxiliary.get_submodule("oracle")
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in oracle.parameters())
    assert network.backbone.get_parameter("blocks.0.mlp.fc2.weight").grad.abs().sum() > 0


def test_low_rank_changes_start_from_the_frozen_network() -> None:
    objective = MIRO(penalty_weight=1)
    torch.manual_seed(0)
    network = Network(build("dgbench:vit-micro"), 3)
    LoRA().attach(network, 1)
    objective.attach(network, [9])
    forward = _pass(network, objective)
    assert objective.auxiliary_loss(forward).item() == pytest.approx(1.5 * math.log(0.1), abs=1e-5)
    assert not any(parameter.requires_grad for parameter in network.auxiliary.get_submodule("oracle").parameters())


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("dgbench:vit-micro", ["blocks.0", "blocks.1"]),
        ("timm:resnet50", ["layer2.0", "layer3.0", "layer3.4", "layer4.2"]),
        ("timm:vit_base_patch16_224", ["blocks.2", "blocks.5", "blocks.8", "blocks.11"]),
        ("dgbench:convnet-small", []),
    ],
)
def test_levels_are_blocks_evenly_spaced(name: str, modules: list[str]) -> None:
    with torch.device("meta"):
        backbone = bare(name)
    found = levels(backbone, backbone.module, most=4)
    assert [level.module for level in found] == modules
