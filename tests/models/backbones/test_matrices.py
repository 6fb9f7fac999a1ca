"""The map of matrices, on every family of networks that it knows."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_clip
import torch
from torch import nn

from dgbench.models.backbones import bare, build, facts
from dgbench.models.backbones.matrices import find_matrices
from dgbench.models.network import Matrix
from dgbench.models.weightless import weightless

ATTENTION = ("q", "k", "v", "out", "fc1", "fc2")
PAIR = ("expand", "project")


@pytest.mark.parametrize(
    ("name", "blocks", "roles"),
    [
        ("dgbench:vit-micro", 2, ATTENTION),
        ("dgbench:convnet-small", 0, ()),
        ("dgbench:dense-small", 0, ()),
        ("timm:test_vit", 6, ATTENTION),
        ("timm:swin_tiny_patch4_window7_224", 12, ATTENTION),
        ("timm:eva02_tiny_patch14_224", 12, ATTENTION),
        ("timm:eva02_base_patch16_clip_224", 12, ("q", "k", "v", "out")),  # a gated MLP is left alone
        ("timm:test_efficientnet", 2, PAIR),
        ("timm:mobilenetv3_small_050", 10, PAIR),
        ("timm:mobilenetv4_conv_small_050", 12, PAIR),
        ("timm:resnet50", 16, PAIR),
        ("timm:resnet18", 0, ()),
        ("timm:regnetx_002", 13, PAIR),
        ("timm:resnet50_clip", 16, PAIR),
        ("timm:convnext_atto", 12, PAIR),
        ("open_clip:RN50", 16, PAIR),
        ("open_clip:ViT-B-32", 12, ATTENTION),
    ],
)
def test_every_block_of_a_family_has_its_roles_in_order(name: str, blocks: int, roles: tuple[str, ...]) -> None:
    with weightless():
        module = bare(name).module
    found = find_matrices(module)
    assert [(matrix.block, matrix.role) for matrix in found] == [(b, role) for b in range(blocks) for role in roles]
    assert ("low_rank" in facts(name, fetch=False).provides) == bool(found)
    for matrix in found:
        weight = getattr(module.get_submodule(matrix.module), matrix.parameter)
        start, stop = matrix.rows
        assert 0 <= start < stop <= len(weight)
        assert weight.shape[2:].numel() == 1  # a matrix, or a 1x1 convolution


def test_q_k_and_v_are_the_rows_that_attention_reads() -> None:
    torch.manual_seed(0)
    module = build("timm:test_vit").module.eval()
    rows = {m.role: m.rows for m in find_matrices(module) if m.module == "blocks.0.attn.qkv"}
    attention = module.get_submodule("blocks.0.attn")
    nn.init.normal_(attention.qkv.bias)  # type: ignore[union-attr, arg-type]
    x = torch.randn(1, 5, 64)
    fused = nn.functional.linear(x, attention.qkv.weight, attention.qkv.bias)  # type: ignore[union-attr, arg-type]
    q, k, v = (fused[..., slice(*rows[role])] for role in ("q", "k", "v"))
    heads = attention.num_heads

    def split(t: torch.Tensor) -> torch.Tensor:
        return t.unflatten(-1, (heads, -1)).transpose(1, 2)  # type: ignore[arg-type]

    expected = nn.functional.scaled_dot_product_attention(split(q), split(k), split(v)).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attention(x), attention.proj(expected))  # type: ignore[operator]


def test_open_clips_tower_keeps_q_k_and_v_in_a_raw_parameter(tmp_path: Path) -> None:
    module = build(tiny_clip.register(tmp_path)).module
    first = [m for m in find_matrices(module) if m.block == 0]
    attention = "transformer.resblocks.0.attn"
    assert first[:4] == [
        Matrix(attention, "in_proj_weight", "q", (0, 64), 0),
        Matrix(attention, "in_proj_weight", "k", (64, 128), 0),
        Matrix(attention, "in_proj_weight", "v", (128, 192), 0),
        Matrix(f"{attention}.out_proj", "weight", "out", (0, 64), 0),
    ]
