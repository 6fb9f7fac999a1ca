"""Options that every family understands."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_clip
import torch

from dgbench.core.errors import DGBenchError
from dgbench.models.backbones import build, facts, names
from dgbench.models.backbones.facts import CLIP, HALF, IMAGENET
from dgbench.models.low_rank import adapt
from dgbench.models.network import Network


@pytest.mark.parametrize("name", names())
def test_what_needs_no_hub_builds_and_is_described(name: str) -> None:
    assert build(name).name == name
    assert facts(name, fetch=False).size == build(name).size


@pytest.mark.parametrize(("option", "expected"), [("imagenet", IMAGENET), ("clip", CLIP), ("half", HALF)])
def test_normalisation_can_be_another_than_the_weights(option: str, expected: object) -> None:
    backbone = build(f"timm:test_efficientnet(normalize={option}, size=64)")
    assert (backbone.mean, backbone.std) == expected
    assert backbone.name == "timm:test_efficientnet(size=64, " + f"normalize={option})"


def test_freeze_must_name_something() -> None:
    assert build(r"timm:test_vit(freeze=blocks\.[0-3]\.)").freezes("blocks.3.mlp.fc1.weight")
    assert not build(r"timm:test_vit(freeze=blocks\.[0-3]\.)").freezes("blocks.4.mlp.fc1.weight")
    with pytest.raises(DGBenchError, match=r"\(freeze=layers\)'.*for instance, cls_token, .*blocks"):
        build("timm:test_vit(freeze=layers)")


@pytest.mark.parametrize("family", ["timm:test_vit", "dgbench:vit-micro", "tiny open_clip"])
def test_checkpointing_changes_neither_output_nor_gradient(family: str, tmp_path: Path) -> None:
    name = tiny_clip.register(tmp_path) if family == "tiny open_clip" else family
    gradients = []
    for option in ("false", "true"):
        torch.manual_seed(0)
        network = Network(build(f"{name}(checkpointing={option})"), 3)
        adapt(network, ("q", "v"), rank=2)
        for key, parameter in network.named_parameters():
            if key.endswith(".B"):
                torch.nn.init.normal_(parameter)
        saved: list[torch.Tensor] = []

        def keep(tensor: torch.Tensor, saved: list[torch.Tensor] = saved) -> torch.Tensor:
            saved.append(tensor)
            return tensor

        x = torch.randn(2, 3, network.info.size, network.info.size)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = network.train()(x).square().sum()
        loss.backward()
        moving = {key: p.grad for key, p in network.named_parameters() if p.requires_grad}
        gradients.append((len(saved), loss, moving))
    (plain_count, plain_loss, plain), (count, loss, checkpointed) = gradients
    assert torch.equal(loss, plain_loss)
    assert plain.keys() == checkpointed.keys()
    assert all(torch.equal(plain[key], checkpointed[key]) for key in plain)  # type: ignore[arg-type]
    assert count < plain_count


@pytest.mark.parametrize(
    ("name", "words"),
    [("mobilenet-v2", "statistics twice"), ("dgbench:convnet-small", "has no gradient checkpointing")],
)
def test_checkpointing_is_refused_where_it_would_do_harm_or_nothing(name: str, words: str) -> None:
    with pytest.raises(DGBenchError, match=words):
        build(f"{name}(checkpointing=true)")
