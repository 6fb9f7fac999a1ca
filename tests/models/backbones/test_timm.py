"""Networks of timm: their features, sizes, weights, and the activation trap."""

from __future__ import annotations

import hashlib
import re

import pytest
import timm
import torch
from timm.models import get_deprecated_models

from dgbench.core.errors import DGBenchError, UnknownNameError
from dgbench.models.backbones import build, facts
from dgbench.models.backbones.facts import CLIP

from .conftest import Publish


@pytest.mark.parametrize(
    "name",
    [
        "timm:test_vit",
        "timm:test_efficientnet(size=64)",
        "timm:mobilenetv3_small_050(size=64)",  # its last layer before the classifier is wider than its features
        "timm:test_convnext(size=64)",
        "timm:test_resnet(size=64)",
    ],
)
def test_features_are_what_timms_classifier_sees(name: str) -> None:
    torch.manual_seed(0)
    backbone = build(name)
    torch.manual_seed(0)
    reference = timm.create_model(name.partition(":")[2].partition("(")[0])
    reference.load_state_dict(backbone.module.state_dict(), strict=False)
    x = torch.randn(2, 3, backbone.size, backbone.size)
    reference.eval()
    expected = reference.forward_head(reference.forward_features(x), pre_logits=True)
    features = backbone.module.eval()(x)
    assert features.shape == (2, backbone.dim)
    torch.testing.assert_close(features, expected)
    assert facts(name, fetch=False).size == backbone.size


def test_published_weights_are_loaded_and_their_file_is_named(publish: Publish) -> None:
    name = "timm:test_vit.r160_in1k"
    torch.manual_seed(1)
    published = timm.create_model("test_vit")
    path = publish("timm/test_vit.r160_in1k", "model.safetensors", published.state_dict())
    backbone = build(name)
    state = backbone.module.state_dict()
    assert state.keys() == {key for key in published.state_dict() if not key.startswith("head.")}
    assert all(torch.equal(published.state_dict()[key], value) for key, value in state.items())
    known = facts(name, fetch=False)
    assert known.weights == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert known.pretrained_on == "ImageNet-1k"
    assert facts("timm:test_vit", fetch=False).weights is None


def test_without_the_weights_a_name_can_be_described_but_not_built() -> None:
    assert facts("timm:test_vit.r160_in1k", fetch=False).weights == "sha256:unknown"
    with pytest.raises(DGBenchError, match="not on this machine"):
        build("timm:test_vit.r160_in1k")
    with pytest.raises(DGBenchError, match="not on this machine"):
        facts("timm:test_vit.r160_in1k", fetch=True)


def test_positional_embeddings_are_resized_to_the_images(publish: Publish) -> None:
    """On embeddings that say nothing but 'here', a resize changes nothing; the token's own stays what it was."""
    published = timm.create_model("test_vit").state_dict()
    grid = torch.full((1, 100, 64), 0.25)
    published["pos_embed"] = torch.cat([torch.full((1, 1, 64), 7.0), grid], 1)
    publish("timm/test_vit.r160_in1k", "model.safetensors", published)
    backbone = build("timm:test_vit.r160_in1k(size=96)")
    resized = backbone.module.state_dict()["pos_embed"]
    assert resized.shape == (1, 1 + 6 * 6, 64)
    torch.testing.assert_close(resized[:, 0], torch.full((1, 64), 7.0))
    torch.testing.assert_close(resized[:, 1:], torch.full((1, 36, 64), 0.25))
    assert backbone.size == 96
    assert backbone.module(torch.randn(1, 3, 96, 96)).shape == (1, 64)


def test_clip_towers_keep_their_projection_and_their_statistics(publish: Publish) -> None:
    """A tower as small as they come: 8.6 million parameters."""
    name, repository = (
        "vit_xsmall_patch16_clip_224.tinyclip_yfcc15m",
        "timm/vit_xsmall_patch16_clip_224.tinyclip_yfcc15m",
    )
    published = timm.create_model(name, num_classes=512)
    publish(repository, "model.safetensors", published.state_dict())
    backbone = build(f"timm:{name}")
    assert (backbone.mean, backbone.std) == CLIP
    assert backbone.dim == 512
    assert torch.equal(backbone.module.state_dict()["head.weight"], published.state_dict()["head.weight"])
    assert backbone.module.eval()(torch.randn(1, 3, 224, 224)).shape == (1, 512)


def test_a_clip_tower_that_became_a_classifier_loses_it() -> None:
    with torch.device("meta"):
        assert build("timm:vit_base_patch16_clip_224").dim == 768  # timm's first weights for it are for ImageNet


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("vit_base_patch16_clip_224.openai", "timm:vit_base_patch16_clip_quickgelu_224.openai"),
        ("vit_base_patch32_clip_224.laion400m_e32", "timm:vit_base_patch32_clip_quickgelu_224.laion400m_e32"),
        ("vit_base_patch16_clip_224.dfn2b", "open_clip:ViT-B-16/dfn2b"),
    ],
)
def test_weights_that_need_quickgelu_are_not_given_gelu(name: str, remedy: str) -> None:
    for ask in (build, lambda name: facts(name, fetch=False)):
        with pytest.raises(DGBenchError, match=f"take {remedy}$"):
            ask(f"timm:{name}")
    assert facts(remedy, fetch=False).pretrained_on


@pytest.mark.parametrize("tag", ["laion400m_e32", "openai_ft_in1k", "laion2b"])
def test_weights_that_need_gelu_get_it(tag: str) -> None:
    assert facts(f"timm:vit_base_patch16_clip_224.{tag}", fetch=False).provides == {
        "low_rank",
        "levels",
        "normalisation",
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm:resnet5O", "network of timm named 'resnet5O'. Did you mean 'resnet50"),
        ("timm:ResNet50", "network of timm named 'ResNet50'. Did you mean 'resnet50"),
        ("timm:resnet50.a1_in1", "tag of weights of timm's 'resnet50' named 'a1_in1'. Did you mean 'a1_in1k'"),
    ],
)
def test_unknown_names_are_refused(name: str, words: str) -> None:
    with pytest.raises(UnknownNameError) as error:
        build(name)
    assert words in str(error.value)


def test_a_name_of_an_earlier_timm_is_answered_with_one_of_today() -> None:
    """Whatever network and weights the answer names are there."""
    for name in get_deprecated_models():
        with pytest.raises(DGBenchError, match=f"'{name}' is now called") as error:
            facts(f"timm:{name}", fetch=False)
        architecture = re.findall(r"is now called '([^.']+)", str(error.value))[0]
        assert timm.is_model(architecture)
        for now in re.findall(r"take timm:(\S+\.\S+)$", str(error.value)):
            assert now in timm.list_pretrained(f"{architecture}.*")
    with pytest.raises(DGBenchError, match=r"take timm:vit_tiny_patch16_224\.augreg_in21k$"):
        build("timm:vit_tiny_patch16_224_in21k")
    with pytest.raises(DGBenchError, match=r"its weights 'sam' are gone\. Did you mean 'sam_in1k'"):
        build("timm:vit_base_patch16_224_sam")


@pytest.mark.parametrize("name", ["hf-hub:someone/net", "hf_hub:someone/net", "local-dir:.", "./net"])
def test_a_name_says_no_place_to_take_a_network_from(name: str) -> None:
    with pytest.raises(DGBenchError):
        facts(f"timm:{name}", fetch=True)


def test_batch_normalisation_keeps_its_statistics_in_the_state() -> None:
    backbone = build("timm:test_efficientnet(size=64)")
    keys = [key for key in backbone.module.state_dict() if key.endswith("running_var")]
    assert len(keys) == 13
    before = {key: backbone.module.state_dict()[key].clone() for key in keys}
    backbone.module.train()(torch.randn(4, 3, 64, 64))
    assert not any(torch.equal(backbone.module.state_dict()[key], before[key]) for key in keys)
