"""Looking at data that has no card yet, and writing its card.

A folder is read as ``domain/class/image``, or ``domain/split/class/image``; a CSV file by its columns; a dataset of the
Hugging Face hub by its features. What was taken for what is said, and can be said otherwise.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dgbench.core.dataset_card import DatasetCard, dataset_names
from dgbench.core.errors import DataError, did_you_mean
from dgbench.core.files import whole
from dgbench.data.pictures import is_picture

_MEANINGS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "crossval", "dev"),
    "test": ("test", "testing"),
}
SPLITS = {name: meaning for meaning, names in _MEANINGS.items() for name in names}
"""Names that folders and columns of official splits go by."""
_COLUMNS = {
    "image": ("image", "path", "file", "filename", "file_name", "img", "img_filename", "image_path", "filepath"),
    "label": ("label", "class", "y", "target", "category", "label_name"),
    "domain": ("domain", "environment", "env", "site", "source", "style", "hospital", "location", "place"),
    "split": ("split", "partition", "fold"),
    "group": ("group", "patient", "subject", "sequence", "scene"),
}


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


def look(
    source: str, name: str | None = None, columns: dict[str, str] | None = None, layout: str | None = None
) -> Draft:
    """A draft of the card of a dataset.

    Args:
        source: A folder, a CSV file, or ``hf://owner/name@revision``.
        name: Of the dataset; by default it is made from the source's name.
        columns: Which column is the ``image``, ``label``, ``domain``, ``split`` or ``group``, where the names do not
            tell.
        layout: Of a folder, as ``{class}/{domain}``, where the guess is wrong.

    Raises:
        DataError: there is nothing there that can be read, or it is not clear what is what.
    """
    columns = columns or {}
    if unknown := sorted(set(columns) - set(_COLUMNS)):
        raise DataError(f"there is no kind of column called '{unknown[0]}'.{did_you_mean(unknown[0], _COLUMNS)}")
    if source.startswith("hf://"):
        return _hub(source.removeprefix("hf://"), name, columns)
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(f"{path}: there is no such folder or file")
    if path.is_file():
        return _table(path.resolve(), name, columns)
    return _tree(path.resolve(), name, layout)


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


def as_toml(content: dict[str, Any]) -> str:
    """Plain data as TOML: values, then tables, then lists of tables."""
    lines: list[str] = []
    _dump(content, "", lines)
    return "\n".join(lines).strip() + "\n"


def _dump(table: dict[str, Any], prefix: str, lines: list[str]) -> None:
    rows = {key: value for key, value in table.items() if _is_rows(value)}
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    for key, value in table.items():
        if key not in rows and key not in tables:
            lines.append(f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}")
    for key, value in tables.items():
        lines += ["", f"[{prefix}{_key(key)}]"]
        _dump(value, f"{prefix}{_key(key)}.", lines)
    for key, value in rows.items():
        for row in value:
            lines += ["", f"[[{prefix}{_key(key)}]]"]
            _dump(row, f"{prefix}{_key(key)}.", lines)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(row, dict) for row in value)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _plain(text: str) -> str:
    """A name as cards want it: lower case, digits and hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not name:
        raise DataError(f"no name can be made from '{text}'; give one with --name")
    return name


def _domain_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-._") or "domain"


def _draft(name: str, said: list[str], classes: Sequence[str], domains: dict[str, int], **content: Any) -> Draft:
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


def _tree(root: Path, name: str | None, layout: str | None) -> Draft:
    paths = [
        path.relative_to(root).parts
        for path in sorted(root.rglob("*"))
        if is_picture(path.name) and not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]
    if not paths:
        raise DataError(f"{root}: no images in it (.png, .jpg, .webp, ...)")
    depths = Counter(len(parts) - 1 for parts in paths)
    depth = depths.most_common(1)[0][0]
    levels = _read_layout(layout) if layout else _guess(root, [p for p in paths if len(p) - 1 == depth], depth)
    fitting = [parts for parts in paths if len(parts) - 1 == len(levels)]
    if not fitting:
        raise DataError(
            f"{root}: no image lies {len(levels)} folders deep, as '{'/'.join(levels)}' says; most lie {depth} deep"
        )
    domains = Counter(parts[levels.index("{domain}")] for parts in fitting)
    classes = sorted({parts[levels.index("{class}")] for parts in fitting})
    said = [f"{len(paths)} images below {root}", f"folders are {'/'.join(levels)}"]
    if len(fitting) < len(paths):
        said.append(f"{len(paths) - len(fitting)} images do not lie {len(levels)} folders deep and are left out")
    reader: dict[str, Any] = {"kind": "tree", "layouts": ["/".join(levels)]}
    if "{split}" in levels:
        names = sorted({parts[levels.index("{split}")] for parts in fitting})
        strange = [split for split in names if split.lower() not in SPLITS]
        if strange:
            raise DataError(f"{root}: the split folder '{strange[0]}' is neither train, val nor test")
        reader["splits"] = {split: SPLITS[split.lower()] for split in names}
        said.append(f"official splits: {', '.join(names)}")
    return _draft(name or _plain(root.name), said, classes, dict(domains), path=str(root), reader=reader)


def _read_layout(layout: str) -> list[str]:
    levels = layout.strip("/").split("/")
    for needed in ("{domain}", "{class}"):
        if levels.count(needed) != 1:
            raise DataError(f"--layout '{layout}': expected {needed} once, as in '{{domain}}/{{class}}'")
    return levels


def _guess(root: Path, paths: list[tuple[str, ...]], depth: int) -> list[str]:
    """Which folder level is what: a level of split names is the split; of the others the first is the domain."""
    if depth < 2:
        raise DataError(
            f"{root}: images lie {'in it' if depth == 0 else 'one folder deep'}; expected domain/class/image. Put each "
            "domain's class folders below a folder of their own, or list the images in a CSV file with the columns "
            "image, label and domain"
        )
    names = [{parts[level] for parts in paths} for level in range(depth)]
    splits = [level for level, found in enumerate(names) if {n.lower() for n in found} <= set(SPLITS)]
    rest = [level for level in range(depth) if level not in splits[:1]]
    if len(rest) != 2:
        raise DataError(
            f"{root}: images lie {depth} folders deep and it is not clear what each level is; say it with --layout, as "
            f"in --layout '{{domain}}/{'*/' * (depth - 2)}{{class}}'"
        )
    levels = ["{split}"] * depth
    levels[rest[0]], levels[rest[1]] = "{domain}", "{class}"
    return levels


def _choose(columns: Sequence[str], given: dict[str, str], where: str, needed: Sequence[str]) -> dict[str, str]:
    """Which column is what: as given, or by its name."""
    chosen: dict[str, str] = {}
    lower = {column.lower(): column for column in columns}
    for kind, names in _COLUMNS.items():
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


def _table(path: Path, name: str | None, given: dict[str, str]) -> Draft:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = [column for column in reader.fieldnames or () if column]
        if not columns:
            raise DataError(f"{path}: expected a CSV file with a line of column names at the top")
        chosen = _choose(columns, given, str(path), ("image", "label", "domain"))
        rows = list(reader)
    domains = Counter(row[chosen["domain"]] for row in rows)
    classes = sorted({row[chosen["label"]] for row in rows})
    said = [f"{len(rows)} rows in {path}", *(f"{kind} is the column '{column}'" for kind, column in chosen.items())]
    table: dict[str, Any] = {"kind": "table", "file": path.name, **chosen}
    if "split" in chosen:
        names = sorted({row[chosen["split"]] for row in rows})
        if any(split.lower() not in SPLITS for split in names):
            said.append(f"the column '{chosen['split']}' is no split (it says {', '.join(names[:5])}) and is left out")
            del table["split"]
        else:
            table["splits"] = {split: SPLITS[split.lower()] for split in names}
    return _draft(name or _plain(path.stem), said, classes, dict(domains), path=str(path.parent), reader=table)


def _hub(source: str, name: str | None, given: dict[str, str]) -> Draft:
    identity, _, revision = source.partition("@")
    try:
        import datasets
    except ImportError as error:
        raise DataError("reading from the Hugging Face hub needs the package datasets: pip install datasets") from error
    try:
        found = datasets.load_dataset(identity, revision=revision or None)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"hf://{identity}: cannot be loaded ({error}). Is the name right, and the hub within reach? Data that was "
            "fetched elsewhere can be read from its folder: dgbench data new DIR"
        ) from error
    splits = list(found)
    first = found[splits[0]]
    chosen = _choose(first.column_names, given, f"hf://{identity}", ("image", "label"))
    chosen.pop("split", None)  # the hub's own splits are no matter of a column
    reader = {"kind": "hub", "id": identity, "revision": revision or _commit(identity), **chosen}
    if "domain" in chosen:
        domains = dict(Counter(str(value) for split in splits for value in found[split][chosen["domain"]]))
    else:
        domains = {split: len(found[split]) for split in splits}
    label = first.features[chosen["label"]]
    classes = list(getattr(label, "names", ())) or sorted({str(v) for s in splits for v in found[s][chosen["label"]]})
    said = [f"{sum(domains.values())} rows in {identity}", *(f"{k} is the column '{v}'" for k, v in chosen.items())]
    return _draft(name or _plain(identity.rpartition("/")[2]), said, classes, domains, reader=reader)


def _commit(identity: str) -> str:
    """The commit that the hub's default branch points to now, so that the card names data that cannot change."""
    from huggingface_hub import HfApi

    return str(HfApi().dataset_info(identity).sha)
