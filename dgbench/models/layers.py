"""The layers of a network in order, from the names of its tensors.

A layer is what belongs to the first numbered module on a name's path, ``blocks.3`` of ``blocks.3.attn.qkv.weight`` or
``layer1.0`` of ``layer1.0.conv2.weight``, which is a block of most networks. Without a number it is the module that
holds the tensor.
"""

from __future__ import annotations

from collections.abc import Iterable


def layer_of(name: str) -> str:
    """The layer that a tensor belongs to."""
    path = name.split(".")
    for place, part in enumerate(path):
        if part.isdigit():
            return ".".join(path[: place + 1])
    return ".".join(path[:-1])


def layers(names: Iterable[str]) -> list[str]:
    """All layers, in the order in which they are first named: mostly from the input to the output."""
    return list(dict.fromkeys(map(layer_of, names)))


def blocks(names: Iterable[str]) -> list[str]:
    """The numbered ones among the layers."""
    return [layer for layer in layers(names) if layer.rpartition(".")[2].isdigit()]
