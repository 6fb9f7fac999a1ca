"""Cards in which every field is set by some sample, and how to change one of their values."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from dgbench.core.cards import AlgorithmCard, BoardCard
from dgbench.core.dataset_card import DatasetCard
from dgbench.core.paths import shipped

Content = dict[str, Any]
Where = tuple[str | int, ...]

MODELS: dict[str, type[BaseModel]] = {"algorithms": AlgorithmCard, "datasets": DatasetCard, "leaderboards": BoardCard}
COLUMNS = {"image": "image", "label": "label", "domain": "domain", "split": "part", "group": "patient"}
COLUMNS |= {"splits": {"a": "train"}}
READERS: list[Content] = [
    {"kind": "table", "file": "list.csv", "separator": ";", "encoding": "utf-8", "folder": ".", **COLUMNS},
    {"kind": "hub", "id": "owner/name", "revision": "main", **COLUMNS},
    {"kind": "arrow", "file": "data.parquet", **COLUMNS},
]
SLOTS = {
    "sampler": {"part": "balanced"},
    "adapter": {"part": "full", "head": "random"},
    "objective": {"part": "cross_entropy"},
    "optimizer": {"part": "adamw"},
    "averaging": {"part": "last"},
    "predictor": {"part": "argmax"},
}
FULL: dict[str, Content] = {
    "algorithms": {"licence": "MIT", "recipe": SLOTS},
    "datasets": {
        "path": "pictures",
        "alpha": "white",
        "exif": True,
        "bits": 12,
        "official": {"measure": "macro_f1"},
        "classes": ["cat", "dog"],
        "domains": [{"name": "art", "without": ["dog"]}, {"name": "photo"}],
    },
    "leaderboards": {
        "defaults": SLOTS,
        "keep": "shown",
        "looks": [999, 1000],
        "stream_batch": 16,
        "stream_mode": "episodic",
        "among": "present",
        "unlabelled": "tested",
        "headline": "macro",
        "selection": {"views_per_domain": 50},
        "search": {"adapter.head": {"kind": "choice", "values": ["random"]}},
    },
}
"""Fields that not every shipped card sets, or none."""


def shipped_cards(kind: str) -> list[Path]:
    return sorted(shipped(kind).glob("*/board.toml" if kind == "leaderboards" else "*.toml"))


def samples(kind: str) -> list[Content]:
    """Every shipped card, and some with fields that none of them sets."""
    found = [tomllib.loads(path.read_text(encoding="utf-8")) for path in shipped_cards(kind)]
    more = [{"reader": reader} for reader in READERS] if kind == "datasets" else [{}]
    return [*found, *(found[-1] | FULL[kind] | each for each in more)]


def changed(content: Any, where: Where, value: Any) -> Any:
    """The content with another value at one place."""
    if not where:
        return value
    copy = dict(content) if isinstance(content, dict) else list(content)
    copy[where[0]] = changed(copy[where[0]], where[1:], value)
    return copy


def refusal(read_it: Callable[[], Any], kind: type[Exception]) -> Exception | None:
    """The error of a kind that reading ends in, if it does; any other one fails the test."""
    try:
        read_it()
    except kind as error:
        return error
    return None
