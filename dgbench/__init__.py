"""dgbench: which algorithm generalises to a domain it has never seen, and can that answer be trusted?

The public functions are those of :mod:`dgbench.api` and :mod:`dgbench.submitting`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dgbench.core.version import __version__

if TYPE_CHECKING:
    from dgbench.api import (
        build_site,
        deploy,
        export,
        leaderboard,
        load,
        plan,
        predict,
        predictions,
        records,
        rules,
        run,
        select,
    )
    from dgbench.submitting import add_submission, check_submission, make_submission, verify

__all__ = [
    "__version__",
    "add_submission",
    "build_site",
    "check_submission",
    "deploy",
    "export",
    "leaderboard",
    "load",
    "make_submission",
    "plan",
    "predict",
    "predictions",
    "records",
    "rules",
    "run",
    "select",
    "verify",
]

_SUBMITTING = ("add_submission", "check_submission", "make_submission", "verify")


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first asked for: ``import dgbench`` stays free of cost."""
    if name in __all__:
        home = "dgbench.submitting" if name in _SUBMITTING else "dgbench.api"
        return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'dgbench' has no attribute '{name}'; it has {', '.join(__all__)}")
