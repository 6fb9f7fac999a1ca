"""The errors a user can cause. The command line prints each as one message and exits with code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from dgbench.core.visible import visible


class DGBenchError(Exception):
    """Something the user can mend: the message says what is wrong, where, and what to do."""


class CardError(DGBenchError):
    """A card or a board file that cannot be read: names the file, the field and what was expected."""


class RecordError(DGBenchError):
    """A record that cannot be read: names the file, the field and what was expected."""


class UnknownNameError(DGBenchError):
    """A name that nothing is registered under."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no {kind} named {shown(name)}.{did_you_mean(name, known)}")


class RecipeError(DGBenchError):
    """Parts or hyperparameters that do not fit together."""


class DataError(DGBenchError):
    """Data that is missing, damaged or not what its card says."""


class DivergedError(DGBenchError):
    """A training whose loss is no longer a finite number.

    Attributes:
        step: The checkpoint at which that was seen.
    """

    def __init__(self, step: int) -> None:
        super().__init__(step)  # as it is, so that it can come from another process
        self.step = step

    def __str__(self) -> str:
        return f"training diverged: a loss at step {self.step} is not finite; lower the learning rate"


class StoreError(DGBenchError):
    """A store that does not hold what was asked of it."""


class DamagedError(StoreError):
    """A file of finished work that is not what was written.

    Attributes:
        folder: The piece of work that it belongs to.
        file: Its path in that folder.
        what: Says what is wrong with it.
    """

    def __init__(self, folder: Path, file: str, what: str) -> None:
        super().__init__(folder, file, what)  # as they are, so that it can come from another process
        self.folder = folder
        self.file = file
        self.what = what

    def __str__(self) -> str:
        return f"{visible(str(self.folder / self.file))} {self.what}; 'dgbench run' sets it aside and does it again"


_MANY = 30
"""Longer lists of names are not read out."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the closest names, whatever their case and signs, or lists what is known if none is close.

    Where none is spelt alike, the longer names that begin so are close.
    """
    names = sorted(known)
    folded: dict[str, list[str]] = {}
    for each in names:
        folded.setdefault(_spelt(each), []).append(each)
    given = _spelt(name[:200])
    close = [given] if given in folded else difflib.get_close_matches(given, folded, n=3, cutoff=0.6)
    close = close or [fold for fold in folded if given and fold.startswith(given)][:3]
    if close:
        return f" Did you mean {' or '.join(repr(each) for fold in close for each in folded[fold])}?"
    if len(names) > _MANY:
        return f" Known: {', '.join(names[:_MANY])} and {len(names) - _MANY:,} more."
    return f" Known: {', '.join(names)}." if names else ""


def _spelt(name: str) -> str:
    """Letters and digits alone: ERM++ is erm_plus_plus, and WiSE-FT is wise_ft."""
    return "".join(filter(str.isalnum, name.casefold().replace("+", "plus")))


def shown(value: object, longest: int = 60) -> str:
    """A value as it stands in an error: on one line, printable, and short, whatever it is."""
    match value:
        case bool() | None:
            text = repr(value)
        case int() if value.bit_length() > 4 * longest:  # Python refuses to write much longer ones
            text = f"a whole number of {value.bit_length():,} bits"
        case str():
            text = repr(value[: longest + 1])
        case dict():
            text = f"a table of {len(value)}"
        case list() | tuple():
            text = f"a list of {len(value)}" if len(value) > 4 else f"[{', '.join(shown(v, 20) for v in value)}]"
        case _:
            text = repr(value)
    return text if len(text) <= longest + 2 else f"{text[:longest]}..."
