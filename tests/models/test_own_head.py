"""The heads that weights came with: whose rows they are, and that they are the network's own logits."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from dgbench.core.backbone_name import parse
from dgbench.core.errors import DGBenchError
from dgbench.data.disk.readers.tree import imagenet
from dgbench.models.backbones import build, facts, settled
from dgbench.models.own_head import own_head, rows


def saved(folder: Path, architecture: str, **options: object) -> tuple[str, torch.nn.Module]:
    """A file with a network and its classifier; the backbone's settled name, and the network."""
    torch.manual_seed(0)
    whole = timm.create_model(architecture, **options).eval()
    torch.save({"model": whole.state_dict()}, folder / "whole.pt")
    return settled(parse(f"timm:{architecture}(weights={folder / 'whole.pt'}, size=64)")).canonical, whole


@pytest.mark.parametrize(
    "architecture",
    ["test_resnet", "test_vit", "test_efficientnet", "test_convnext", "test_byobnet", "test_nfnet"],
)
def test_rows_and_features_give_the_networks_own_logits(architecture: str, tmp_path: Path) -> None:
    """Among them one with a norm layer between pooling and classifier."""
    sized = {"img_size": 64} if "vit" in architecture else {}
    name, whole = saved(tmp_path, architecture, num_classes=5, **sized)
    weight, bias = own_head(name, ("a", "b", "c", "d", "e"))
    x = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        features = build(name).module.eval()(x)
        torch.testing.assert_close(features @ weight.T + bias, whole(x), rtol=1e-4, atol=1e-5)


def test_each_class_of_imagenet_is_found_by_its_name_and_by_its_id(tmp_path: Path) -> None:
    name, _ = saved(tmp_path, "test_resnet", num_classes=1000)
    for called in imagenet():
        assert rows(name, called[1:]) == tuple(range(1, 1000))
    assert rows(name, ("missile", "projectile")) == (657, 744), "of 'missile' and of 'projectile, missile'"


def test_a_dataset_of_all_of_imagenet_in_another_order_has_its_rows_by_name(tmp_path: Path) -> None:
    name, _ = saved(tmp_path, "test_resnet", num_classes=1000)
    ids, _ = imagenet()
    assert rows(name, ids) == tuple(range(1000))
    assert rows(name, ids[::-1]) == tuple(range(999, -1, -1))
    unheard = tuple(f"product {number}" for number in range(1000))
    assert rows(name, unheard) == tuple(range(1000)), "a thousand classes that are not those of ImageNet"


def test_classes_are_found_by_any_of_their_names(tmp_path: Path) -> None:
    name, whole = saved(tmp_path, "test_resnet", num_classes=1000)
    assert rows(name, ("hammer", "n01443537", "Goldfish", "great_white_shark", "goldfish, Carassius auratus")) == (
        *(587, 1, 1, 2, 1),
    )
    weight, bias = own_head(name, ("hammer", "goldfish"))
    assert torch.equal(weight, whole.fc.weight[[587, 1]])
    assert torch.equal(bias, whole.fc.bias[[587, 1]])


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("hammer", "goldfsh"), r"no one of them is called 'goldfsh'\. Did you mean 'goldfish'"),
        (("crane", "hammer"), "no one of them is called 'crane'"),
    ],
)
def test_names_that_no_class_has_or_two_have_are_refused(classes: tuple[str, ...], words: str, tmp_path: Path) -> None:
    name, _ = saved(tmp_path, "test_resnet", num_classes=1000)
    with pytest.raises(DGBenchError, match=words):
        rows(name, classes)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("timm:test_vit.r160_in1k", 1000),
        ("timm:vit_tiny_patch16_224.augreg_in21k", 21843),
        ("timm:test_vit", None),
        ("timm:vit_base_patch16_clip_224.laion2b", None),
        ("timm:deit_tiny_distilled_patch16_224.fb_in1k", None),
        ("efficientnet-lite0", 1000),
        ("dgbench:vit-micro", None),
    ],
)
def test_weights_that_came_with_one_classifier_have_a_head(name: str, head: int | None) -> None:
    """Not random ones, a CLIP tower's projection, nor two classifiers whose mean counts."""
    try:
        assert facts(name, fetch=False).head == head
    except DGBenchError as error:
        pytest.fail(str(error))


def test_a_classifier_that_is_not_linear_in_the_features_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, whole = saved(tmp_path, "test_resnet", num_classes=3)
    whole.register_forward_hook(lambda module, given, made: made.relu())
    monkeypatch.setattr("dgbench.models.own_head.with_classifier", lambda name: (whole, "fc"))
    with pytest.raises(DGBenchError, match="no linear map of its features"):
        own_head(name, ("a", "b", "c"))
