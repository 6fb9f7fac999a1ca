"""One's own weights: found under the names that people's programs give them, and the same to the last bit."""

from __future__ import annotations

import argparse
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_clip
import torch
from safetensors.torch import save_file
from torch import Tensor

from dgbench.core.backbone_name import parse
from dgbench.core.errors import DGBenchError
from dgbench.models.backbones import build, facts, settled
from dgbench.models.zero_shot import zero_shot_head

from .own import NETWORKS, features, named, network, prefixed

State = dict[str, Tensor]
OTHERS = {
    "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    "epoch": 12,
    "args": argparse.Namespace(lr=0.1, output=Path("somewhere")),
    "best": np.float64(0.7),
}
"""What lies beside the weights in checkpoints."""

LAYOUTS: dict[str, Callable[[State], Any]] = {
    "plain": lambda state: state,
    "timm's train.py": lambda state: OTHERS | {"arch": "x", "state_dict": state},
    "DataParallel": lambda state: {"state_dict": prefixed(state, "module.")},
    "Lightning": lambda state: OTHERS | {"state_dict": prefixed(state, "model.") | {"loss.weight": torch.ones(7)}},
    "Lightning's net": lambda state: {"state_dict": prefixed(state, "net."), "hyper_parameters": {"lr": 0.1}},
    "MoCo's": lambda state: {"state_dict": prefixed(state, "module.encoder_q.") | {"module.queue": torch.ones(4, 9)}},
    "SimCLR's": lambda state: {"state_dict": prefixed(state, "backbone.") | {"projector.0.weight": torch.ones(3, 3)}},
    "MAE's": lambda state: OTHERS | {"model": state | {"decoder_blocks.0.norm.weight": torch.ones(4)}},
    "nested twice": lambda state: {"trainer": {"model_state_dict": prefixed(state, "_orig_mod.")}},
    "DomainBed's": lambda state: {
        "args": {"seed": 0},
        "model_dict": prefixed(state, "featurizer.network.") | prefixed(state, "network.0.network."),
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("architecture", NETWORKS)
def test_features_are_those_of_the_network_that_was_saved(architecture: str, layout: str, tmp_path: Path) -> None:
    saved = network(architecture)
    torch.save(LAYOUTS[layout](saved.state_dict()), tmp_path / "own.pth")
    name = named(f"timm:{architecture}", tmp_path / "own.pth", size=64)
    backbone = build(name)
    saved.reset_classifier(0)
    reference = saved if architecture != "test_vit" else None
    for key, tensor in backbone.module.state_dict().items():
        if key != "pos_embed":  # resized to the images, and compared below at the network's own size
            assert torch.equal(tensor, saved.state_dict()[key]), key
    if reference is not None:
        assert torch.equal(features(backbone.module), features(reference))
    assert "statistics" not in facts(name, fetch=False).report


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_transformer_at_its_own_size_keeps_its_positions(layout: str, tmp_path: Path) -> None:
    saved = network("test_vit")
    torch.save(LAYOUTS[layout](saved.state_dict()), tmp_path / "own.pth")
    backbone = build(named("timm:test_vit", tmp_path / "own.pth"))
    saved.reset_classifier(0)
    assert torch.equal(features(backbone.module, 160), features(saved, 160))


@pytest.mark.parametrize("suffix", ["safetensors", "pth", "ckpt", "pth.tar", "bin"])
@pytest.mark.parametrize("legacy", [False, True])
def test_the_content_says_what_a_file_is_not_its_name(suffix: str, legacy: bool, tmp_path: Path) -> None:
    saved, path = network("test_resnet"), tmp_path / f"own.{suffix}"
    if legacy:
        torch.save(saved.state_dict(), path, _use_new_zipfile_serialization=False)
    elif suffix == "safetensors":
        save_file(saved.state_dict(), path)
    else:
        torch.save(saved.state_dict(), path)
    known = facts(named("timm:test_resnet", path), fetch=False)
    assert known.weights == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    saved.reset_classifier(0)
    assert torch.equal(features(build(named("timm:test_resnet", path)).module), features(saved))


def test_what_was_found_and_left_out_is_said(tmp_path: Path) -> None:
    torch.save(LAYOUTS["MoCo's"](network("test_resnet").state_dict()), tmp_path / "moco.pth")
    said = facts(named("timm:test_resnet", tmp_path / "moco.pth"), fetch=False).report
    assert said == (
        "moco.pth: 90 tensors of timm:test_resnet under 'state_dict.module.encoder_q'; left out: its classifier "
        "(state_dict.module.encoder_q.fc.weight, state_dict.module.encoder_q.fc.bias) and 1 other "
        "(state_dict.module.queue)"
    )


def test_networks_in_one_file_are_told_apart_and_never_guessed(tmp_path: Path) -> None:
    one, other = network("test_resnet", seed=1), network("test_resnet", seed=2)
    state = prefixed(one.state_dict(), "module.encoder_q.") | prefixed(other.state_dict(), "module.encoder_k.")
    torch.save({"state_dict": state}, tmp_path / "own.pth")
    with pytest.raises(DGBenchError, match=r"2 times.*'state_dict.module.encoder_q', .*under=state_dict.module"):
        facts(named("timm:test_resnet", tmp_path / "own.pth"), fetch=False)
    chosen = {}
    for under, saved in (("encoder_q", one), ("encoder_k", other)):
        name = named("timm:test_resnet", tmp_path / "own.pth", under=f"state_dict.module.{under}")
        saved.reset_classifier(0)
        assert torch.equal(features(build(name).module), features(saved))
        chosen[under] = facts(name, fetch=False).under
    assert chosen == {under: f"state_dict.module.{under}" for under in chosen}
    with pytest.raises(DGBenchError, match=r"own.pth has nothing under 'student'"):
        build(named("timm:test_resnet", tmp_path / "own.pth", under="student"))


def test_networks_that_must_be_converted_are_not_guessed_either(tmp_path: Path) -> None:
    one, other = network("test_vit", seed=1).state_dict(), network("test_vit", seed=2).state_dict()
    torch.save({"student": prefixed(one, "backbone."), "teacher": prefixed(other, "backbone.")}, tmp_path / "own.pth")
    with pytest.raises(
        DGBenchError, match=r"2 times.*'student.backbone', 'teacher.backbone'; .*under=student.backbone"
    ):
        facts(named("timm:test_vit", tmp_path / "own.pth", size=64), fetch=False)
    name = named("timm:test_vit", tmp_path / "own.pth", size=64, under="teacher.backbone")
    assert torch.equal(build(name).module.state_dict()["cls_token"], other["cls_token"])
    known = facts(name, fetch=False)
    assert known.under == "teacher.backbone"
    assert "its classifier (teacher.backbone.head.weight, teacher.backbone.head.bias)" in known.report


def test_where_there_is_one_network_only_saying_where_changes_no_identity(tmp_path: Path) -> None:
    torch.save({"model": network("test_resnet").state_dict()}, tmp_path / "own.pth")
    assert facts(named("timm:test_resnet", tmp_path / "own.pth", under="model"), fetch=False).under is None


def test_a_moved_file_is_the_same_and_is_found_by_its_content(tmp_path: Path) -> None:
    first, second = tmp_path / "own.pth", tmp_path / 'elsewhere, it\'s "mine" (α).pth'
    torch.save(network("test_resnet").state_dict(), first)
    by_content = settled(parse(named("timm:test_resnet", first)))
    shutil.move(first, second)
    with pytest.raises(DGBenchError, match=r"own.pth, which held the weights sha256:.* is gone"):
        build(by_content)
    assert settled(parse(named("timm:test_resnet", second))) == by_content
    assert build(by_content).name == by_content.canonical
    assert str(tmp_path) not in by_content.canonical
    second.write_bytes(b"other")
    with pytest.raises(DGBenchError, match="has changed"):
        build(by_content)
    with pytest.raises(DGBenchError, match="this machine has seen no file"):
        build(named("timm:test_resnet", f"sha256:{'0' * 64}"))


def test_paths_are_below_the_working_directory_and_know_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    torch.save(network("test_resnet").state_dict(), tmp_path / "home" / "own.pth")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert build("timm:test_resnet(weights=home/own.pth)").name == build("timm:test_resnet(weights=~/own.pth)").name
    with pytest.raises(DGBenchError, match=f"weights=own.pth: there is no such file or folder .*{tmp_path}"):
        build("timm:test_resnet(weights=own.pth)")


def test_normalisation_is_the_networks_own_until_somebody_says_another(tmp_path: Path) -> None:
    torch.save(network("test_resnet").state_dict(), tmp_path / "own.pth")
    assert settled(parse(named("timm:test_resnet", tmp_path / "own.pth"))).normalize == "half"
    backbone = build(named("timm:test_resnet", tmp_path / "own.pth", normalize="0.7 0.5 0.7/0.2"))
    assert (backbone.mean, backbone.std) == ((0.7, 0.5, 0.7), (0.2, 0.2, 0.2))


def test_positional_embeddings_are_resized_and_that_is_said(tmp_path: Path) -> None:
    """Between embeddings that say nothing but 'here', a resize changes nothing."""
    state = network("test_vit").state_dict()
    state["pos_embed"] = torch.cat([torch.full((1, 1, 64), 7.0), torch.full((1, 100, 64), 0.25)], 1)
    torch.save({"model": prefixed(state, "module.")}, tmp_path / "own.pth")
    name = named("timm:test_vit", tmp_path / "own.pth", size=96)
    resized = build(name).module.state_dict()["pos_embed"]
    torch.testing.assert_close(resized[:, 1:], torch.full((1, 36, 64), 0.25))
    torch.testing.assert_close(resized[:, 0], torch.full((1, 64), 7.0))
    assert "1 had other names or shapes (pos_embed)" in facts(name, fetch=False).report


def test_tensors_take_the_layout_and_the_type_of_the_network(tmp_path: Path) -> None:
    saved = network("test_resnet")
    expected = {k: v.clone() for k, v in saved.state_dict().items()}
    state = {k: v.half() if v.is_floating_point() else v for k, v in saved.state_dict().items()}
    state = {k: v.to(memory_format=torch.channels_last) if v.ndim == 4 else v for k, v in state.items()}
    torch.save(state, tmp_path / "own.pth")
    loaded = build(named("timm:test_resnet", tmp_path / "own.pth")).module.state_dict()
    for key, tensor in loaded.items():
        assert tensor.is_contiguous()
        assert tensor.dtype == expected[key].dtype
        torch.testing.assert_close(tensor, expected[key], rtol=1e-3, atol=1e-3)


def test_counts_of_batches_may_be_missing(tmp_path: Path) -> None:
    saved = network("test_resnet")
    state = {k: v for k, v in saved.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "own.pth")
    saved.reset_classifier(0)
    assert torch.equal(features(build(named("timm:test_resnet", tmp_path / "own.pth")).module), features(saved))


def test_torchvisions_names_of_a_resnet_are_timms(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    saved = resnet18()
    torch.save(saved.state_dict(), tmp_path / "own.pth")
    saved.fc = torch.nn.Identity()
    backbone = build(named("timm:resnet18", tmp_path / "own.pth"))
    torch.testing.assert_close(features(backbone.module), features(saved))


def test_timm_reads_the_names_of_earlier_programs(tmp_path: Path) -> None:
    """ConvNeXt as its authors saved it: other names for every layer."""
    from timm.models.convnext import checkpoint_filter_fn

    saved = network("test_convnext")

    def original(name: str) -> str:
        name = name.replace("stem.", "downsample_layers.0.").replace("head.norm.", "norm.").replace("head.fc.", "head.")
        name = name.replace("conv_dw.", "dwconv.").replace("mlp.fc1.", "pwconv1.").replace("mlp.fc2.", "pwconv2.")
        for stage in range(4):
            name = name.replace(f"stages.{stage}.downsample.", f"downsample_layers.{stage}.")
            name = name.replace(f"stages.{stage}.blocks.", f"stages.{stage}.")
        return name

    state = {original(name): tensor for name, tensor in saved.state_dict().items()}
    assert checkpoint_filter_fn(dict(state), saved).keys() == saved.state_dict().keys()
    torch.save({"model": state}, tmp_path / "own.pth")
    backbone = build(named("timm:test_convnext", tmp_path / "own.pth"))
    saved.reset_classifier(0)
    assert torch.equal(features(backbone.module), features(saved))


def test_dgbenchs_own_networks_take_weights_too(tmp_path: Path) -> None:
    saved = build("dgbench:convnet-small").module
    save_file(prefixed(saved.state_dict(), "backbone."), tmp_path / "own.safetensors")
    backbone = build(named("dgbench:convnet-small", tmp_path / "own.safetensors"))
    assert torch.equal(features(backbone.module, 16), features(saved, 16))


@pytest.mark.parametrize("layout", ["plain", "DataParallel", "Lightning"])
def test_both_towers_of_open_clip_or_the_image_tower_alone(layout: str, tmp_path: Path) -> None:
    import open_clip

    family = tiny_clip.register(tmp_path)
    torch.manual_seed(5)
    saved = open_clip.create_model(tiny_clip.NAME).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = saved.encode_image(images)
    torch.save(LAYOUTS[layout](saved.state_dict()), tmp_path / "both.pth")
    torch.save(LAYOUTS[layout](saved.visual.state_dict()), tmp_path / "image.pth")
    for file, text in (("both", True), ("image", False)):
        name = named(family, tmp_path / f"{file}.pth")
        with torch.no_grad():
            assert torch.equal(build(name).module.eval()(images), expected)
        assert ("text" in facts(name, fetch=False).provides) == text
    mine = settled(parse(named(family, tmp_path / "both.pth")))
    rows = zero_shot_head(mine.canonical, ("cat", "dog"), wording())
    tokens = open_clip.get_tokenizer(tiny_clip.NAME)(["a photo of a cat.", "a photo of a dog."])
    with torch.no_grad():
        texts = torch.nn.functional.normalize(saved.encode_text(tokens), dim=1) * saved.logit_scale.exp()
    torch.testing.assert_close(rows, texts)


def wording() -> Any:
    from dgbench.core.dataset_card import Wording

    return Wording(templates=("a photo of a {}.",))
