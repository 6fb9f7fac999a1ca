"""LoRA and PEGO on networks of every family: exact at the start and when merged, and of the size they should have."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import pytest
import tiny_clip
import torch

from dgbench.algorithms.adapters.full import Full
from dgbench.algorithms.adapters.lora import LoRA
from dgbench.algorithms.adapters.pego import PEGO, non_orthogonality
from dgbench.models.backbones import build
from dgbench.models.effective import effective_state, load_effective
from dgbench.models.low_rank import low_rank_deltas
from dgbench.models.network import Network

BACKBONES = ("timm:test_vit(size=64)", "timm:test_efficientnet(size=64)", "efficientnet-lite0(size=64)", "open_clip")
ADAPTERS = {"lora": LoRA(rank=2, alpha=6), "pego": PEGO(rank=2, groups=3)}
SHAPES = {
    # (out, in) of every matrix that changes
    "timm:test_vit(size=64)": 6 * 2 * [(64, 64)],
    "timm:test_efficientnet(size=64)": [(128, 32), (48, 128), (192, 48), (64, 192)],
    "open_clip": 2 * 2 * [(64, 64)],
}


@pytest.fixture(scope="module", params=BACKBONES)
def name(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_clip.register(tmp_path_factory.mktemp("clip")) if request.param == "open_clip" else request.param


@cache
def _plain(name: str) -> Network:
    torch.manual_seed(0)
    return Network(build(name), classes=3)


def plain(name: str) -> Network:
    """A copy: to build one takes longer than all that is done with it."""
    return copy.deepcopy(_plain(name))


def attached(name: str, adapter: LoRA | PEGO) -> Network:
    network = plain(name)
    torch.manual_seed(1)
    adapter.attach(network, domains=2)
    return network


def moved(name: str, adapter: LoRA | PEGO) -> Network:
    """As after training: every trainable weight is somewhere else."""
    network = attached(name, adapter)
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def images(network: Network) -> torch.Tensor:
    return torch.randn(4, 3, network.info.size, network.info.size, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.parametrize("training", [True, False])
def test_nothing_changes_at_the_start(name: str, kind: str, training: bool) -> None:
    before, network = plain(name).train(training), attached(name, ADAPTERS[kind]).train(training)
    x = images(network)
    with torch.no_grad():
        torch.testing.assert_close(network(x), before(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_merged_weights_in_a_plain_network_give_the_same_function(name: str, kind: str) -> None:
    network, other = moved(name, ADAPTERS[kind]).eval(), plain(name).eval()
    x = images(network)
    state = effective_state(network)
    assert state.keys() == other.state_dict().keys()
    with torch.no_grad():
        assert not torch.allclose(network(x), other(x), atol=1e-3)
        load_effective(other, state)
        torch.testing.assert_close(other(x), network(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_only_factors_and_head_have_gradients(name: str, kind: str) -> None:
    network = moved(name, ADAPTERS[kind])
    (network(images(network)).square().sum() + ADAPTERS[kind].penalty(network)).backward()
    for key, parameter in network.named_parameters():
        learns = key.startswith("head.") or key.endswith((".A", ".B"))
        assert parameter.requires_grad == learns
        assert (parameter.grad is not None and bool(parameter.grad.any())) == learns, key


def test_evaluation_takes_no_path_around_the_changes(tmp_path: Path) -> None:
    """torch's attention has a fast path for inference; it must see the changed weights."""
    name = tiny_clip.register(tmp_path)
    network = moved(name, ADAPTERS["lora"])
    x = images(network)
    learned = network.train()(x)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(x), learned, rtol=0, atol=1e-5)
        assert not torch.allclose(network(x), plain(name).eval()(x), atol=1e-3)


@pytest.mark.parametrize("backbone", SHAPES)
def test_size_is_what_the_shapes_say(backbone: str, tmp_path: Path) -> None:
    name = tiny_clip.register(tmp_path) if backbone == "open_clip" else backbone
    for adapter, terms in ((LoRA(rank=2), 1), (PEGO(rank=2, groups=3), 3)):
        network = attached(name, adapter)
        moving = sum(p.numel() for p in network.parameters() if p.requires_grad)
        head = 3 * (network.info.dim + 1)
        assert moving == head + terms * sum(2 * (rows + columns) for rows, columns in SHAPES[backbone])


def test_pegos_penalty_on_convolutions_is_that_of_their_matrices() -> None:
    adapter = PEGO(rank=2, groups=3, penalty_weight=0.01)
    network = moved("timm:test_efficientnet(size=64)", adapter)
    expected = torch.zeros(())
    for block in (3, 4):
        for layer in ("conv_pw", "conv_pwl"):
            stored = network.get_submodule(f"backbone.blocks.{block}.0.{layer}").parametrizations.weight  # type: ignore[union-attr]
            matrix = stored.original[:, :, 0, 0]  # type: ignore[index, union-attr]
            expected = expected + non_orthogonality(matrix, stored[0].A, stored[0].B)  # type: ignore[index]
    torch.testing.assert_close(adapter.penalty(network), 0.01 * expected)


def test_no_low_rank_adapter_changes_more_than_its_rank() -> None:
    network = moved("timm:test_efficientnet(size=64)", ADAPTERS["pego"])
    state, before = effective_state(network), plain("timm:test_efficientnet(size=64)").state_dict()
    for key in (key for key in state if key.startswith("backbone.blocks") and key.endswith("conv_pw.weight")):
        change = (state[key] - before[key]).flatten(1)
        assert int(torch.linalg.matrix_rank(change, atol=1e-5)) == 2 * 3
    assert len(list(low_rank_deltas(network))) == 4


def test_full_fine_tuning_respects_what_the_name_freezes() -> None:
    network = plain(r"timm:test_efficientnet(freeze=conv_stem|bn1|blocks\.[0-2]\.)")
    Full().attach(network, domains=2)
    frozen = {key for key, parameter in network.named_parameters() if not parameter.requires_grad}
    assert frozen == {
        key
        for key, _ in network.named_parameters()
        if key.startswith(("backbone.conv_stem", "backbone.bn1.", *(f"backbone.blocks.{i}." for i in range(3))))
    }
    assert len(frozen) > 10
