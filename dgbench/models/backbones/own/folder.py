"""Folders of weights, with a JSON file that says of which network they are and how it is fed.

Three layouts are read: those that the Hugging Face hub has of timm (``config.json`` with ``architecture``) and of
open_clip (``open_clip_config.json``), and what ``dgbench export`` writes (``card.json``). What they say is compared
with the network of the name; size of the input and normalisation are taken from them. Nothing else that they say is
given to a library: a network that differs from the one of its name is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from dgbench.core.backbone_name import BackboneName
from dgbench.core.backbone_options import MAX_SIZE, MIN_SIZE, Statistics, statistics
from dgbench.core.errors import DGBenchError, shown
from dgbench.core.names import in_short

_FILES = {
    "timm": ("model.safetensors", "pytorch_model.bin"),
    "open_clip": ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
}
_CONFIG = {"timm": "config.json", "open_clip": "open_clip_config.json"}
_CARD, _OF_CARD = "card.json", "model.safetensors"
"""Of an exported model."""
_LARGEST = 16 * 2**20
"""Bytes of such a file."""
_OF_TRAINING = {
    *("num_classes", "drop_rate", "drop_path_rate", "proj_drop_rate", "attn_drop_rate", "pos_drop_rate"),
    *("patch_drop_rate", "drop_block_rate", "label_names"),
}  # fmt: skip
"""Arguments that change nothing of what a network computes as a backbone: its classifier, and noise while it learns."""


@dataclass(frozen=True)
class Folder:
    """What a folder holds.

    Attributes:
        file: The weights.
        size: Side of the input that they were trained with, in pixels; None if it is not said.
        statistics: That inputs were normalised with; None if it is not said.
        pooling: How the network makes one feature of a map, in timm's words; None if it is not said.
        pretrained_on: What the weights learnt from, in words; None if it is not said.
    """

    file: Path
    size: int | None = None
    statistics: Statistics | None = None
    pooling: str | None = None
    pretrained_on: str | None = None


def look_into(folder: Path, name: BackboneName) -> Folder:
    """What a folder holds for a backbone.

    Raises:
        DGBenchError: no weights or no configuration are there, or they are of another network.
    """
    if (folder / _CARD).is_file():
        return _exported(folder / _CARD, name)
    if name.family not in _FILES:
        raise DGBenchError(f"{folder} is a folder; a '{name.family}:' backbone takes a file of weights")
    file = next((folder / each for each in _FILES[name.family] if (folder / each).is_file()), None)
    if file is None:
        parts = sorted(path.name for path in folder.glob("*.index.json"))
        why = f" (it has {parts[0]}: weights in several files are not read)" if parts else ""
        raise DGBenchError(
            f"{folder} has none of the files {', '.join(_FILES[name.family])}{why}; name the file of weights itself"
        )
    path = folder / _CONFIG[name.family]
    config = _json(path, file)
    return _timms(path, config, name, file) if name.family == "timm" else _open_clips(path, config, name, file)


def _json(path: Path, file: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DGBenchError(f"{path.parent} has no {path.name}; name the file of weights itself: weights={file}")
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"more than {_LARGEST} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError("no table")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise DGBenchError(f"{path} cannot be read as the configuration of a network ({error})") from error
    return content


def _exported(path: Path, name: BackboneName) -> Folder:
    file = path.with_name(_OF_CARD)
    card = _json(path, file)
    if not str(card.get("schema")).startswith("dgbench.model/") or not file.is_file():
        raise DGBenchError(f"{path} is of no exported model of dgbench; name the file of weights itself")
    backbone, fed, chosen = (_table(path, card.get(key)) for key in ("backbone", "preprocessing", "selection"))
    if (backbone.get("library"), backbone.get("architecture")) != (name.family, name.architecture):
        its = f"{_word(backbone.get('library'))}:{_word(backbone.get('architecture'))}"
        raise DGBenchError(f"{path} is of the backbone {its}, not of {name.family}:{name.architecture}; take {its}")
    learnt = f"{_word(chosen.get('dataset'))} ({in_short([*map(_word, chosen.get('sources') or ())])})"
    before = backbone.get("pretrained_on")
    past = f"{before}, then {learnt}" if isinstance(before, str) and before and before.isprintable() else learnt
    return Folder(file, _side(path, fed.get("size")), _fed(path, fed), pretrained_on=past)


def _timms(path: Path, config: dict[str, Any], name: BackboneName, file: Path) -> Folder:
    if "architecture" not in config:
        raise DGBenchError(
            f"{path} does not say 'architecture', so it is not of the library timm; name the file itself"
        )
    fed = _table(path, config.get("pretrained_cfg", config))
    arguments = _table(path, config.get("model_args", {}))
    architecture = config["architecture"]
    if architecture != name.architecture:
        raise DGBenchError(
            f"{path} is of timm's {shown(architecture)}, not of '{name.architecture}'; take timm:{_word(architecture)}"
        )
    if arguments.get("in_chans", 3) != 3:
        raise DGBenchError(f"{path}: 'in_chans' is {shown(arguments['in_chans'])}; images have three channels here")
    if others := sorted(arguments.keys() - _OF_TRAINING - {"in_chans", "img_size", "global_pool"}):
        raise DGBenchError(
            f"{path}: 'model_args' makes another network of '{name.architecture}' ({', '.join(map(shown, others))}); "
            "dgbench builds the networks that timm lists, so take one that is so by itself"
        )
    size = _side(path, arguments.get("img_size") or fed.get("input_size"))
    pooling = arguments.get("global_pool", config.get("global_pool"))
    return Folder(file, size, _fed(path, fed), pooling if isinstance(pooling, str) else None)


def _open_clips(path: Path, config: dict[str, Any], name: BackboneName, file: Path) -> Folder:
    import open_clip

    model = _table(path, config.get("model_cfg", {}))
    mine = open_clip.get_model_config(name.architecture) if name.architecture in open_clip.list_models() else {}
    if model and mine and (differing := sorted(_differing(model, mine))):
        others = (other for other in open_clip.list_models() if other != name.architecture)
        same = next((other for other in others if not _differing(model, open_clip.get_model_config(other))), None)
        remedy = f"take open_clip:{same}" if same else "open_clip lists no such network"
        raise DGBenchError(
            f"{path} is of another network than open_clip's '{name.architecture}' ({', '.join(differing)}); {remedy}"
        )
    vision = _table(path, model.get("vision_cfg", {}))
    fed = _table(path, config.get("preprocess_cfg", {}))
    return Folder(file, _side(path, vision.get("image_size") or fed.get("size")), _fed(path, fed))


def _differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """Fields, as ``vision_cfg.layers``, that make two networks of open_clip differ in more than the size of images."""

    def flat(table: dict[str, Any]) -> dict[str, object]:
        rows: dict[str, object] = {}
        for key, value in table.items():
            within = value.items() if isinstance(value, dict) else ()
            rows |= {f"{key}.{inner}": content for inner, content in within} if within else {key: value}
        ignored = {"vision_cfg.image_size", "vision_cfg.timm_model_pretrained", "text_cfg.hf_model_pretrained"}
        return {key: value for key, value in rows.items() if key not in ignored and value not in (None, False)}

    left, right = flat(one), flat(other)
    return {key for key in left.keys() | right.keys() if left.get(key) != right.get(key)}


def _fed(path: Path, table: dict[str, Any]) -> Statistics | None:
    if "mean" not in table and "std" not in table:
        return None
    try:
        return statistics(table.get("mean"), table.get("std"))
    except ValueError as error:
        raise DGBenchError(f"{path}: 'mean' and 'std': {error}") from error


def _side(path: Path, size: object) -> int | None:
    """Of ``224``, ``[224, 224]`` or ``[3, 224, 224]``."""
    match size:
        case None:
            return None
        case [3, height, width] | [height, width] if height == width:
            side = height
        case _:
            side = size
    if not isinstance(side, int) or isinstance(side, bool) or not MIN_SIZE <= side <= MAX_SIZE:
        _refuse(path, f"the size of the input is {shown(size)}, expected a square of {MIN_SIZE} to {MAX_SIZE} pixels")
    return side


def _table(path: Path, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(path, f"expected a table, got {shown(value)}")
    return value


def _refuse(path: Path, why: str) -> NoReturn:
    raise DGBenchError(f"{path}: {why}")


def _word(value: object) -> str:
    """A name that a file gives, if it can stand in a line."""
    return value if isinstance(value, str) and value.isprintable() and len(value) < 100 else "NAME"
