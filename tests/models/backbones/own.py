"""Networks with weights that somebody else's program might have saved, and names of backbones with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from dgbench.core.backbone_options import spelt

NETWORKS = ("test_vit", "test_resnet", "test_efficientnet")


def network(architecture: str, classes: int = 7, seed: int = 3, **options: Any) -> Any:
    """A network of timm whose every tensor is random, its normalisation statistics too."""
    torch.manual_seed(seed)
    module = timm.create_model(architecture, num_classes=classes, **options)
    for name, buffer in module.named_buffers():
        if buffer.is_floating_point():
            buffer.copy_(torch.rand_like(buffer) + 0.5 if name.endswith("running_var") else torch.randn_like(buffer))
    return module


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def named(family: str, path: Path | str, **options: object) -> str:
    """``timm:NAME(weights=PATH, ...)``."""
    given = {"weights": str(path)} | options
    return f"{family}({', '.join(f'{key}={spelt(value)}' for key, value in given.items())})"  # type: ignore[arg-type]


def features(module: nn.Module, side: int = 64) -> Tensor:
    torch.manual_seed(0)
    x = torch.randn(2, 3, side, side)
    with torch.no_grad():
        out: Tensor = module.eval()(x)
    return out
