"""Packages that not everybody has: what needs one says so, and how to get it."""

from __future__ import annotations

import importlib

from dgbench.core.errors import DGBenchError


def require(package: str, what: str, extra: str) -> None:
    """See that a package is here, by importing it; an error inside it stays its own.

    Args:
        package: Its name, as Python imports it.
        what: What needs it, as the message says it.
        extra: Of dgbench, which brings it.

    Raises:
        DGBenchError: it is not here.
    """
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise DGBenchError(
            f"{what} needs the package '{package}', which is not here: pip install 'dgbench[{extra}]'"
        ) from None
