"""The small backbones that come with dgbench: 16-pixel networks that train in seconds on one CPU core.

None has batch normalisation, so a network's output never depends on which images share its batch, and averaging
weights needs no statistics to be measured again. Their weights are random; what they are trained on first is the
business of a recipe.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from dgbench.core.backbone_name import BackboneName
from dgbench.core.errors import UnknownNameError
from dgbench.models.backbones.facts import HALF, Facts
from dgbench.models.backbones.matrices import find_matrices
from dgbench.models.backbones.own.fit import Fitted, Network, fit, load
from dgbench.models.backbones.own.source import found
from dgbench.models.backbones.own.tensors import read_tensors
from dgbench.models.backbones.provided import provided
from dgbench.models.backbones.uncompiled import uncompiled
from dgbench.models.network import Backbone
from dgbench.models.weightless import weightless

SIDE = 16


def build(name: BackboneName) -> Backbone:
    """A backbone with one's own weights, or with random ones, drawn from torch's global generator as by every module.

    Raises:
        UnknownNameError: no small backbone has that name.
        DGBenchError: the weights do not fit.
    """
    size = name.size or SIDE
    module, dim = _builder(name.architecture)(size)
    if name.weights is not None:
        load(module, _own(name, module)[0])
    return Backbone(name.canonical, module, dim, size, *HALF, matrices=find_matrices(module))


bare = build


def facts(name: BackboneName) -> Facts:
    """What is known of it.

    Raises:
        UnknownNameError: no small backbone has that name.
        DGBenchError: the weights do not fit.
    """
    size = name.size or SIDE
    with weightless():
        module, _ = _builder(name.architecture)(size)
    if name.weights is None:
        return Facts(size, provided(module))
    fitted, report = _own(name, module)
    under = fitted.under if fitted.several else None
    return Facts(size, provided(module), weights=name.weights, under=under, report=report)


def _own(name: BackboneName, module: nn.Module) -> tuple[Fitted, str]:
    """The tensors of a network in the file of one's own weights, and what is to be said of them."""
    assert name.weights is not None
    file = found(name.weights)
    network = Network(f"dgbench:{name.architecture}", module.state_dict(), ("head",))
    fitted = fit(file.name, read_tensors(file), network, name.under)
    return fitted, fitted.report(file.name, network)


@uncompiled()
def _vit_micro(size: int) -> tuple[nn.Module, int]:
    """A vision transformer of 46k parameters: 16 tokens, 2 blocks, the mean token as features.

    Two convolutions make the tokens, in place of one linear map of patches: so small a transformer then learns in
    hundreds of steps (Xiao et al.: Early Convolutions Help Transformers See Better. NeurIPS 2021).
    """
    from timm.layers import GroupNorm, HybridEmbed
    from timm.models.vision_transformer import VisionTransformer
    from timm.models.vision_transformer_hybrid import ConvStem

    dim = 48
    stem = ConvStem(depth=2, channels=(16, dim), stride=(2, 2), norm_layer=partial(GroupNorm, num_groups=4))
    module = VisionTransformer(
        img_size=size,
        embed_layer=partial(HybridEmbed, backbone=stem, proj=False),
        patch_size=1,
        embed_dim=dim,
        depth=2,
        num_heads=3,
        mlp_ratio=2,
        class_token=False,
        global_pool="avg",
        final_norm=True,
        num_classes=0,
    )
    return module, dim


@uncompiled()
def _convnet_small(size: int) -> tuple[nn.Module, int]:
    """A convolutional network of 53k parameters: three 3x3 convolutions that halve the side, group norm, mean pool."""
    from timm.layers import ConvNormAct, GroupNorm, SelectAdaptivePool2d

    widths = (24, 48, 96)
    convolution: Any = partial(ConvNormAct, kernel_size=3, stride=2, norm_layer=partial(GroupNorm, num_groups=4))
    layers = [convolution(c_in, c_out) for c_in, c_out in zip((3, *widths), widths, strict=False)]
    module: Any = nn.Sequential(*layers, SelectAdaptivePool2d(flatten=True))
    module.feature_info = [{"module": str(at), "num_chs": width} for at, width in enumerate(widths)]  # as timm has it
    return module, widths[-1]


def _dense_small(size: int) -> tuple[nn.Module, int]:
    """Two dense layers of a hundred on all pixels, 87k parameters: where pixels stand says nothing to it.

    For points that are shown as images, such as slabs, which are learnt by such a network (Shah et al.: The Pitfalls of
    Simplicity Bias in Neural Networks. NeurIPS 2020).
    """
    width = 100
    layers = nn.Linear(3 * size * size, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
    return nn.Sequential(nn.Flatten(), *layers), width


BUILDERS: dict[str, Callable[[int], tuple[nn.Module, int]]] = {
    "vit-micro": _vit_micro,
    "convnet-small": _convnet_small,
    "dense-small": _dense_small,
}
"""By name: takes the side of the input, gives the module and its number of features."""


def _builder(architecture: str) -> Callable[[int], tuple[nn.Module, int]]:
    if architecture not in BUILDERS:
        raise UnknownNameError("small backbone", architecture, BUILDERS)
    return BUILDERS[architecture]
