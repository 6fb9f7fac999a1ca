"""What is said of each class, for heads made of texts (``models/zero_shot.py``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dgbench.core.dataset_card import Wording
from dgbench.core.errors import DGBenchError, did_you_mean

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


@dataclass(frozen=True)
class Texts:
    """What a head of texts is made of.

    Attributes:
        classes: Their names, in the order of the head's rows.
        wording: How they are said.
    """

    classes: tuple[str, ...]
    wording: Wording


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
