"""Which column of a table is what, and what the values of a split column mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from dgbench.core.errors import DataError, did_you_mean
from dgbench.data.disk.naming import some
from dgbench.data.disk.readers.columns import COLUMNS, column_key, found_columns

_MEANINGS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "crossval", "dev"),
    "test": ("test", "testing"),
}
LIKELY_SPLITS = {name: meaning for meaning, names in _MEANINGS.items() for name in names}
"""Names that folders and columns of official splits often go by; more than a reader takes for granted."""
OFFICIAL = (
    "the board 'own' draws splits of its own all the same, as on all data; to train, select and test on these, copy "
    "its board.toml, write 'official = true' below [split], and run that"
)
"""What becomes of official splits."""


def choose_columns(
    columns: Sequence[str],
    given: Mapping[str, str],
    where: str,
    needed: Sequence[str],
    likely: Mapping[str, Sequence[str]] | None = None,
) -> tuple[dict[str, str], list[str]]:
    """Which column is what, and that in words: as given, or by its name.

    Args:
        columns: Those that there are.
        given: Columns by kind, as a person said it.
        where: What errors call the table.
        needed: Kinds that must be there.
        likely: Columns whose content says that they are of a kind; they come before those whose name does.

    Raises:
        DataError: a column is not there, is two things at once, or a kind that is needed is missing.
    """
    chosen = {kind: _meant(name, columns, where) for kind, name in given.items()}
    for kind, column in chosen.items():
        if twin := next((other for other in chosen if other != kind and chosen[other] == column), None):
            raise DataError(f"{where}: the column '{column}' cannot be the {kind} and the {twin}")
    by_name, said = found_columns(columns), list[str]()
    for kind in COLUMNS:
        candidates = dict.fromkeys((*(likely or {}).get(kind, ()), *by_name.get(kind, ())))
        others = [column for column in candidates if column not in chosen.values()]
        if kind in chosen:
            said.append(f"{kind} is the column '{chosen[kind]}'")
        elif others:
            chosen[kind] = others[0]
            also = f"; {some(others[1:])} could be it, too: say --{kind} COLUMN if it is" if others[1:] else ""
            said.append(f"{kind} is the column '{others[0]}'{also}")
    for kind in needed:
        if kind not in chosen:
            raise DataError(
                f"{where}: which column is the {kind}? There are {_all(columns)}; say it with --{kind} COLUMN"
            )
    return {kind: chosen[kind] for kind in COLUMNS if kind in chosen}, said


def guessed_splits(column: str, values: Iterable[str]) -> tuple[dict[str, str], str]:
    """What the values of a split column mean, none where it is no split after all; and that in words."""
    names = sorted(set(values))
    if strange := [name for name in names if name.lower() not in LIKELY_SPLITS]:
        return {}, (
            f"the column '{column}' is left out: {some(strange, 5)} is neither train, val nor test. If it is, write "
            "what it means into 'split' and 'splits' of the card's reader"
        )
    return {name: LIKELY_SPLITS[name.lower()] for name in names}, f"official splits: {', '.join(names)}; {OFFICIAL}"


def sorted_classes(labels: Iterable[str]) -> list[str]:
    """The classes among some labels; numbers sort as numbers."""
    classes = sorted(set(labels))
    return sorted(classes, key=int) if all(name.isdecimal() for name in classes) else classes


def doubts(classes: Sequence[str], column: str, rows: int) -> list[str]:
    """What seems strange about classes, in words."""
    if all(name.isdecimal() for name in classes):
        return [
            f"the labels are numbers; say what they stand for in 'classes' on the card, in the order {classes[0]}, ..."
        ]
    if all(re.fullmatch(r"[+-]?[0-9]*\.?[0-9]+(e[+-]?[0-9]+)?", name.lower()) for name in classes):
        return [
            f"the labels are numbers with fractions ({some(classes, 3)}); is '{column}' a measurement, and no class? "
            "If it is, write [value] and below it what = \"...\" in place of 'classes' on the card (docs/values.md)"
        ]
    if rows > 20 and len(classes) > rows / 2:
        return [f"there are {len(classes)} classes in {rows} rows; is '{column}' the label?"]
    return []


def _all(columns: Sequence[str], at_most: int = 30) -> str:
    more = f" and {len(columns) - at_most} more" if len(columns) > at_most else ""
    return ", ".join(columns[:at_most]) + more


def _meant(name: str, columns: Sequence[str], where: str) -> str:
    """The column of a name: that very one, else the only one that differs in nothing that matters."""
    alike = [name] if name in columns else [column for column in columns if column_key(column) == column_key(name)]
    if len(alike) != 1:
        raise DataError(f"{where}: there is no column '{name}'.{did_you_mean(name, columns)}")
    return alike[0]
