"""Backbones by name: built with their weights, or described without them."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

from torch import nn

from dgbench.core.backbone_name import PACKAGED, BackboneName, parse
from dgbench.core.errors import DGBenchError
from dgbench.models.backbones import open_clip, packaged, small, timm
from dgbench.models.backbones.facts import CLIP, HALF, IMAGENET, Facts
from dgbench.models.backbones.hub import UNKNOWN
from dgbench.models.network import Backbone

__all__ = ["UNKNOWN", "Facts", "build", "facts", "names"]

_FAMILIES: dict[str, ModuleType] = {"packaged": packaged, "timm": timm, "open_clip": open_clip, "dgbench": small}
_STATISTICS = {"imagenet": IMAGENET, "clip": CLIP, "half": HALF}


def names() -> tuple[str, ...]:
    """The backbones that need no hub: dgbench's own, and those whose weights packages carry."""
    return (*(f"dgbench:{name}" for name in small.BUILDERS), *PACKAGED)


def build(name: str | BackboneName) -> Backbone:
    """A backbone with the weights that its name says, on the CPU.

    Random weights are drawn from torch's global generator. What dgbench pretrains itself (``@TASK``) is not loaded
    here: it is in the store.

    Raises:
        UnknownNameError: there is no such family, network, tag or option.
        DGBenchError: weights cannot be had, or an option does not fit the network.
    """
    parsed = parse(name) if isinstance(name, str) else name
    backbone: Backbone = _FAMILIES[parsed.family].build(parsed)
    if parsed.normalize != "auto":
        mean, std = _STATISTICS[parsed.normalize]
        backbone = replace(backbone, mean=mean, std=std)
    if parsed.freeze is not None:
        backbone = _frozen(backbone, parsed.freeze)
    if parsed.checkpointing:
        _checkpoint(backbone.module, parsed)
    return backbone


def facts(name: str, fetch: bool) -> Facts:
    """What is known of a backbone without reading its weights.

    Args:
        name: Of the backbone.
        fetch: Whether published weights that are not on this machine are fetched, for their hash.

    Raises:
        UnknownNameError: there is no such family, network, tag or option.
        DGBenchError: an option does not fit the network, or weights cannot be fetched.
    """
    parsed = parse(name)
    found: Facts = _FAMILIES[parsed.family].facts(parsed, fetch)
    return found


def _frozen(backbone: Backbone, pattern: str) -> Backbone:
    frozen = replace(backbone, freeze=pattern)
    parameters = [name for name, _ in backbone.module.named_parameters()]
    if not any(map(frozen.freezes, parameters)):
        raise DGBenchError(
            f"backbone '{backbone.name}': no parameter's name starts with what 'freeze' matches; names are, for "
            f"instance, {', '.join(parameters[:: max(1, len(parameters) // 4)][:5])}"
        )
    return frozen


def _checkpoint(module: nn.Module, name: BackboneName) -> None:
    """Compute activations again in the backward pass.

    Batch normalisation in training mode would see each batch twice and move its statistics twice.
    """
    if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in module.modules()):
        raise DGBenchError(
            f"backbone '{name.network}': checkpointing would move batch normalisation's statistics twice"
        )
    owner: Any = getattr(module, "trunk", module)  # open_clip's wrapper would hide that timm's network refuses
    try:
        owner.set_grad_checkpointing(True)
    except (AttributeError, AssertionError) as error:  # timm's way to say no
        raise DGBenchError(f"backbone '{name.network}' has no gradient checkpointing; leave the option out") from error
