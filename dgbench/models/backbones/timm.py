"""Image networks of the library timm.

Normalisation and image size come from the configuration of the weights. A CLIP tower keeps its projection to the space
that it shares with texts, where timm has it as the classifier: those are the features it was trained for.
"""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dgbench.core.backbone_name import BackboneName
from dgbench.core.errors import DGBenchError, UnknownNameError, did_you_mean
from dgbench.models.backbones import hub
from dgbench.models.backbones.facts import Facts, pretraining_data
from dgbench.models.backbones.matrices import find_matrices
from dgbench.models.backbones.own.fit import Adapt, Fitted, Network, fit, load
from dgbench.models.backbones.own.source import found
from dgbench.models.backbones.own.tensors import read_tensors
from dgbench.models.backbones.provided import provided
from dgbench.models.backbones.uncompiled import uncompiled
from dgbench.models.network import Backbone
from dgbench.models.undrawn import Undrawn
from dgbench.models.weightless import weightless

_FILES = ("model.safetensors", "pytorch_model.bin")
_ADAPTS = ("checkpoint_filter_fn", "_filter_fn", "_filter_torchvision_pretrained", "checkpoint_filter_fn_encoder")
"""What timm calls the function of a family of networks that reads files of others."""
_COMPARED = 24
"""Networks that are looked at for the one that is meant."""


def build(name: BackboneName) -> Backbone:
    """A network of timm: with published weights where the name has a tag, with one's own, or with random ones.

    Raises:
        UnknownNameError: timm has no such network or tag.
        DGBenchError: the weights cannot be had, do not fit or need another activation, or the network cannot take the
            image size.
    """
    config = _config(name)
    if name.weights is None:
        weights = hub.fetched(config.hf_hub_id, _files(config), name.canonical) if name.tag else None
        return _described(name, config, _create(name, config, weights))
    with Undrawn():
        module = _create(name, config, weights=None)
    load(module, _own(name, module)[0])
    return _described(name, config, module)


def bare(name: BackboneName) -> Backbone:
    """The network with random weights, whatever its name says of weights; raises as ``build``, and fetches nothing."""
    config = _config(name)
    return _described(name, config, _create(name, config, weights=None))


def _described(name: BackboneName, config: Any, module: Any) -> Backbone:
    dim = module.num_classes or getattr(module, "head_hidden_size", None) or module.num_features
    size = name.size or config.input_size[-1]
    return Backbone(name.canonical, module, dim, size, config.mean, config.std, matrices=find_matrices(module))


def facts(name: BackboneName) -> Facts:
    """What is known of a network of timm, and where its published weights are.

    Raises:
        UnknownNameError: timm has no such network or tag.
        DGBenchError: as ``build``.
    """
    config = _config(name)
    with weightless():
        module = _create(name, config, weights=None)
    known = Facts(name.size or config.input_size[-1], provided(module))
    if name.weights is not None:
        fitted, report = _own(name, module)
        head = _own_classifier(name, config, fitted)
        under = fitted.under if fitted.several else None
        return replace(
            known, weights=name.weights, under=under, report=report, head=len(head["weight"]) if head else None
        )
    if name.tag is None:
        return known
    classes = config.num_classes if _classifier(name, config) else None
    source = (config.hf_hub_id, _files(config))
    return replace(known, pretrained_on=pretraining_data(name.tag), source=source, head=classes or None)


def with_classifier(name: BackboneName) -> tuple[Any, str]:
    """The whole network with the classifier that its weights came with, and the name of that layer.

    Raises:
        DGBenchError: its weights came with no classifier that is one layer, or as ``build``.
    """
    config = _config(name)
    layer = _classifier(name, config)
    if layer is None:
        raise DGBenchError(f"backbone '{name.canonical}': its classifier is no one layer, so it has no head of its own")
    if name.weights is None:
        weights = hub.fetched(config.hf_hub_id, _files(config), name.canonical) if name.tag else None
        return _create(name, config, weights, classes=config.num_classes), layer
    fitted, _ = _own(name, bare(name).module)
    head = _own_classifier(name, config, fitted)
    if head is None:
        raise DGBenchError(f"backbone '{name.canonical}': its file has no classifier '{layer}'")
    module = _create(name, config, weights=None, classes=len(head["weight"]))
    own = module.get_submodule(layer).state_dict()
    its = {f"{layer}.{key}": head.get(key, torch.zeros_like(tensor)) for key, tensor in own.items()}
    load(module, replace(fitted, tensors=fitted.tensors | its))
    return module, layer


def _classifier(name: BackboneName, config: Any) -> str | None:
    """The name of the layer that is its classifier; None where it has several, or a CLIP tower's projection."""
    layer = config.classifier
    return layer if isinstance(layer, str) and layer and not _keeps_projection(name, config) else None


def _own_classifier(name: BackboneName, config: Any, fitted: Fitted) -> dict[str, Tensor] | None:
    """``weight``, and ``bias`` where it has one, of the classifier in the file of one's own weights; None without."""
    layer = _classifier(name, config)
    if layer is None or name.weights is None:
        return None
    tensors, place = read_tensors(found(name.weights)), f"{fitted.under}." if fitted.under else ""
    named = {key: tensors.get(f"{place}{layer}.{key}") for key in ("weight", "bias")}
    there = {key: tensor for key, tensor in named.items() if tensor is not None}
    return there if "weight" in there and there["weight"].ndim >= 2 else None


@uncompiled()
def _config(name: BackboneName) -> Any:
    """timm's configuration of the weights; of random ones, that of the architecture's first weights."""
    import timm

    _refuse_former_name(name)
    if not timm.is_model(name.architecture):
        raise UnknownNameError("network of timm", name.architecture, timm.list_models())
    if name.tag is None:
        return timm.models.get_pretrained_cfg(name.architecture)
    tags = _tags(name.architecture)
    if name.tag not in tags:
        raise UnknownNameError(f"tag of weights of timm's '{name.architecture}'", name.tag, tags)
    _refuse_wrong_activation(name)
    config = timm.models.get_pretrained_cfg(f"{name.architecture}.{name.tag}")
    if not config.hf_hub_id:
        raise DGBenchError(
            f"backbone '{name.canonical}': its weights are not on the Hugging Face hub; take another tag"
        )
    return config


def _refuse_former_name(name: BackboneName) -> None:
    """timm maps names of earlier versions to others when it builds a network, but has no configuration for them."""
    from timm.models import get_deprecated_models

    former: dict[str, str | None] = get_deprecated_models()
    if name.architecture not in former:
        return
    now = former[name.architecture]
    architecture, _, tag = (now or "").partition(".")
    if now is None:
        said = "is no longer in timm; take another"
    elif tag and tag not in _tags(architecture):
        said = (
            f"is now called '{architecture}', and its weights '{tag}' are gone.{did_you_mean(tag, _tags(architecture))}"
        )
    else:
        said = f"is now called '{now}'; take timm:{now}"
    raise DGBenchError(f"backbone '{name.canonical}': '{name.architecture}' {said}")


def _tags(architecture: str) -> list[str]:
    """Of the weights that timm lists."""
    import timm

    return [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]


_QUICK_ELSEWHERE = {"vit_base_patch16_clip_224.dfn2b": "open_clip:ViT-B-16/dfn2b"}
"""Weights trained with QuickGELU for which timm has no network that computes it."""


def _refuse_wrong_activation(name: BackboneName) -> None:
    """Weights trained with QuickGELU compute something else with GELU, and nothing would say so.

    Which ones they are, timm says by listing the same tag under a network with ``quickgelu`` in its name.
    """
    import timm

    here = f"{name.architecture}.{name.tag}"
    twin = re.sub("_clip_(?!quickgelu_)", "_clip_quickgelu_", here)
    listed = twin != here and twin in timm.list_pretrained(f"{twin.partition('.')[0]}.*")
    remedy = f"timm:{twin}" if listed else _QUICK_ELSEWHERE.get(here)
    if remedy is not None:
        raise DGBenchError(
            f"backbone '{name.canonical}': these weights were trained with QuickGELU, '{name.architecture}' computes "
            f"GELU; take {remedy}"
        )


def _create(name: BackboneName, config: Any, weights: Path | None, classes: int | None = None) -> Any:
    """The network: as a backbone, or with a classifier of so many classes."""
    import timm

    options: dict[str, Any] = _options(name, config) | ({} if classes is None else {"num_classes": classes})
    if weights is not None:
        # The very file that is hashed. Where it is no safetensors file, timm unpickles tensors alone (weights_only).
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(weights)}}
    try:
        return timm.create_model(name.network.partition(":")[2], **options)
    except AssertionError as error:  # timm's way to refuse a size
        raise DGBenchError(f"backbone '{name.canonical}': timm cannot build it ({error})") from error


def options(name: BackboneName) -> dict[str, int]:
    """What ``timm.create_model`` is told beside the architecture to build the network of that name."""
    return _options(name, _config(name))


def _options(name: BackboneName, config: Any) -> dict[str, int]:
    given = {"num_classes": config.num_classes if _keeps_projection(name, config) else 0}
    return given | ({"img_size": name.size} if name.size is not None and config.fixed_input_size else {})


def licence(name: BackboneName) -> str:
    """What timm says of the licence of the weights; empty where it says nothing."""
    return str(_config(name).license or "")


def _keeps_projection(name: BackboneName, config: Any) -> bool:
    """Whether the classifier is no classifier, but a CLIP tower's projection."""
    full = f"{config.architecture or name.architecture}.{config.tag}"
    return "clip" in full and not re.search(r"_ft_in\d+k", full)


def _files(config: Any) -> tuple[str, ...]:
    return (config.hf_hub_filename,) if config.hf_hub_filename else _FILES


def _own(name: BackboneName, module: Any) -> tuple[Fitted, str]:
    """The tensors of a network in the file of one's own weights, and what is to be said of them."""
    assert name.weights is not None
    file = found(name.weights)
    network = _asked(f"timm:{name.architecture}", module)
    fitted = fit(file.name, read_tensors(file), network, name.under, _similar(name.architecture))
    return fitted, fitted.report(file.name, network)


def _asked(name: str, module: Any) -> Network:
    classifier = module.pretrained_cfg.get("classifier") or ()
    layers = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return Network(name, module.state_dict(), layers, _adapt(module))


def _adapt(module: Any) -> Adapt | None:
    """timm's way to read files of earlier versions, of other programs and for other sizes of images."""
    family = sys.modules[type(module).__module__]
    function = next((getattr(family, name) for name in _ADAPTS if hasattr(family, name)), None)
    if function is None:
        return None
    takes_module = len(inspect.signature(function).parameters) > 1

    def adapt(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        adapted: dict[str, Tensor] = function(tensors, module) if takes_module else function(tensors)
        return adapted

    return adapt


def _similar(architecture: str) -> Iterator[Network]:
    """Networks of the same kind, those of the most similar names first."""
    import timm

    kind = timm.models.model_entrypoint(architecture).__module__.rpartition(".")[2]
    names = [name for name in timm.list_models(module=kind) if name != architecture]
    names.sort(key=lambda name: -difflib.SequenceMatcher(None, name, architecture).ratio())
    for name in names[:_COMPARED]:
        with weightless():
            yield _asked(f"timm:{name}", timm.create_model(name, num_classes=0))
