"""Backbones by name: built with their weights, or described without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dgbench.core.backbone_name import BY_CONTENT, PACKAGED, BackboneName, parse
from dgbench.core.backbone_options import Normalization
from dgbench.core.errors import DGBenchError
from dgbench.core.known import known, versions
from dgbench.core.provenance import code
from dgbench.models.backbones import hub
from dgbench.models.backbones.facts import CLIP, HALF, IMAGENET, Facts
from dgbench.models.backbones.hub import UNKNOWN
from dgbench.models.backbones.own.folder import Folder, look_into
from dgbench.models.backbones.own.source import found, path_of, seen
from dgbench.models.backbones.packages import PACKAGES, file_of

if TYPE_CHECKING:
    from torch import nn

    from dgbench.models.network import Backbone

__all__ = ["LIBRARIES", "UNKNOWN", "Facts", "bare", "build", "facts", "names", "settled", "with_classifier"]

LIBRARIES = ("torch", "timm", "open_clip_torch")
"""Packages whose versions decide what a network is."""
_STATISTICS: dict[Normalization, Any] = {"imagenet": IMAGENET, "clip": CLIP, "half": HALF}


def names() -> tuple[str, ...]:
    """The backbones that need no hub: dgbench's own, and those whose weights packages carry."""
    from dgbench.models.backbones import small

    return (*(f"dgbench:{name}" for name in small.BUILDERS), *PACKAGED)


def build(name: str | BackboneName) -> Backbone:
    """A backbone with the weights that its name says, on the CPU.

    Weights of one's own are named by path, or as :func:`settled` names them. Random weights are drawn from torch's
    global generator. What dgbench pretrains itself (``@TASK``) is not loaded here: it is in the store.

    Raises:
        UnknownNameError: there is no such family, network, tag or option.
        DGBenchError: weights cannot be had, or an option does not fit the network.
    """
    parsed = replace(settled(parse(name) if isinstance(name, str) else name), pretrained_on=None)
    return _as_named(parsed, _family(parsed).build(parsed))


def bare(name: str) -> Backbone:
    """A backbone with random weights, whatever its name says of weights and of freezing: one to be given others.

    Nothing is fetched, and no file of weights is looked for.

    Raises:
        UnknownNameError, DGBenchError: as :func:`build`.
    """
    parsed = replace(parse(name), weights=None, under=None, pretrained_on=None, freeze=None)
    return _as_named(parsed, _family(parsed).bare(parsed))


def _as_named(parsed: BackboneName, backbone: Backbone) -> Backbone:
    """With the options that all families have in common."""
    if parsed.normalize != "auto":
        mean, std = _STATISTICS.get(parsed.normalize, parsed.normalize)
        backbone = replace(backbone, mean=mean, std=std)
    if parsed.freeze is not None:
        backbone = _frozen(backbone, parsed.freeze)
    if parsed.checkpointing:
        _checkpoint(backbone.module, parsed)
    return backbone


def with_classifier(name: str) -> tuple[nn.Module, str]:
    """The whole network that a backbone is part of, with the classifier that its weights came with; that layer's name.

    Raises:
        DGBenchError: they came with none that is one layer, or cannot be had.
    """
    parsed = settled(parse(name))
    if parsed.family not in ("timm", "packaged"):
        raise DGBenchError(f"'{name}' has no head of its own: only networks of timm come with a classifier")
    whole: tuple[nn.Module, str] = _family(parsed).with_classifier(parsed)
    return whole


def facts(name: str, fetch: bool) -> Facts:
    """What is known of a backbone without reading its weights; once known, it is kept in the cache.

    Args:
        name: Of the backbone.
        fetch: Whether published weights that are not on this machine are fetched, for their hash.

    Raises:
        UnknownNameError: there is no such family, network, tag or option.
        DGBenchError: an option does not fit the network, or weights cannot be fetched, or are not where they should be.
    """
    parsed = replace(settled(parse(name)), pretrained_on=None)
    find: Callable[[], Facts] = lambda: _family(parsed).facts(parsed)  # noqa: E731
    if parsed.weights is not None:
        return find()  # it is said of a file
    of = f"{parsed.canonical}, {versions(*LIBRARIES)}, dgbench {code('models')}"
    told = known("backbones/1", Facts, {of: find})[of]
    if fetch and parsed.family == "packaged":
        file_of(PACKAGES[parsed.architecture])
    if told.source is None:
        return told
    return replace(told, weights=hub.fingerprint(*told.source, parsed.canonical, fetch=fetch))


def _family(name: BackboneName) -> ModuleType:
    """Who builds a backbone. What is known of it takes neither them nor torch, nor what builds others."""
    return import_module(f"{__name__}.{'small' if name.family == 'dgbench' else name.family}")


def settled(name: BackboneName) -> BackboneName:
    """A name that means the same wherever its file lies; other names than those of one's own weights are so already.

    Own weights are named by the SHA-256 of their file, and the normalisation and the size that go with them are said:
    those of the name, else of the folder's configuration, else of the network's first published weights. What they were
    pretrained on is told by the name, else by the card of an exported model, else by nobody.

    Raises:
        DGBenchError: there is no such file or folder, or it is of another network.
    """
    if name.weights is None or (name.weights.startswith(BY_CONTENT) and name.normalize != "auto"):
        return name
    if name.weights.startswith(BY_CONTENT):
        folder = Folder(found(name.weights))
    else:
        path = path_of(name.weights)
        folder = look_into(path, name) if path.is_dir() else Folder(path)
    from dgbench.models.weightless import weightless

    with weightless():
        plain: Backbone = _family(name).bare(BackboneName(name.family, name.architecture))
    pooling = getattr(plain.module, "global_pool", None)
    pooling = getattr(pooling, "pool_type", pooling)
    if folder.pooling and isinstance(pooling, str) and pooling != folder.pooling:
        raise DGBenchError(
            f"{name.weights}: its network pools by '{folder.pooling}', timm's '{name.architecture}' by '{pooling}'"
        )
    statistics = folder.statistics or (plain.mean, plain.std)
    named = next((known for known, values in _STATISTICS.items() if values == statistics), statistics)
    return replace(
        name,
        size=name.size or (folder.size if folder.size != plain.size else None),
        normalize=named if name.normalize == "auto" else name.normalize,
        weights=seen(folder.file),
        pretrained_on=name.pretrained_on or folder.pretrained_on,
    )


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
    from torch import nn

    if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in module.modules()):
        raise DGBenchError(
            f"backbone '{name.network}': checkpointing would move batch normalisation's statistics twice"
        )
    owner: Any = getattr(module, "trunk", module)  # open_clip's wrapper would hide that timm's network refuses
    try:
        owner.set_grad_checkpointing(True)
    except (AttributeError, AssertionError) as error:  # timm's way to say no
        raise DGBenchError(f"backbone '{name.network}' has no gradient checkpointing; leave the option out") from error
