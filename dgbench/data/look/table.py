"""Looking at a table of images: a CSV file."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from dgbench.core.errors import DataError
from dgbench.data.look.columns import SPLITS, choose_columns
from dgbench.data.look.draft import Draft, draft_card, plain_name


def look_at_table(path: Path, name: str | None, given: dict[str, str]) -> Draft:
    """A draft of the card of a CSV file; raises DataError as :func:`dgbench.data.look.look`."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = [column for column in reader.fieldnames or () if column]
        if not columns:
            raise DataError(f"{path}: expected a CSV file with a line of column names at the top")
        chosen = choose_columns(columns, given, str(path), ("image", "label", "domain"))
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
    return draft_card(name or plain_name(path.stem), said, classes, dict(domains), path=str(path.parent), reader=table)
