"""The errors a user can cause. The command line prints each as one message and exits with code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DGBenchError(Exception):
    """Something the user can mend: the message says what is wrong, where, and what to do."""


class CardError(DGBenchError):
    """A card or a board file that cannot be read: names the file, the field and what was expected."""


class UnknownNameError(DGBenchError):
    """A name that nothing is registered under."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no {kind} named '{name}'.{did_you_mean(name, known)}")


class RecipeError(DGBenchError):
    """Parts or hyperparameters that do not fit together."""


class DataError(DGBenchError):
    """Data that is missing, damaged or not what its card says."""


class StoreError(DGBenchError):
    """A store that does not hold what was asked of it."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the closest names, or lists them all when none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f" Did you mean {' or '.join(repr(c) for c in close)}?"
    return f" Known: {', '.join(names)}." if names else ""
