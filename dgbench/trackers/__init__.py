"""Trackers by name: thin adapters to the programs in which people watch experiments.

``tensorboard``, ``mlflow``, ``wandb`` and ``trackio`` are files beside this one. Each has a function ``tracker`` that
takes where to write, or None, and gives a :data:`~dgbench.runs.events.Tracker`. What they need is an extra of dgbench.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from dgbench.core.errors import DGBenchError, UnknownNameError
from dgbench.core.extras import require
from dgbench.runs.events import Tracker

NAMES = ("mlflow", "tensorboard", "trackio", "wandb")
"""Every adapter; the package that it needs and the extra that brings it are called the same."""


def opened(trackers: Sequence[str | Tracker]) -> list[Tracker]:
    """Trackers by name, as :func:`named` gives them; those that are functions already stay as they are."""
    if isinstance(trackers, str):
        raise DGBenchError(f"trackers: expected a list, got the text '{trackers}'; write ['{trackers}']")
    return [named(one) if isinstance(one, str) else one for one in trackers]


def named(what: str) -> Tracker:
    """A tracker by name, with where it writes behind a colon: ``tensorboard``, ``tensorboard:logs``, ``mlflow:URI``.

    Raises:
        UnknownNameError: there is no such tracker.
        DGBenchError: the package that it needs is not here, and the message says how to get it; or it cannot write
            where it is told to.
    """
    name, _, where = what.partition(":")
    if name not in NAMES:
        raise UnknownNameError("tracker", name, NAMES)
    require(name, f"the tracker '{name}'", extra=name)
    adapter = importlib.import_module(f"dgbench.trackers.{name}")
    try:
        tracker: Tracker = adapter.tracker(where or None)
    except Exception as error:
        raise DGBenchError(f"the tracker '{what}' cannot begin: {type(error).__name__}: {error}") from error
    return tracker
