"""A card in the making, and the file that it becomes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dgbench.core.dataset_card import DatasetCard, dataset_names
from dgbench.core.errors import DataError
from dgbench.core.files import whole
from dgbench.data.look.toml import as_toml


@dataclass
class Draft:
    """A card in the making.

    Attributes:
        name: Of the dataset.
        content: The card, as plain data.
        said: What was found, and what it was taken for: one line each.
    """

    name: str
    content: dict[str, Any]
    said: list[str] = field(default_factory=list)


def draft_card(name: str, said: list[str], classes: Sequence[str], domains: dict[str, int], **content: Any) -> Draft:
    """The card that follows from classes and counts by domain; raises DataError where there is but one domain."""
    if len(domains) < 2:
        raise DataError(
            f"only one domain was found ({', '.join(domains)}); leaving one out needs two or more. Is another level of "
            "folders, or another column, the domain? Say so with --layout or --domain"
        )
    rows = []
    for found, count in domains.items():
        plain = _domain_name(found)
        rows.append({"name": plain, "count": count} | ({} if plain == found else {"folders": [found]}))
    card = {
        "name": name,
        "title": name.replace("-", " ").capitalize(),
        "summary": f"{sum(domains.values())} images, {len(classes)} classes, {len(domains)} domains.",
        "classes": list(classes),
        "licence": "unknown: write the terms of your data here",
        "redistribution": "unknown",
        **content,
        "domains": rows,
    }
    return Draft(name, card, said)


def write(draft: Draft, folder: Path, *, replace: bool = False) -> Path:
    """Write the card as ``folder/NAME.toml``.

    Raises:
        DataError: a card of that name is there already.
    """
    path = folder / f"{draft.name}.toml"
    if not replace and (path.exists() or draft.name in dataset_names()):
        raise DataError(f"there is a dataset named '{draft.name}' already; give another name with --name")
    DatasetCard.model_validate(draft.content)
    with whole(path) as temporary:
        temporary.write_text(as_toml(draft.content), encoding="utf-8")
    return path


def plain_name(text: str) -> str:
    """A name as cards want it: lower case, digits and hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not name:
        raise DataError(f"no name can be made from '{text}'; give one with --name")
    return name


def _domain_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-._") or "domain"
