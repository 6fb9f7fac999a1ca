"""Miniatures of the WILDS sets, drawn from a seed, without their pictures; and what the package says of predictions."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

FOLDERS = {"camelyon17": "1.0", "fmow": "1.1", "iwildcam": "2.0", "waterbirds": "1.0"}
REGIONS = {"DEU": "Europe", "KEN": "Africa", "IND": "Asia", "BRA": "Americas", "AUS": "Oceania"}


def write_set(name: str, root: Path, seed: int = 0, n: int = 60) -> Path:
    """The folder of a set with about so many rows, as it comes out of the archive."""
    folder = root / f"{name}_v{FOLDERS[name]}"
    folder.mkdir(parents=True)
    (folder / f"RELEASE_v{FOLDERS[name]}.txt").write_text("")
    _WRITE[name](folder, np.random.default_rng(seed), n)
    return folder


def _table(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _camelyon(folder: Path, draw: np.random.Generator, n: int) -> None:
    rows = [
        (i, f"{i:03}", 1, 5, 6, draw.integers(2), draw.integers(4), i % 5, draw.integers(2) if i % 5 != 2 else 0)
        for i in range(n)
    ]
    header = ["", "patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split"]
    _table(folder / "metadata.csv", header, rows)


def _iwildcam(folder: Path, draw: np.random.Generator, n: int) -> None:
    """``n`` traps train, and five others validate and test; there are all classes, most of them in training alone.

    A trap has three or four images to train on, at least. Every third has images to validate on, and others to test on;
    one, which does not train, has nothing else.
    """
    rows: list[tuple[str, int, int]] = []
    for trap in range(n):
        rows += [("train", (4 * trap + k) % 182, trap) for k in range(3 + trap % 2)]
        rows += [(split, int(draw.integers(7)), trap) for split in ("id_val", "id_test") if trap % 3 == 0]
    rows += [("train", label, label % n) for label in range(182)]
    rows += [("val" if k % 2 else "test", int(draw.integers(7)), n + k % 5) for k in range(40)]
    rows += [("id_val", 0, n + 5)]
    made = [(f"{i}.png", y, split, trap, i, "2013-06-05 05:44:19.0") for i, (split, y, trap) in enumerate(rows)]
    header = ["filename", "y", "split", "location_remapped", "sequence_remapped", "datetime"]
    _table(folder / "metadata.csv", header, made)


def _fmow(folder: Path, draw: np.random.Generator, n: int) -> None:
    """Only some regions are in the later parts; countries of none are in all."""
    parts = [("train", 2010), ("val", 2010), ("test", 2010), ("val", 2014), ("test", 2016)]
    some = draw.permutation([*REGIONS])[:3]
    rows = []
    for i in range(n):
        split, year = parts[i % 5]
        country = draw.choice(["XXX", *some] if year > 2012 else ["XXX", *REGIONS])
        rows.append((split, draw.choice(["airport", "zoo", "dam"]), country, f"{year}-03-01T00:00:00Z"))
    rows += [("seq", "zoo", "KEN", "2010-03-01T00:00:00Z")] * 100
    _table(folder / "rgb_metadata.csv", ["split", "category", "country_code", "timestamp"], rows)
    _table(folder / "country_code_mapping.csv", ["alpha-3", "region"], [*REGIONS.items()])


def _waterbirds(folder: Path, draw: np.random.Generator, n: int) -> None:
    rows = [(i, f"{i}.png", (i // 3) % 2, i % 3, draw.integers(2)) for i in range(n)]
    _table(folder / "metadata.csv", ["img_id", "img_filename", "y", "split", "place"], rows)


_WRITE: dict[str, Callable[[Path, np.random.Generator, int], None]] = {
    "camelyon17": _camelyon,
    "fmow": _fmow,
    "iwildcam": _iwildcam,
    "waterbirds": _waterbirds,
}


def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package, which takes one sum from another package that is not there, and would ask for updates."""

    def scatter(src: torch.Tensor, index: torch.Tensor, dim_size: int, reduce: str) -> torch.Tensor:
        assert reduce == "mean"
        groups = [src[index == group] for group in range(dim_size)]
        return torch.stack([group.mean() if len(group) else torch.tensor(0.0) for group in groups])

    other = ModuleType("torch_scatter")
    other.scatter = scatter  # type: ignore[attr-defined]  # a module of one function
    monkeypatch.setitem(sys.modules, "torch_scatter", other)
    if "wilds" not in sys.modules:
        monkeypatch.setitem(sys.modules, "outdated", None)
    return pytest.importorskip("wilds")


def official_eval(data: Any, split: str, predicted: Sequence[int]) -> dict[str, float]:
    """What the package's dataset says of predicted classes."""
    subset = data.get_subset(split)
    found: dict[str, float] = data.eval(torch.tensor(predicted), subset.y_array, subset.metadata_array)[0]
    return found
