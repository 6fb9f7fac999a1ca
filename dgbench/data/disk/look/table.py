"""Looking at a table of images: a CSV file in any usual form, or lines of JSON objects."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from dgbench.core.errors import DataError
from dgbench.data.disk.look.columns import choose_columns, doubts, guessed_splits, sorted_classes
from dgbench.data.disk.look.draft import Draft, draft_card, plain_name
from dgbench.data.disk.readers.columns import found_columns, in_words
from dgbench.data.disk.readers.sheet import JSON_LINES, SEPARATORS, Columns, Form, form_of, open_sheet
from dgbench.data.disk.readers.table import files_of


def look_at_table(path: Path, name: str | None, given: dict[str, str]) -> Draft:
    """A draft of the card of a table; raises DataError as :func:`dgbench.data.disk.look.look`."""
    form = form_of(path)
    sheet = open_sheet(path, form)
    chosen, named = choose_columns(sheet.header, given, str(path), ("image", "label", "domain"))
    table = sheet.columns(list(chosen.values()))
    words = {kind: in_words(table.values[column]) for kind, column in chosen.items() if kind != "image"}
    classes = sorted_classes(words["label"])
    reader: dict[str, Any] = {"kind": "table", "file": path.name, **_differing(form), **chosen}
    said = [
        f"{len(table.lines)} rows in {path}",
        *_form_said(form, path, table, [chosen[kind] for kind in words]),
        *named,
        *doubts(classes, chosen["label"], len(table.lines)),
    ]
    if "split" in chosen:
        meanings, about = guessed_splits(chosen["split"], words["split"])
        said.append(about)
        if meanings:
            reader["splits"] = meanings
        else:
            del reader["split"]
    folder = _folder(table.values[chosen["image"]], path)
    if folder != ".":
        reader["folder"] = folder
        said.append(f"paths of images start in {path.parent / folder}")
    return draft_card(
        name or plain_name(path.stem),
        said,
        classes,
        dict(Counter(words["domain"])),
        path=str(path.parent),
        reader=reader,
    )


def listed(folder: Path, given: dict[str, str]) -> Path | None:
    """The table beside images (``metadata.csv``, as the Hugging Face libraries have it) that says what they are."""
    for name in ("metadata.csv", "metadata.jsonl"):
        if (folder / name).is_file():
            try:
                header = open_sheet(folder / name, form_of(folder / name)).header
            except DataError:  # a file of that name that is no table: the folders say what the images are
                continue
            if {"image", "label", "domain"} <= {*found_columns(header), *given}:
                return folder / name
    return None


def _differing(form: Form) -> dict[str, Any]:
    """What a card must say of how the table is written."""
    usual = Form()
    return {key: value for key, value in vars(form).items() if value != getattr(usual, key)}


def _form_said(form: Form, path: Path, table: Columns, columns: list[str]) -> list[str]:
    said = []
    if path.suffix.lower() not in JSON_LINES and form.separator != ",":
        said.append(f"columns are separated by {SEPARATORS[form.separator]}")
    if form.encoding == "cp1252":
        odd = next((value for column in columns for value in table.values[column] if not value.isascii()), None)
        said.append(
            "the table is not in UTF-8 and is read as Windows-1252"
            + (f": is '{odd}' right? If not, write 'encoding' of the card's reader, or save it in UTF-8" if odd else "")
        )
    elif form.encoding != "utf-8":
        said.append(f"the table is in {form.encoding.upper()}")
    return said


def _folder(images: list[str], path: Path) -> str:
    """Where the paths of images start: beside the table, or in the only folder beside, above or below it that fits."""
    sample = images[:: max(1, len(images) // 50)]
    for folder in (
        ".",
        *sorted(p.name for p in path.parent.iterdir() if p.is_dir() and not p.name.startswith(".")),
        "..",
    ):
        try:
            files_of(sample, path.parent / folder, str(path))
        except DataError:
            continue
        return folder
    return "."
