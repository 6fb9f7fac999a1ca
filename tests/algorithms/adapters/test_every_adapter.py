"""What holds for every adapter in the registry, on a small vision transformer."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch
from torch import nn

from dgbench.algorithms.adapters.divdis import DivDisHeads, heads_of, logits_of_heads
from dgbench.algorithms.slots import Adapter
from dgbench.core import registry
from dgbench.models.backbones import build
from dgbench.models.effective import effective_state, load_effective
from dgbench.models.network import Network

NAMES = sorted(
    name
    for name in registry.BUILT_IN["adapter"]
    if not {"text_head", "side"} & registry.load("adapter", name)().provides()
)
"""Heads that stay made of texts, and one on other features, have tests of their own: ``test_texts``, ``test_levi``."""
TRAINED = [name for name in NAMES if registry.load("adapter", name).takes_steps]
FACTORS = {
    f"backbone.blocks.{block}.attn.qkv.parametrizations.weight.{target}.{factor}"
    for block in range(2)
    for target in (0, 1)
    for factor in "AB"
}
HEAD = {"head.weight", "head.bias"}


@cache
def _plain() -> Network:
    torch.manual_seed(0)
    return Network(build("dgbench:vit-micro"), classes=10)


def plain() -> Network:
    return copy.deepcopy(_plain())


def attached(name: str) -> tuple[Adapter, Network]:
    network = plain()
    adapter = registry.load("adapter", name)()
    torch.default_generator.manual_seed(1)
    adapter.attach(network, domains=3)
    return adapter, network


def moved(name: str) -> Network:
    """As after a few steps: everything trainable is somewhere else."""
    _, network = attached(name)
    torch.default_generator.manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", NAMES)
def test_the_function_is_unchanged_at_the_start(name: str, images: torch.Tensor) -> None:
    before, (_, network) = plain(), attached(name)
    assert torch.equal(network(images), before(images))


@pytest.mark.parametrize("name", NAMES)
def test_effective_weights_are_unchanged_at_the_start(name: str) -> None:
    before, (_, network) = plain().state_dict(), attached(name)
    state = effective_state(network)
    assert all(torch.equal(state[key], value) for key, value in before.items())
    assert {key.partition(".")[0] for key in state.keys() - before.keys()} <= {"domain_heads"}


@pytest.mark.parametrize("name", NAMES)
def test_attaching_depends_on_the_seed_alone(name: str) -> None:
    first, second = attached(name)[1].state_dict(), attached(name)[1].state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], value) for key, value in second.items())


@pytest.mark.parametrize("name", TRAINED)
def test_merged_weights_in_a_plain_network_give_the_same_function(name: str, images: torch.Tensor) -> None:
    network, other = moved(name), plain()
    assert not torch.equal(network(images), other(images))
    state = effective_state(network)
    load_effective(other, state)
    torch.testing.assert_close(other(images), network(images), rtol=0, atol=1e-5)
    again = effective_state(other)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], value) for key, value in state.items())


@pytest.mark.parametrize("name", TRAINED)
def test_raw_weights_go_into_a_network_with_the_adapter(name: str, images: torch.Tensor) -> None:
    network, (_, other) = moved(name), attached(name)
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(images), network(images))


@pytest.mark.parametrize("name", TRAINED)
def test_a_step_changes_what_is_trainable_and_nothing_else(name: str, images: torch.Tensor) -> None:
    adapter, network = attached(name)
    raw = {key: value.clone() for key, value in network.state_dict().items()}
    trainable = {key for key, parameter in network.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):  # a factor that multiplies 0 moves on the second step
        features = network.features(images)
        loss = network.head(features).square().sum() + adapter.penalty(network)
        if network.domain_heads is not None:
            loss = loss + (network.domain_logits(features) - 1).square().sum()  # MTL's start at 0
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, raw[key])}
    assert changed == trainable


@pytest.mark.parametrize("name", sorted({*NAMES} - {*TRAINED}))
def test_where_no_step_is_taken_nothing_is_trainable(name: str) -> None:
    adapter, network = attached(name)
    assert adapter.freezes_backbone()
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("linear_probe", HEAD), ("lora", FACTORS | HEAD), ("pego", FACTORS | HEAD)],
)
def test_frozen_backbones_train_exactly_these(name: str, expected: set[str]) -> None:
    _, network = attached(name)
    assert {key for key, parameter in network.named_parameters() if parameter.requires_grad} == expected


@pytest.mark.parametrize("name", ["full", "domain_heads"])
def test_full_fine_tuning_freezes_nothing_even_what_came_frozen(name: str) -> None:
    network = plain()
    network.backbone.requires_grad_(False)
    registry.load("adapter", name)().attach(network, domains=3)
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_penalty_is_a_scalar_and_zero_at_the_start(name: str) -> None:
    adapter, network = attached(name)
    assert adapter.penalty(network).shape == ()
    assert adapter.penalty(network).item() == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_that_changes_matrices_says_so(name: str) -> None:
    adapter, network = attached(name)
    assert ("low_rank" in adapter.needs()) == any("parametrizations" in key for key in network.state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_that_adds_domain_heads_says_so(name: str, images: torch.Tensor) -> None:
    adapter, network = attached(name)
    assert bool({"domain_heads", "rfc_heads", "divdis_heads", "mean_head"} & adapter.provides()) == (
        network.domain_heads is not None
    )
    if network.domain_heads is not None:
        heads = {"divdis": 1, "mtl": 1}.get(name, getattr(adapter, "heads", 3))  # the shared one is DivDis's first
        assert network.domain_logits(network.features(images)).shape == (4, heads, 10)


@pytest.mark.parametrize("name", TRAINED)
def test_heads_start_random_unless_told_otherwise(name: str) -> None:
    adapter = registry.load("adapter", name)()
    assert adapter.initial_head() == "random"
    assert ("reference_head" in adapter.provides()) == (adapter.starts_after() is not None)
    assert "text" not in adapter.needs()


@pytest.mark.parametrize(
    ("name", "head", "needs"),
    [
        ("full", "linear_probe", set()),
        *((name, "zero_shot", {"text"}) for name in ("full", "linear_probe", "as_is")),
        *((name, "pretrained", {"head"}) for name in ("full", "linear_probe", "as_is")),
    ],
)
def test_a_head_that_works_is_a_reference(name: str, head: str, needs: set[str]) -> None:
    adapter = registry.load("adapter", name)(head=head)
    assert adapter.initial_head() == head
    assert adapter.provides() == {"reference_head", *({"zero_shot_head"} if head == "zero_shot" else ())}
    assert adapter.needs() == needs


@pytest.mark.parametrize("name", NAMES)
def test_only_the_linear_probe_leaves_the_backbone_alone(name: str) -> None:
    adapter, network = attached(name)
    trains = any(parameter.requires_grad for parameter in network.backbone.parameters())
    assert adapter.freezes_backbone() == (not trains)


@pytest.mark.parametrize(("name", "train"), [("divdis", "heads"), ("rfc", "head"), ("divdis", "all"), ("rfc", "all")])
def test_heads_train_alone_where_that_is_asked(name: str, train: str) -> None:
    network = plain()
    adapter = registry.load("adapter", name)(train=train)
    adapter.attach(network, domains=3)
    assert adapter.freezes_backbone() == (train != "all")
    assert {parameter.requires_grad for parameter in network.backbone.parameters()} == {train == "all"}
    assert all(parameter.requires_grad for parameter in network.head.parameters())


@pytest.mark.parametrize("heads", [2, 5])
def test_the_first_of_divdis_heads_is_the_shared_one(heads: int, images: torch.Tensor) -> None:
    network = plain()
    DivDisHeads(heads=heads).attach(network, domains=3)
    assert heads_of(network) == heads
    assert heads_of(plain()) == 1
    features = network.features(images)
    logits = logits_of_heads(network, features)
    assert logits.shape == (4, heads, 10)
    torch.testing.assert_close(logits[:, 0], network.head(features))
    torch.testing.assert_close(logits[:, 1:], network.domain_heads(features).reshape(4, heads - 1, 10))


@pytest.mark.parametrize("name", NAMES)
def test_what_the_backbones_name_freezes_never_trains(name: str) -> None:
    torch.manual_seed(0)
    network = Network(build(r"dgbench:vit-micro(freeze=patch_embed|blocks\.0)"), classes=10)
    registry.load("adapter", name)().attach(network, domains=3)
    moving = [key for key, parameter in network.backbone.named_parameters() if parameter.requires_grad]
    assert not [key for key in moving if key.startswith(("patch_embed", "blocks.0"))]
    assert moving or registry.load("adapter", name)().freezes_backbone()


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_adapters_follow_the_networks_device_and_start_alike(name: str) -> None:
    _, reference = attached(name)
    network = plain().to("cuda")
    torch.manual_seed(1)
    registry.load("adapter", name)().attach(network, domains=3)
    assert {parameter.device.type for parameter in network.parameters()} == {"cuda"}
    for key, value in reference.state_dict().items():
        assert torch.equal(network.state_dict()[key].cpu(), value)
    heads = [module for module in network.modules() if isinstance(module, nn.Linear)]
    assert all(module.weight.is_cuda for module in heads)
