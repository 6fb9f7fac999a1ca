"""Models of open_clip: the image tower, its weights, and the activation that they were trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip
import pytest
import tiny_clip
import torch
from open_clip.transformer import QuickGELU

from dgbench.core.errors import DGBenchError, UnknownNameError
from dgbench.models.backbones import build, facts
from dgbench.models.backbones.facts import CLIP, HALF

from .conftest import Publish


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    return tiny_clip.register(tmp_path)


@pytest.fixture
def tags(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Published weights of the tiny model, as open_clip lists them."""
    listed: dict[str, Any] = {}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, tiny_clip.NAME, listed)  # type: ignore[attr-defined]
    return listed


def tag(**changes: object) -> dict[str, object]:
    return {"url": "", "hf_hub": "someone/tiny/", "mean": CLIP[0], "std": CLIP[1]} | changes


def test_features_are_those_of_the_whole_model(tiny: str) -> None:
    torch.manual_seed(0)
    backbone = build(tiny)
    torch.manual_seed(0)
    whole = open_clip.create_model(tiny_clip.NAME).eval()
    x = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(backbone.module.eval()(x), whole.encode_image(x))
    assert (backbone.dim, backbone.size, backbone.mean, backbone.std) == (32, 32, *CLIP)
    assert not any("token_embedding" in key for key in backbone.module.state_dict())


def test_facts(tiny: str) -> None:
    known = facts(f"{tiny}(size=48)", fetch=False)
    assert known.size == 48
    assert known.provides == {"low_rank", "levels", "text", "normalisation"}
    assert known.weights is None


def test_published_weights_are_loaded_with_their_statistics(tiny: str, tags: dict[str, Any], publish: Publish) -> None:
    tags["some_in1k"] = tag(mean=HALF[0], std=HALF[1])
    torch.manual_seed(1)
    whole = open_clip.create_model(tiny_clip.NAME)
    publish("someone/tiny", "open_clip_model.safetensors", whole.state_dict())
    backbone = build(f"{tiny}/some_in1k")
    assert (backbone.mean, backbone.std) == HALF
    state = backbone.module.state_dict()
    assert all(torch.equal(whole.visual.state_dict()[key], value) for key, value in state.items())
    known = facts(f"{tiny}/some_in1k", fetch=False)
    assert known.pretrained_on == "ImageNet-1k"
    assert known.weights is not None
    assert known.weights.startswith("sha256:")
    assert known.weights != "sha256:unknown"


def test_positional_embeddings_are_resized_to_the_images(tiny: str, tags: dict[str, Any], publish: Publish) -> None:
    tags["some"] = tag()
    state = open_clip.create_model(tiny_clip.NAME).state_dict()
    state["visual.positional_embedding"] = torch.cat([torch.full((1, 64), 7.0), torch.full((16, 64), 0.25)])
    publish("someone/tiny", "open_clip_model.safetensors", state)
    module = build(f"{tiny}/some(size=48)").module
    resized = module.state_dict()["positional_embedding"]
    torch.testing.assert_close(resized, torch.cat([torch.full((1, 64), 7.0), torch.full((36, 64), 0.25)]))
    assert module(torch.randn(1, 3, 48, 48)).shape == (1, 32)


@pytest.mark.parametrize("quick", [True, False])
def test_weights_get_the_activation_they_were_trained_with(
    quick: bool, tiny: str, tags: dict[str, Any], publish: Publish
) -> None:
    tags["some"] = tag(quick_gelu=quick)
    whole = open_clip.create_model(tiny_clip.NAME, force_quick_gelu=quick)
    publish("someone/tiny", "open_clip_model.safetensors", whole.state_dict())
    module = build(f"{tiny}/some").module
    assert any(isinstance(layer, QuickGELU) for layer in module.modules()) == quick
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(module.eval()(x), whole.eval().encode_image(x))


def test_openais_vit_gets_quickgelu_without_being_asked() -> None:
    from dgbench.core.backbone_name import parse
    from dgbench.models.backbones.open_clip import _config

    assert _config(parse("open_clip:ViT-B-16/openai"))["quick_gelu"] is True
    assert not _config(parse("open_clip:ViT-B-16/laion2b_s34b_b88k"))["quick_gelu"]


def test_weights_that_need_gelu_are_not_given_quickgelu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = tiny_clip.register(tmp_path, "dgbench-tiny-quickgelu", quick_gelu=True)
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "dgbench-tiny-quickgelu", {"some": tag()})  # type: ignore[attr-defined]
    with pytest.raises(DGBenchError, match="take open_clip:dgbench-tiny/some"):
        build(f"{name}/some")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("open_clip:ViT-B-61", "model of open_clip named 'ViT-B-61'. Did you mean 'ViT-B-16"),
        ("open_clip:vit-b-16", "model of open_clip named 'vit-b-16'. Did you mean 'ViT-B-16"),
        ("open_clip:ViT-B-16/OpenAI", "Did you mean 'openai'"),
        ("open_clip:hf-hub:someone/net", "no model of open_clip named 'hf-hub:someone'"),
        ("open_clip:local-dir:somewhere", "no model of open_clip named 'local-dir:somewhere'"),
        ("open_clip:ViT-B-16/opnai", "tag of weights of open_clip's 'ViT-B-16' named 'opnai'. Did you mean 'openai'"),
    ],
)
def test_unknown_names_are_refused(name: str, words: str) -> None:
    with pytest.raises(UnknownNameError) as error:
        facts(name, fetch=False)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "open_clip:ViT-B-16/laion2b_s32b_b82k",
            "the weights 'laion2b_s32b_b82k' are of ViT-L-14; the tags of 'ViT-B-16'",
        ),
        ("open_clip:coca_ViT-B-32", "captioning models"),
        ("open_clip:roberta-ViT-B-32", "needs the library transformers"),
        ("open_clip:RN50/openai(size=96)", "their own size only"),
        ("open_clip:ViT-B-16/openai", "not on this machine"),
    ],
)
def test_what_cannot_be_built_says_why(name: str, words: str) -> None:
    with pytest.raises(DGBenchError, match=words):
        build(name)
