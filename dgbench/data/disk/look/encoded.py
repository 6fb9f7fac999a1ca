"""Looking at tables that hold their images: on the hub, in Parquet files, or as ``save_to_disk`` wrote them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgbench.core.errors import DataError
from dgbench.core.files import open_plain
from dgbench.data.disk.locate import hub_home
from dgbench.data.disk.look.columns import (
    LIKELY_SPLITS,
    OFFICIAL,
    choose_columns,
    doubts,
    guessed_splits,
    sorted_classes,
)
from dgbench.data.disk.look.draft import Draft, draft_card, plain_name
from dgbench.data.disk.naming import SPLITS, plain, some
from dgbench.data.disk.readers import arrow, hub
from dgbench.data.disk.readers.encoded import Parts, images_of, part_names, texts
from dgbench.data.pixels.suffixes import is_picture

if TYPE_CHECKING:
    import datasets


def look_at_hub(source: str, name: str | None, given: dict[str, str]) -> Draft:
    """A draft of the card of a hub dataset, ``owner/name@revision``; raises DataError as ``look``."""
    identity, _, revision = source.partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", identity):
        raise DataError(f"hf://{source} is no name of the hub; expected hf://owner/name or hf://owner/name@revision")
    if not re.fullmatch(r"[0-9a-f]{40}", revision):  # no commit yet, but what can move
        revision = hub.commit(identity, revision or None)
    parts = hub.load(identity, revision, hub_home())
    reader = {"kind": "hub", "id": identity, "revision": revision}
    return _draft(parts, f"hf://{identity}", name or plain_name(identity.rpartition("/")[2]), given, reader, None)


def look_at_arrow(path: Path, name: str | None, given: dict[str, str]) -> Draft:
    """A draft of the card of a Parquet file, a folder of them or of ``save_to_disk``; raises DataError as ``look``."""
    root, file = (path, None) if path.is_dir() else (path.parent, path.name)
    reader = {"kind": "arrow"} if file is None else {"kind": "arrow", "file": file}
    return _draft(arrow.load(root, file), str(path), name or plain_name(path.stem), given, reader, root)


def is_parquet(file: Path) -> bool:
    """Whether a file is one of Parquet, whatever it is called."""
    try:
        with open_plain(file) as opened:
            return opened.read(4) == b"PAR1"
    except OSError:  # whoever reads it as a table says so
        return False


def holds_tables(folder: Path) -> bool:
    """Whether a folder is one of ``save_to_disk``, or of Parquet files and no pictures of its own.

    Of pictures beside Parquet files the latter count only if they hold images.
    """
    if arrow.is_saved(folder):
        return True
    files = arrow.parquet_files(folder)
    return bool(files) and (not any(is_picture(path) for path in folder.rglob("*")) or arrow.holds_images(files[0]))


def _draft(
    parts: Parts, where: str, name: str, given: dict[str, str], reader: dict[str, Any], root: Path | None
) -> Draft:
    first = next(iter(parts.values()))
    chosen, named = choose_columns(first.column_names, given, where, ("image", "label"), _likely(first.features))
    labels = texts(parts, chosen["label"], where)
    classes = _classes(parts, chosen["label"], labels)
    count = len(labels)
    said = [f"{count} rows in {where}", *named, *doubts(classes, chosen["label"], count)]
    if "domain" in chosen:
        domains = Counter(texts(parts, chosen["domain"], where))
    else:
        domains = Counter(part_names(parts))
        said.append(f"there is no column of domains; each part is one: {some(domains)}")
    if "split" in chosen:
        meanings, about = guessed_splits(chosen["split"], texts(parts, chosen["split"], where))
        said.append(about)
        chosen |= {"splits": meanings} if meanings else {}  # type: ignore[dict-item]
        if not meanings:
            del chosen["split"]
    elif "domain" in chosen and len(parts) > 1 and all(part.lower() in LIKELY_SPLITS for part in parts):
        if unusual := {part: LIKELY_SPLITS[part.lower()] for part in parts if plain(part) not in SPLITS}:
            reader["splits"] = unusual
        said.append(f"official splits: {', '.join(parts)}; {OFFICIAL}")
    place: dict[str, Any] = {} if root is None else {"path": str(root)}
    return draft_card(name, said, classes, dict(domains), **place, reader={**reader, **chosen})


def _likely(features: datasets.Features) -> dict[str, list[str]]:
    """Columns that are of a kind by what they hold: images, and the only one of classes."""
    import datasets

    classes = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    return {"image": images_of(features), "label": classes if len(classes) == 1 else []}


def _classes(parts: Parts, column: str, labels: list[str]) -> list[str]:
    """The classes that occur, in the order that the tables give them, else sorted."""
    given = dict.fromkeys(str(name) for part in parts.values() for name in getattr(part.features[column], "names", ()))
    occurring = set(labels)
    ordered = [name for name in given if name in occurring]
    return ordered if len(ordered) == len(occurring) else sorted_classes(labels)
