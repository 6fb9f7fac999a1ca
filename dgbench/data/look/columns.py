"""Which column of a table is what, and what the values of a split column mean."""

from __future__ import annotations

from collections.abc import Sequence

from dgbench.core.errors import DataError, did_you_mean

_MEANINGS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "crossval", "dev"),
    "test": ("test", "testing"),
}
SPLITS = {name: meaning for meaning, names in _MEANINGS.items() for name in names}
"""Names that folders and columns of official splits go by."""
COLUMNS = {
    "image": ("image", "path", "file", "filename", "file_name", "img", "img_filename", "image_path", "filepath"),
    "label": ("label", "class", "y", "target", "category", "label_name"),
    "domain": ("domain", "environment", "env", "site", "source", "style", "hospital", "location", "place"),
    "split": ("split", "partition", "fold"),
    "group": ("group", "patient", "subject", "sequence", "scene"),
}


def choose_columns(columns: Sequence[str], given: dict[str, str], where: str, needed: Sequence[str]) -> dict[str, str]:
    """Which column is what: as given, or by its name."""
    chosen: dict[str, str] = {}
    lower = {column.lower(): column for column in columns}
    for kind, names in COLUMNS.items():
        if kind in given:
            if given[kind] not in columns:
                raise DataError(f"{where}: there is no column '{given[kind]}'.{did_you_mean(given[kind], columns)}")
            chosen[kind] = given[kind]
        elif found := [lower[name] for name in names if name in lower]:
            chosen[kind] = found[0]
    for kind in needed:
        if kind not in chosen:
            raise DataError(
                f"{where}: which column is the {kind}? There are {', '.join(columns)}; say it with --{kind} COLUMN"
            )
    return chosen
