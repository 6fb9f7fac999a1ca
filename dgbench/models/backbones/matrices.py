"""Where a network keeps the matrices that low-rank adapters can change.

A *block* with attention has the children ``attn`` and ``mlp``: so it is in timm's transformers, in open_clip's towers
and in timm's trunks inside them. What differs is how q, k and v are stored: fused rows of a linear layer, a raw
parameter, or three layers. A network without attention may have convolutional blocks that begin and end with a
pointwise map: inverted residuals, bottlenecks, ConvNeXt's.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from dgbench.models.network import Matrix, Role

_OUT = ("proj", "out_proj")
_MLP = (("fc1", "fc2"), ("c_fc", "c_proj"))
_POINTWISE = (
    ("conv_pw", "conv_pwl"),  # EfficientNet, MobileNetV2 and V3
    ("pw_exp.conv", "pw_proj.conv"),  # MobileNetV4
    ("conv1", "conv3"),  # ResNet's bottleneck, CLIP's too
    ("conv1.conv", "conv3.conv"),  # RegNet
    ("conv1_1x1.conv", "conv3_1x1.conv"),  # timm's CLIP ResNets
    ("mlp.fc1", "mlp.fc2"),  # ConvNeXt
)


def find_matrices(module: nn.Module) -> tuple[Matrix, ...]:
    """The attention and MLP matrices of every block; without any attention, the pointwise pair of every block."""
    return tuple(_attention(module)) or tuple(_pointwise(module))


def _attention(module: nn.Module) -> Iterator[Matrix]:
    number = 0
    for path, block in module.named_modules():
        attention, mlp = _child(block, "attn"), _child(block, "mlp")
        if attention is None or mlp is None:
            continue
        found = list(_of_attention(f"{path}.attn", attention, number))
        if found:
            yield from found
            yield from _of_mlp(f"{path}.mlp", mlp, number)
            number += 1


def _of_attention(path: str, attention: nn.Module, block: int) -> Iterator[Matrix]:
    fused, raw = _child(attention, "qkv"), getattr(attention, "in_proj_weight", None)
    separate = [_child(attention, f"{role}_proj") for role in "qkv"]
    roles: tuple[Role, ...] = ("q", "k", "v")
    if isinstance(fused, nn.Linear) and fused.out_features % 3 == 0:
        yield from _thirds(f"{path}.qkv", "weight", fused.out_features, block)
    elif isinstance(raw, nn.Parameter):
        yield from _thirds(path, "in_proj_weight", len(raw), block)
    elif all(isinstance(layer, nn.Linear) for layer in separate):
        yield from (_whole(f"{path}.{role}_proj", attention, f"{role}_proj", role, block) for role in roles)
    else:
        return
    yield from (_whole(f"{path}.{name}", attention, name, "out", block) for name in _OUT if _has(attention, name))


def _of_mlp(path: str, mlp: nn.Module, block: int) -> Iterator[Matrix]:
    for first, second in _MLP:
        if _has(mlp, first) and _has(mlp, second):
            yield _whole(f"{path}.{first}", mlp, first, "fc1", block)
            yield _whole(f"{path}.{second}", mlp, second, "fc2", block)


def _pointwise(module: nn.Module) -> Iterator[Matrix]:
    number = 0
    for path, block in module.named_modules():
        for first, last in _POINTWISE:
            if _has(block, first) and _has(block, last):
                yield _whole(f"{path}.{first}", block, first, "expand", number)
                yield _whole(f"{path}.{last}", block, last, "project", number)
                number += 1


def _thirds(path: str, parameter: str, rows: int, block: int) -> Iterator[Matrix]:
    third = rows // 3
    roles: tuple[Role, ...] = ("q", "k", "v")
    for i, role in enumerate(roles):
        yield Matrix(path, parameter, role, (i * third, (i + 1) * third), block)


def _whole(path: str, owner: nn.Module, name: str, role: Role, block: int) -> Matrix:
    return Matrix(path, "weight", role, (0, len(owner.get_submodule(name).weight)), block)  # type: ignore[arg-type]


def _has(owner: nn.Module, name: str) -> bool:
    """Whether ``owner.name`` is a linear map of single positions."""
    layer = _child(owner, name)
    if isinstance(layer, nn.Conv2d):
        return layer.kernel_size == (1, 1) and layer.groups == 1
    return isinstance(layer, nn.Linear)


def _child(owner: nn.Module, name: str) -> nn.Module | None:
    found: object = owner
    for piece in name.split("."):
        found = getattr(found, piece, None)
    return found if isinstance(found, nn.Module) else None
