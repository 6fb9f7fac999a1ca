"""Folders of the Hugging Face hub: as timm and open_clip write them, with what they say of size and normalisation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_clip
import torch
from safetensors.torch import save_file
from timm.models import save_for_hf

from dgbench.core.backbone_name import parse
from dgbench.core.errors import DGBenchError
from dgbench.models.backbones import build, settled
from dgbench.models.backbones.facts import CLIP

from .own import NETWORKS, features, named, network

Content = dict[str, Any]


def timms(folder: Path, architecture: str, change: Callable[[Content], object] = lambda c: None, **options: Any) -> Any:
    """A folder as timm's ``save_for_hf`` writes it, its configuration then changed; the network."""
    saved = network(architecture, **options)
    save_for_hf(saved, str(folder), safe_serialization="both")
    edit(folder / "config.json", change)
    return saved


def edit(path: Path, change: Callable[[Content], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("left", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("architecture", NETWORKS)
def test_timms_folders_give_the_network_that_was_saved(architecture: str, left: str, tmp_path: Path) -> None:
    saved = timms(tmp_path / "mine", architecture)
    for file in {"model.safetensors", "pytorch_model.bin"} - {left}:
        (tmp_path / "mine" / file).unlink()
    backbone = build(named(f"timm:{architecture}", tmp_path / "mine"))
    saved.reset_classifier(0)
    assert torch.equal(features(backbone.module, backbone.size), features(saved, backbone.size))
    fed = saved.pretrained_cfg
    assert (backbone.mean, backbone.std, backbone.size) == (fed["mean"], fed["std"], fed["input_size"][-1])


def test_size_and_normalisation_are_the_folders_own(tmp_path: Path) -> None:
    def change(config: Content) -> None:
        config["pretrained_cfg"] |= {"mean": [0.7, 0.5, 0.7], "std": [0.2, 0.3, 0.2]}

    saved = timms(tmp_path / "mine", "test_vit", change, img_size=96)
    name = named("timm:test_vit", tmp_path / "mine")
    backbone = build(name)
    saved.reset_classifier(0)
    assert backbone.size == 96
    assert (backbone.mean, backbone.std) == ((0.7, 0.5, 0.7), (0.2, 0.3, 0.2))
    assert torch.equal(features(backbone.module, 96), features(saved, 96))
    said = settled(parse(name)).canonical
    assert said.startswith("timm:test_vit(size=96, normalize=0.7 0.5 0.7/0.2 0.3 0.2, weights=sha256:")
    assert build(said).module.state_dict().keys() == backbone.module.state_dict().keys()


def test_what_the_name_says_goes_before_what_the_folder_says(tmp_path: Path) -> None:
    timms(tmp_path / "mine", "test_vit", img_size=96)
    backbone = build(named("timm:test_vit", tmp_path / "mine", size=64, normalize="clip"))
    assert backbone.size == 64
    assert (backbone.mean, backbone.std) == CLIP


def test_a_folder_and_its_file_are_the_same_weights(tmp_path: Path) -> None:
    timms(tmp_path / "mine", "test_resnet")
    folder, file = tmp_path / "mine", tmp_path / "mine" / "model.safetensors"
    assert settled(parse(named("timm:test_resnet", folder))) == settled(parse(named("timm:test_resnet", file)))


def test_configurations_of_earlier_timms_are_flat(tmp_path: Path) -> None:
    timms(tmp_path / "mine", "test_resnet")

    def flat(config: Content) -> None:
        inner = config.pop("pretrained_cfg") | {"mean": [0.1, 0.2, 0.3]}
        del config["model_args"]
        config.update(inner)

    edit(tmp_path / "mine" / "config.json", flat)
    assert build(named("timm:test_resnet", tmp_path / "mine")).mean == (0.1, 0.2, 0.3)


def put(*keys: str, value: object) -> Callable[[Content], None]:
    def change(config: Content) -> None:
        for key in keys[:-1]:
            config = config[key]
        config[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("architecture", value="resnet18"), r"is of timm's 'resnet18', not of 'test_resnet'; take timm:resnet18"),
        (put("architecture", value=["x"]), r"not of 'test_resnet'; take timm:NAME"),
        (lambda c: c.pop("architecture"), "does not say 'architecture'"),
        (put("model_args", "in_chans", value=1), "'in_chans' is 1; images have three"),
        (put("model_args", "act_layer", value="silu"), r"makes another network of 'test_resnet' \('act_layer'\)"),
        (put("model_args", "checkpoint_path", value="/x"), r"makes another network .*'checkpoint_path'"),
        (put("model_args", "global_pool", value="max"), "its network pools by 'max', timm's 'test_resnet' by 'avg'"),
        (put("model_args", value=[1]), "expected a table"),
        (put("pretrained_cfg", "mean", value=[0.5]), "'mean' and 'std': expected a mean"),
        (put("pretrained_cfg", "std", value=[0, 1, 1]), "'mean' and 'std': expected a mean"),
        (put("pretrained_cfg", "mean", value=["a", 1, 1]), "'mean' and 'std': expected a mean"),
        (put("pretrained_cfg", "input_size", value=[3, 64, 96]), r"the size of the input is \[3, 64, 96\], expected"),
        (put("pretrained_cfg", "input_size", value=[3, 10**6, 10**6]), "expected a square of 8 to 4096 pixels"),
    ],
)
def test_a_configuration_that_says_something_else_is_refused(
    change: Callable[[Content], object], words: str, tmp_path: Path
) -> None:
    timms(tmp_path / "mine", "test_resnet", change)
    with pytest.raises(DGBenchError, match=words) as error:
        build(named("timm:test_resnet", tmp_path / "mine"))
    assert str(tmp_path / "mine") in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, '{"architecture": NaN, "x": ' + "1" * 2**24 + "}"])
def test_a_configuration_that_cannot_be_read_is_one_error(content: str, tmp_path: Path) -> None:
    timms(tmp_path / "mine", "test_resnet")
    (tmp_path / "mine" / "config.json").write_text(content)
    with pytest.raises(DGBenchError, match=r"config.json cannot be read as the configuration"):
        build(named("timm:test_resnet", tmp_path / "mine"))


def test_folders_without_weights_or_configuration_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DGBenchError, match=r"has none of the files model.safetensors, pytorch_model.bin"):
        build(named("timm:test_resnet", tmp_path))
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(DGBenchError, match="weights in several files are not read"):
        build(named("timm:test_resnet", tmp_path))
    save_file(network("test_resnet").state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(DGBenchError, match=r"has no config.json; name the file of weights itself: weights=.*model"):
        build(named("timm:test_resnet", tmp_path))
    with pytest.raises(DGBenchError, match="a 'dgbench:' backbone takes a file of weights"):
        build(named("dgbench:vit-micro", tmp_path))


@pytest.fixture
def clip(tmp_path: Path) -> tuple[str, Path]:
    """A backbone's name, and a folder as open_clip writes it."""
    import open_clip

    family, folder = tiny_clip.register(tmp_path), tmp_path / "mine"
    folder.mkdir()
    torch.manual_seed(5)
    save_file(open_clip.create_model(tiny_clip.NAME).state_dict(), folder / "open_clip_model.safetensors")
    preprocessing = {"mean": [0.5] * 3, "std": [0.25] * 3, "size": [32, 32], "interpolation": "bicubic"}
    config = {"model_cfg": open_clip.get_model_config(tiny_clip.NAME), "preprocess_cfg": preprocessing}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return family, folder


def test_open_clips_folders_give_the_model_that_was_saved(clip: tuple[str, Path]) -> None:
    import open_clip

    family, folder = clip
    torch.manual_seed(5)
    saved = open_clip.create_model(tiny_clip.NAME)
    backbone = build(named(family, folder))
    assert (backbone.mean, backbone.std) == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    assert torch.equal(features(backbone.module, 32), features(saved.visual, 32))


def test_a_model_of_open_clip_is_compared_with_its_name(clip: tuple[str, Path], tmp_path: Path) -> None:
    family, folder = clip
    tiny_clip.register(tmp_path, "dgbench-tiny-quick", quick_gelu=True)
    edit(folder / "open_clip_config.json", put("model_cfg", "quick_gelu", value=True))
    with pytest.raises(DGBenchError, match=r"\(quick_gelu\); take open_clip:dgbench-tiny-quick$"):
        build(named(family, folder))
    edit(folder / "open_clip_config.json", put("model_cfg", "vision_cfg", "layers", value=7))
    with pytest.raises(DGBenchError, match=r"\(quick_gelu, vision_cfg.layers\); open_clip lists no such network"):
        build(named(family, folder))
