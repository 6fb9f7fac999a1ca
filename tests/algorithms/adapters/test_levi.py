"""LEVI: a frozen backbone joined with a small network, against the formula, layer by layer."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_clip
import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.algorithms.adapters.levi import LEVI
from dgbench.algorithms.objectives.levi import LEVILoss
from dgbench.algorithms.step import Batch, Forward
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import compose, resolve
from dgbench.models.backbones import build
from dgbench.models.effective import effective_state, load_effective
from dgbench.models.network import Network
from dgbench.models.norms import by_batch
from dgbench.models.side import members
from small import small_board

ADAPTER = LEVI(blocks=2, width=5)
BACKBONES = {
    "dgbench:vit-micro": 3,
    "timm:test_efficientnet(size=32)": 3,
    "dgbench:convnet-small": 1,  # no blocks are known: the features alone
    "open_clip": 3,
}


def plain(name: str = "dgbench:vit-micro") -> Network:
    torch.manual_seed(0)
    return Network(build(name), classes=4).eval()


def attached(name: str = "dgbench:vit-micro", adapter: LEVI = ADAPTER) -> Network:
    network = plain(name)
    torch.manual_seed(1)
    adapter.attach(network, domains=3)
    return network


def images(network: Network) -> Tensor:
    return torch.randn(6, 3, network.info.size, network.info.size, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", BACKBONES)
def test_each_head_is_that_of_the_formula_and_the_prediction_their_mean(name: str, tmp_path: Path) -> None:
    name = tiny_clip.register(tmp_path) if name == "open_clip" else name
    network = attached(name)
    side, x = network.side, images(network)
    assert side is not None
    given: dict[str, Tensor] = {}
    for level in side.levels:
        block = network.backbone.get_submodule(level.module)
        block.register_forward_hook(lambda module, x, made, key=level.module: given.__setitem__(key, made))
    with torch.no_grad():
        features = network.backbone(x)
        z = side.small(x)
        seen = [given[level.module] for level in side.levels]
        h = [s.mean((2, 3)) if s.ndim == 4 else s.mean(1) for s in seen] + [features]
        assert all(len(each) == len(x) for each in h)
        bare = [
            (each - each.mean(1, keepdim=True)) / (each.var(1, correction=0, keepdim=True) + 1e-5).sqrt() for each in h
        ]
        a = [F.gelu(join(torch.cat([each, z], 1))) for join, each in zip(side.joins, bare, strict=True)]
        weight = len(a) * network.head.weight
        expected = [F.linear(each, weight[:, 5 * k : 5 * k + 5], network.head.bias) for k, each in enumerate(a)]
        torch.testing.assert_close(members(network, network.features(x)), torch.stack(expected, 1))
        torch.testing.assert_close(network(x), torch.stack(expected).mean(0))


@pytest.mark.parametrize(("name", "count"), [(n, c) for n, c in BACKBONES.items() if n != "open_clip"])
def test_as_many_heads_as_blocks_and_the_features(name: str, count: int) -> None:
    network = attached(name)
    assert network.side is not None
    assert len(network.side.joins) == count
    assert network.info.dim == network.head.in_features == 5 * count


def test_heads_start_as_linear_layers_on_their_own_features() -> None:
    network = attached(adapter=LEVI(blocks=2, width=400))
    weight = 3 * network.head.weight
    assert weight.abs().max().item() == pytest.approx(1 / 400**0.5, rel=0.01)


def test_the_backbone_learns_nothing_and_all_else_does() -> None:
    network = attached()
    network(images(network)).square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.requires_grad == (not key.startswith("backbone.")), key
        assert (parameter.grad is not None and bool(parameter.grad.any())) == parameter.requires_grad, key
    assert by_batch(network.side) == [], "nor are there statistics that move"


def test_without_the_small_network_it_is_a_probe_of_the_features() -> None:
    network = attached("dgbench:convnet-small")
    side, x = network.side, images(network)
    assert side is not None
    with torch.no_grad():
        side.joins[0].weight[:, network.backbone(x).shape[1] :] = 0  # type: ignore[index]
        before = network(x)
        for parameter in side.small.parameters():
            parameter.add_(1.0)
    torch.testing.assert_close(network(x), before)


def forward(network: Network, y: Tensor) -> Forward:
    x, zero = images(network), torch.zeros_like(y)
    features = network.features(x)
    batch = Batch(x, y, zero, torch.arange(len(y)), sizes=(len(y),))
    return Forward(network, batch, features, network.head(features), 0, 1, domains=1)


def test_the_loss_is_the_mean_of_the_heads_own() -> None:
    network, y = attached(), torch.tensor([0, 1, 2, 3, 0, 1])
    passed = forward(network, y)
    scores = members(network, passed.features)
    own = torch.stack([F.cross_entropy(scores[:, k], y) for k in range(3)])
    loss = LEVILoss().loss(passed)
    torch.testing.assert_close(loss, own.mean())
    assert loss > passed.cross_entropy.mean(), "that of a mean is no more than the mean of losses"


def test_a_plain_network_takes_what_was_learnt() -> None:
    network, other = attached(), plain()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    load_effective(other, effective_state(network))
    x = images(network)
    assert torch.equal(other(x), network(x))
    assert other.info.dim == network.info.dim
    again = attached()
    again.load_state_dict(network.state_dict())
    assert torch.equal(again(x), network(x))


def test_there_is_no_head_to_interpolate_from() -> None:
    board = small_board("erm")
    wise = board.defaults.model_copy(update={"averaging": compose("wise_ft").slots["averaging"]})
    with pytest.raises(RecipeError, match="needs reference head"):
        resolve(compose("levi"), board.model_copy(update={"defaults": wise}))
