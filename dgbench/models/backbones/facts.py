"""What can be said of a backbone without its weights."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dgbench.core.backbone_name import UNTOLD

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
"""Mean and standard deviation of channels in [0, 1]."""


@dataclass(frozen=True)
class Facts:
    """A backbone from the outside.

    Attributes:
        size: Side of the square input, in pixels.
        provides: What it offers to parts: ``low_rank`` (matrices that low-rank adapters can change), ``levels`` (blocks
            or stages on the way to its features), ``text`` (a text tower, for zero-shot heads), ``normalisation``
            (layers that normalise, with scales and shifts) and ``batch_statistics`` (some that do so by the batch).
        weights: ``sha256:...`` of the file of published weights, or of one's own; None for random weights.
        pretrained_on: The data of published weights.
        under: Where one's own weights are in their file, if only that tells them from others in it.
        report: What was found in the file of one's own weights, and what was left out, in words.
        source: Where published weights are: a repository of the Hugging Face hub, and what the file may be called.
        head: Of how many classes the classifier is that the weights came with; None where they came with none.
    """

    size: int
    provides: frozenset[str]
    weights: str | None = None
    pretrained_on: str | None = None
    under: str | None = None
    report: str = ""
    source: tuple[str, tuple[str, ...]] | None = None
    head: int | None = None


_DATA = {
    "openai": "WIT-400M (OpenAI)",
    "laion400m": "LAION-400M",
    "laion2b": "LAION-2B",
    "laion5b": "LAION-5B",
    "laiona": "LAION-Aesthetic",
    "merged2b": "Merged-2B",
    "datacomp_?xl": "DataComp-1B",
    "datacomp1b": "DataComp-1B",
    "dfn2b": "DFN-2B",
    "dfn5b": "DFN-5B",
    "metaclip_400m": "MetaCLIP-400M",
    "metaclip_fullcc": "MetaCLIP-2.5B",
    "metaclip_2pt5b": "MetaCLIP-2.5B",
    "webli": "WebLI",
    "cc12m": "CC12M",
    "yfcc15m": "YFCC15M",
    "lvd142m": "LVD-142M",
    "in1k": "ImageNet-1k",
    "in12k": "ImageNet-12k",
    "in21k": "ImageNet-21k",
    "in22k": "ImageNet-22k",
}
_IN_TAG = re.compile("|".join(f"({pattern})" for pattern in _DATA))


def pretraining_data(tag: str) -> str:
    """The data sets that a tag of weights names, in the order of training; the tag itself if it names none.

    ``laion2b_ft_in12k_in1k`` gives ``LAION-2B, ImageNet-12k, ImageNet-1k``.
    """
    titles = list(_DATA.values())
    found = [titles[match.lastindex - 1] for match in _IN_TAG.finditer(tag) if match.lastindex]
    return ", ".join(dict.fromkeys(found)) or tag


def told(words: str) -> str:
    """What somebody says that weights were pretrained on, known data sets called as they are everywhere here."""
    if words == "unknown":
        return UNTOLD
    titles = {_plain(title): title for title in _DATA.values()}
    return ", ".join(titles.get(_plain(word), word) for word in map(str.strip, words.split(",")) if word)


def _plain(title: str) -> str:
    return re.sub(r"[^a-z0-9]", "", title.lower())
