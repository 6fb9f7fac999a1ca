"""Models of the library open_clip. The network is the image tower; the text tower serves to make heads.

Weights that were trained with QuickGELU get it, whether or not the model's name says so; open_clip itself only warns.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor

from dgbench.core.backbone_name import BackboneName
from dgbench.core.errors import DGBenchError, UnknownNameError
from dgbench.models.backbones import hub
from dgbench.models.backbones.facts import CLIP, Facts, pretraining_data
from dgbench.models.backbones.matrices import find_matrices
from dgbench.models.backbones.own.fit import Fitted, Network, fit, load
from dgbench.models.backbones.own.source import found
from dgbench.models.backbones.own.tensors import read_tensors
from dgbench.models.backbones.provided import provided
from dgbench.models.backbones.uncompiled import uncompiled
from dgbench.models.network import Backbone
from dgbench.models.weightless import weightless

_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def build(name: BackboneName) -> Backbone:
    """The image tower of a model: with published weights where the name has a tag, with one's own, or random ones.

    Raises:
        UnknownNameError: open_clip has no such model or tag.
        DGBenchError: the weights cannot be had or need another activation, or the model is of a kind not supported.
    """
    return _described(name, towers(name).visual)


def bare(name: BackboneName) -> Backbone:
    """The image tower with random weights, whatever its name says of weights; raises as ``build``, fetches nothing."""
    config = _config(name)
    return _described(name, _resized(name, config, _model(name, config)).visual)


def _described(name: BackboneName, tower: Any) -> Backbone:
    config, tag = _config(name), _tag(name)
    mean, std = (tag["mean"], tag["std"]) if tag else CLIP
    dim, size = config["embed_dim"], _side(name, config)
    return Backbone(name.canonical, tower, dim, size, mean, std, matrices=find_matrices(tower))


def facts(name: BackboneName) -> Facts:
    """What is known of a model, and where its published weights are.

    Raises:
        UnknownNameError, DGBenchError: as ``build``.
    """
    config, tag = _config(name), _tag(name)
    with weightless():
        model = _model(name, config)
    tower = model.visual
    # Other tokenizers than the one in open_clip need a further library.
    text = {"text"} if "hf_tokenizer_name" not in config["text_cfg"] else set()
    known = Facts(_side(name, config), provided(tower) | text)
    if name.weights is not None:
        own = _Own.of(name, model)
        provides = known.provides if own.whole else known.provides - {"text"}
        under = own.fitted.under if own.fitted.several else None
        return replace(known, provides=provides, weights=name.weights, under=under, report=own.report)
    if tag is None or name.tag is None:
        return known
    return replace(known, pretrained_on=pretraining_data(name.tag), source=_source(tag))


@uncompiled()
def towers(name: BackboneName) -> Any:
    """The whole model, both towers, on the CPU; raises as ``build``.

    The text tower is random where one's own weights are those of an image tower.
    """
    import open_clip

    config, tag = _config(name), _tag(name)
    file = hub.fetched(*_source(tag), name.canonical) if tag else None
    model = _model(name, config)
    if file is not None:
        # Where it is no safetensors file, open_clip unpickles tensors alone.
        open_clip.load_checkpoint(model, str(file), weights_only=True)
    if name.weights is not None:
        own = _Own.of(name, model)
        load(model if own.whole else model.visual, own.fitted)
    return _resized(name, config, model)


def _resized(name: BackboneName, config: dict[str, Any], model: Any) -> Any:
    if name.size is not None and "timm_model_name" in config["vision_cfg"]:
        model.visual.set_input_size(name.size)  # resizes positional embeddings, after the weights are in
    return model


def _model(name: BackboneName, config: dict[str, Any]) -> Any:
    """The model with random weights, built from its configuration."""
    import open_clip

    vision = config["vision_cfg"]
    if "timm_model_name" in vision:
        vision = vision | {"timm_model_pretrained": False}
    elif name.size is not None:
        vision = vision | {"image_size": name.size}
    arguments = {key: value for key, value in config.items() if key != "custom_text"} | {"vision_cfg": vision}
    return (open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP)(**arguments)


@dataclass(frozen=True)
class _Own:
    """One's own weights for a model, or for its image tower alone.

    Attributes:
        fitted: The tensors.
        whole: Whether they are those of both towers.
        report: What is to be said of them.
    """

    fitted: Fitted
    whole: bool
    report: str

    @classmethod
    def of(cls, name: BackboneName, model: Any) -> _Own:
        """Both towers if the file has them, else the image tower."""
        assert name.weights is not None
        file = found(name.weights)
        tensors = read_tensors(file)
        title = f"open_clip:{name.architecture}"
        both = Network(title, model.state_dict(), adapt=partial(_adapt, model))
        try:
            fitted = fit(file.name, tensors, both, name.under)
            return cls(fitted, True, fitted.report(file.name, both))
        except DGBenchError:
            image = Network(f"{title} (image tower)", model.visual.state_dict(), adapt=partial(_adapt_image, model))
            fitted = fit(file.name, tensors, image, name.under)
            return cls(fitted, False, fitted.report(file.name, image))


def _adapt(model: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """open_clip's way to read files of earlier versions and for other sizes of images."""
    from open_clip import model as library

    if "positional_embedding" in tensors and not hasattr(model, "positional_embedding"):
        tensors = library.convert_to_custom_text_state_dict(tensors)
    for name in ("logit_scale", "logit_bias"):
        if name in tensors and getattr(model, name) is not None:
            tensors[name] = tensors[name].reshape(getattr(model, name).shape)
    library.resize_pos_embed(tensors, model)
    library.resize_text_pos_embed(tensors, model)
    return tensors


def _adapt_image(model: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    from open_clip import model as library

    named = {f"visual.{name}": tensor for name, tensor in tensors.items()}
    library.resize_pos_embed(named, model)
    return {name.removeprefix("visual."): tensor for name, tensor in named.items()}


@uncompiled()
def _config(name: BackboneName) -> dict[str, Any]:
    """open_clip's configuration of a model, with the activation that the weights want."""
    import open_clip

    if name.architecture not in open_clip.list_models():  # open_clip would take a configuration from anywhere
        raise UnknownNameError("model of open_clip", name.architecture, open_clip.list_models())
    config: dict[str, Any] = open_clip.get_model_config(name.architecture)
    if "multimodal_cfg" in config:
        raise DGBenchError(f"backbone '{name.canonical}': captioning models have no one feature for an image")
    if "hf_model_name" in config["text_cfg"]:
        raise DGBenchError(f"backbone '{name.canonical}': its text tower needs the library transformers; take another")
    if name.size and name.tag and isinstance(config["vision_cfg"].get("layers"), list):
        raise DGBenchError(f"backbone '{name.canonical}': CLIP's ResNets take images of their own size only")
    tag = _tag(name)
    if tag is not None:
        quick = tag.get("quick_gelu", False)
        if config.get("quick_gelu", False) and not quick:
            remedy = name.architecture.replace("-quickgelu", "")
            raise DGBenchError(
                f"backbone '{name.canonical}': these weights were trained with GELU, '{name.architecture}' computes "
                f"QuickGELU; take open_clip:{remedy}/{name.tag}"
            )
        config["quick_gelu"] = quick
    return config


def _tag(name: BackboneName) -> dict[str, Any] | None:
    from open_clip import pretrained

    if name.tag is None:
        return None
    tags = pretrained.list_pretrained_tags_by_model(name.architecture)
    if name.tag in tags:  # as it is written: open_clip itself takes other spellings, which would be other names here
        found: dict[str, Any] = pretrained.get_pretrained_cfg(name.architecture, name.tag)
        return found
    owners = pretrained.list_pretrained_models_by_tag(name.tag)
    if owners and name.architecture not in owners:
        own = f"the tags of '{name.architecture}' are {', '.join(sorted(tags))}" if tags else "it has none in open_clip"
        raise DGBenchError(
            f"backbone '{name.canonical}': the weights '{name.tag}' are of {', '.join(sorted(owners))}; {own}"
        )
    raise UnknownNameError(f"tag of weights of open_clip's '{name.architecture}'", name.tag, tags)


def _source(tag: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    repository, file = os.path.split(tag["hf_hub"])
    return repository, (file,) if file else _FILES


def _side(name: BackboneName, config: dict[str, Any]) -> int:
    given: int | list[int] = name.size or config["vision_cfg"].get("image_size", 224)
    return given if isinstance(given, int) else given[0]
