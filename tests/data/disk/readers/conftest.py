"""Miniatures of datasets: pictures of one colour, each another one."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dgbench.core.dataset_card import DatasetCard

_colours = itertools.product(range(256), repeat=3)

MakeCard = Callable[..., DatasetCard]
Plant = Callable[..., Path]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Put ``count`` images into each of some folders below the test's folder, and return that."""

    def put(*folders: str, count: int = 2, names: str = "{:03}.png", root: Path = tmp_path) -> Path:
        for folder in folders:
            for number in range(count):
                path = root / folder / names.format(number)
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (4, 3), next(_colours)).save(path)
        return root

    return put


@pytest.fixture(scope="session")
def make_card() -> MakeCard:
    """A card with what the reader needs; the rest is filled in."""

    def make(
        reader: dict[str, Any], domains: list[Any], classes: list[str] | int, name: str = "mini", **more: Any
    ) -> DatasetCard:
        return DatasetCard.model_validate(
            {
                "name": name,
                "title": "A miniature",
                "summary": "For tests.",
                "licence": "none",
                "redistribution": "none",
                "roots": ["mini"],
                "reader": reader,
                "classes": classes,
                "domains": [domain if isinstance(domain, dict) else {"name": domain} for domain in domains],
                **more,
            }
        )

    return make
