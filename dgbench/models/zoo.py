"""The small backbones that come with dgbench: 16-pixel networks that train in seconds on one CPU core.

Neither has batch normalisation, so a network's output never depends on which images share its batch, and averaging
weights needs no statistics to be measured again. Their weights are random; what they are trained on first is the
business of a recipe.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from dgbench.core.errors import UnknownNameError
from dgbench.models.network import Attention, Backbone

SIDE = 16


def build(name: str) -> Backbone:
    """A backbone with random weights, drawn from torch's global generator as every ``nn.Module`` does.

    Raises:
        UnknownNameError: no small backbone has that name.
    """
    if name not in _BUILDERS:
        raise UnknownNameError("small backbone", name, _BUILDERS)
    return _BUILDERS[name]()


def names() -> tuple[str, ...]:
    """Every name that ``build`` knows."""
    return tuple(_BUILDERS)


def provides(name: str) -> frozenset[str]:
    """What a backbone offers to parts that need it, known without building it.

    Raises:
        UnknownNameError: no small backbone has that name.
    """
    if name not in _BUILDERS:
        raise UnknownNameError("small backbone", name, _BUILDERS)
    return frozenset({"attention"} if name.startswith("vit") else ())


def _vit_micro() -> Backbone:
    """A vision transformer of 46k parameters: 16 tokens, 2 blocks, the mean token as features.

    Two convolutions make the tokens, in place of one linear map of patches: so small a transformer then learns in
    hundreds of steps (Xiao et al.: Early Convolutions Help Transformers See Better. NeurIPS 2021).
    """
    from timm.layers import GroupNorm, HybridEmbed
    from timm.models.vision_transformer import VisionTransformer
    from timm.models.vision_transformer_hybrid import ConvStem

    dim, depth = 48, 2
    stem = ConvStem(depth=2, channels=(16, dim), stride=(2, 2), norm_layer=partial(GroupNorm, num_groups=4))
    module = VisionTransformer(
        img_size=SIDE,
        embed_layer=partial(HybridEmbed, backbone=stem, proj=False),
        patch_size=1,
        embed_dim=dim,
        depth=depth,
        num_heads=3,
        mlp_ratio=2,
        class_token=False,
        global_pool="avg",
        final_norm=True,
        num_classes=0,
    )
    rows = {"q": (0, dim), "k": (dim, 2 * dim), "v": (2 * dim, 3 * dim)}
    attention = tuple(Attention(f"blocks.{i}.attn.qkv", "weight", rows) for i in range(depth))
    return _backbone("vit-micro", module, dim, attention)


def _convnet_small() -> Backbone:
    """A convolutional network of 53k parameters: three 3x3 convolutions that halve the side, group norm, mean pool."""
    from timm.layers import ConvNormAct, GroupNorm, SelectAdaptivePool2d

    widths = (24, 48, 96)
    convolution: Any = partial(ConvNormAct, kernel_size=3, stride=2, norm_layer=partial(GroupNorm, num_groups=4))
    layers = [convolution(c_in, c_out) for c_in, c_out in zip((3, *widths), widths, strict=False)]
    return _backbone("convnet-small", nn.Sequential(*layers, SelectAdaptivePool2d(flatten=True)), widths[-1])


_BUILDERS: dict[str, Callable[[], Backbone]] = {"vit-micro": _vit_micro, "convnet-small": _convnet_small}


def _backbone(name: str, module: nn.Module, dim: int, attention: tuple[Attention, ...] = ()) -> Backbone:
    half = (0.5, 0.5, 0.5)
    return Backbone(f"dgbench:{name}", module, dim, SIDE, mean=half, std=half, attention=attention)
