"""Models of the library open_clip. The network is the image tower; the text tower serves to make heads.

Weights that were trained with QuickGELU get it, whether or not the model's name says so; open_clip itself only warns.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import torch

from dgbench.core.backbone_name import BackboneName
from dgbench.core.errors import DGBenchError, UnknownNameError
from dgbench.models.backbones import hub
from dgbench.models.backbones.facts import CLIP, Facts, pretraining_data, provided
from dgbench.models.backbones.matrices import find_matrices
from dgbench.models.network import Backbone

_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def build(name: BackboneName) -> Backbone:
    """The image tower of a model, with published weights where the name has a tag, else with random ones.

    Raises:
        UnknownNameError: open_clip has no such model or tag.
        DGBenchError: the weights cannot be had or need another activation, or the model is of a kind not supported.
    """
    config, tag = _config(name), _tag(name)
    tower = towers(name).visual
    mean, std = (tag["mean"], tag["std"]) if tag else CLIP
    dim, size = config["embed_dim"], _side(name, config)
    return Backbone(name.canonical, tower, dim, size, mean, std, matrices=find_matrices(tower))


def facts(name: BackboneName, fetch: bool) -> Facts:
    """What is known of a model; its weights are hashed if they are on this machine, or may be fetched.

    Raises:
        UnknownNameError, DGBenchError: as ``build``.
    """
    config, tag = _config(name), _tag(name)
    with torch.device("meta"):
        tower = _model(name, config).visual
    # Other tokenizers than the one in open_clip need a further library.
    text = {"text"} if "hf_tokenizer_name" not in config["text_cfg"] else set()
    known = Facts(_side(name, config), provided(tower) | text)
    if tag is None or name.tag is None:
        return known
    weights = hub.fingerprint(*_source(tag), name.canonical, fetch=fetch)
    return replace(known, weights=weights, pretrained_on=pretraining_data(name.tag))


def towers(name: BackboneName) -> Any:
    """The whole model, both towers, on the CPU; raises as ``build``."""
    import open_clip

    config, tag = _config(name), _tag(name)
    file = hub.fetched(*_source(tag), name.canonical) if tag else None
    model = _model(name, config)
    if file is not None:
        # Where it is no safetensors file, open_clip unpickles tensors alone.
        open_clip.load_checkpoint(model, str(file), weights_only=True)
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
