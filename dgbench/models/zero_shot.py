"""Zero-shot heads: a linear classifier whose rows are what a text tower makes of sentences about each class.

    u_c = unit(mean_t unit(text(t(c))))        row_c = exp(logit_scale) * u_c        bias = 0

Radford, Kim, Hallacy, Ramesh, Goh, Agarwal, Sastry, Askell, Mishkin, Clark, Krueger, Sutskever: Learning Transferable
Visual Models From Natural Language Supervision. ICML 2021. arXiv 2103.00020. On features of length one its logits are
the model's own. The scale is part of the weights, and so is trained and averaged with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.core.backbone_name import parse
from dgbench.core.dataset_card import Wording
from dgbench.core.errors import DGBenchError, did_you_mean
from dgbench.models.network import Network

TEMPLATES = {
    "photo": ("a photo of a {}.",),
    "varied": (
        "a photo of a {}.",
        "a photo of one {} among other things.",
        "a close view of a {}.",
        "a {} seen from afar.",
        "a dark, grainy photo of a {}.",
        "a bright photo of a {} on a plain background.",
        "a painting of a {}.",
        "a pencil sketch of a {}.",
        "a simple line drawing of a {}.",
        "a cartoon of a {}.",
        "an icon that stands for a {}.",
        "a computer rendering of a {}.",
    ),
}
"""Sets of sentences by name."""

AT_ONCE = 256
"""Sentences that the text tower reads at once."""


def sentences(classes: Sequence[str], wording: Wording) -> list[list[str]]:
    """What is said of each class: one sentence for each template.

    Class names are said as words: in lower case, with spaces for underscores and hyphens.

    Raises:
        DGBenchError: the wording renames a class that there is not, or a template has not one ``{}``.
    """
    templates = templates_of(wording)
    if not templates:
        raise DGBenchError("wording.templates: expected at least one sentence")
    for template in templates:
        if template.count("{}") != 1:
            raise DGBenchError(f"wording.templates: '{template}' must have one '{{}}', where the class goes")
    for name in wording.names:
        if name not in classes:
            raise DGBenchError(f"wording.names: there is no class '{name}'.{did_you_mean(name, classes)}")
    return [[template.replace("{}", spoken(name, wording.names)) for template in templates] for name in classes]


def templates_of(wording: Wording) -> tuple[str, ...]:
    """The sentences of a wording, those of a named set spelled out."""
    return TEMPLATES[wording.templates] if isinstance(wording.templates, str) else wording.templates


def spoken(name: str, names: Mapping[str, str]) -> str:
    """A class as one says it."""
    return names.get(name) or " ".join(name.replace("_", " ").replace("-", " ").lower().split())


def zero_shot_head(backbone: str, classes: Sequence[str], wording: Wording) -> Tensor:
    """The rows ``[C, d]`` of the head, on the CPU.

    Args:
        backbone: A name of the family ``open_clip``.
        classes: Names of the C classes.
        wording: How they are said.

    Raises:
        DGBenchError: the backbone has no text tower, or the wording does not fit the classes.
    """
    import open_clip as library

    from dgbench.models.backbones import facts, open_clip

    if "text" not in facts(backbone, fetch=False).provides:
        raise DGBenchError(
            f"a zero-shot head needs a text tower, which '{backbone}' has not; take an 'open_clip:' backbone such as "
            "'open_clip:ViT-B-16/openai'"
        )
    said = sentences(classes, wording)
    name = parse(backbone)
    model = open_clip.towers(name).eval()
    tokens = library.get_tokenizer(name.architecture)([sentence for of_class in said for sentence in of_class])
    with torch.no_grad():
        embedded = torch.cat([model.encode_text(part) for part in tokens.split(AT_ONCE)])
        rows: Tensor = model.logit_scale.exp() * class_embeddings(embedded.view(len(classes), -1, embedded.shape[1]))
    return rows


def class_embeddings(embedded: Tensor) -> Tensor:
    """``[C, d]`` of length one, from embeddings ``[C, T, d]`` of T sentences a class: unit, mean, unit."""
    return F.normalize(F.normalize(embedded, dim=-1).mean(1), dim=-1)


def set_zero_shot_head(network: Network, classes: Sequence[str], wording: Wording) -> None:
    """Give a network the zero-shot head of its backbone, in place.

    Raises:
        ValueError: the network's features do not have unit length.
        DGBenchError: as :func:`zero_shot_head`.
    """
    if not network.unit_features:
        raise ValueError("a zero-shot head wants features of length one: Network(..., unit_features=True)")
    with torch.no_grad():
        network.head.weight.copy_(zero_shot_head(network.info.name, classes, wording))
        network.head.bias.zero_()
