"""A built dataset as a folder of arrays, and a JSON file that is written last.

What is read is hashed again: data that does not match its manifest is not taken.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from dgbench.core.files import read_json, whole, write_json
from dgbench.core.names import file_name
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble

log = logging.getLogger(__name__)

ABOUT = "dataset.json"
"""The file that is written last."""
_ARRAYS = ("inputs", "labels", "groups")


def write(dataset: Dataset, folder: Path) -> None:
    """Keep a dataset; what lay there is replaced."""
    for domain in dataset.domains:
        for array in _ARRAYS:
            with whole(folder / f"{file_name(domain.name)}-{array}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, getattr(domain, array))
    write_json(
        folder / ABOUT,
        {
            "name": dataset.name,
            "classes": list(dataset.classes),
            "domains": [domain.name for domain in dataset.domains],
            "manifest": dataset.manifest,
        },
    )


def read(folder: Path) -> Dataset | None:
    """What the folder holds; None where it holds nothing, or nothing that can be trusted."""
    if not (folder / ABOUT).is_file():
        return None
    try:
        about: dict[str, Any] = read_json(folder / ABOUT)
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
    return Domain(name, *(np.load(folder / f"{file_name(name)}-{array}.npy", allow_pickle=False) for array in _ARRAYS))
