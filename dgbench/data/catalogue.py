"""Datasets by name, built once and cached; nothing here imports torch.

A cached dataset is a folder of arrays, and a JSON file that is written last. What is read is hashed again: data that
does not match its manifest is built anew.
"""

from __future__ import annotations

import importlib
import io
import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.files import read_json, whole, write_json
from dgbench.core.paths import cache_root
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble

log = logging.getLogger(__name__)

_ARRAYS = ("inputs", "labels", "groups")


def load(name: str) -> Dataset:
    """A dataset, from the cache where it is there and whole, else built. Treat its arrays as constant.

    Raises:
        UnknownNameError: there is no such dataset.
        DataError: something that it is built from is missing.
    """
    card = dataset_card(name)
    return _load(card.name, cache_root() / "datasets" / f"{card.name}-v{card.version}")


def previews(name: str) -> dict[str, bytes]:
    """A small PNG of each domain: two examples of each of its first ten classes."""
    return {domain.name: _png(_contact_sheet(domain)) for domain in load(name).domains}


@lru_cache(maxsize=8)
def _load(name: str, folder: Path) -> Dataset:
    card = dataset_card(name)
    dataset = _read(folder)
    if dataset is None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{folder.name}.lock"):
            dataset = _read(folder)  # another process may have built it meanwhile
            if dataset is None:
                dataset = _build(card)
                _write(dataset, folder)
    if dataset.manifest != card.manifest:
        log.warning(
            "the data of '%s' differs from its card (manifest %.12s, expected %.12s): results on it do not compare "
            "with those of others. The card's data was built with %s",
            *(name, dataset.manifest, card.manifest),
            ", ".join(f"{package} {version}" for package, version in card.built_with.items()),
        )
    return dataset


def _build(card: DatasetCard) -> Dataset:
    module, _, function = card.builder.partition(":")
    dataset: Dataset = getattr(importlib.import_module(module), function)()
    return dataset


def _write(dataset: Dataset, folder: Path) -> None:
    for domain in dataset.domains:
        for array in _ARRAYS:
            with whole(folder / f"{domain.name}-{array}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, getattr(domain, array))
    write_json(
        folder / "dataset.json",
        {
            "name": dataset.name,
            "classes": list(dataset.classes),
            "domains": [domain.name for domain in dataset.domains],
            "manifest": dataset.manifest,
        },
    )


def _read(folder: Path) -> Dataset | None:
    """What the folder holds; None where it holds nothing, or nothing that can be trusted."""
    if not (folder / "dataset.json").is_file():
        return None
    try:
        about: dict[str, Any] = read_json(folder / "dataset.json")
        domains = [_read_domain(folder, name) for name in about["domains"]]
        dataset = assemble(about["name"], about["classes"], domains)
        if dataset.manifest == about["manifest"]:
            return dataset
        reason = "its content does not match its manifest"
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        reason = str(error)
    log.warning("the cached dataset in %s is damaged (%s): it is built anew", folder, reason)
    return None


def _read_domain(folder: Path, name: str) -> Domain:
    return Domain(name, *(np.load(folder / f"{name}-{array}.npy", allow_pickle=False) for array in _ARRAYS))


def _contact_sheet(domain: Domain, rows: int = 2, columns: int = 10) -> NDArray[np.uint8]:
    """Pictures side by side, ``[h, w, 3]``; the examples of a class are taken from far apart in the domain."""
    members = [np.flatnonzero(domain.labels == label) for label in np.unique(domain.labels)[:columns]]
    picked = [[m[(2 * row + 1) * len(m) // (2 * rows)] for m in members] for row in range(rows)]
    return np.concatenate([np.concatenate(list(domain.inputs[row]), axis=1) for row in picked])


def _png(picture: NDArray[np.uint8], scale: int = 3) -> bytes:
    height, width = picture.shape[:2]
    file = io.BytesIO()
    large = Image.fromarray(picture).resize((width * scale, height * scale), Image.Resampling.NEAREST)
    large.save(file, format="PNG", optimize=True)
    return file.getvalue()
