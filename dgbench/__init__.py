"""dgbench: which algorithm generalises to a domain it has never seen, and can that answer be trusted?

The public functions are those of :mod:`dgbench.api`, :mod:`dgbench.submitting` and :mod:`dgbench.using`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dgbench.core.version import __version__

if TYPE_CHECKING:
    from dgbench.api import (
        build_site,
        leaderboard,
        plan,
        predictions,
        records,
        rules,
        run,
        select,
    )
    from dgbench.submitting import (
        add_submission,
        check_submission,
        make_submission,
        submission_from_predictions,
        verify,
        write_kit,
    )
    from dgbench.using import deploy, export, load, predict

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
    "submission_from_predictions",
    "verify",
    "write_kit",
]

_SUBMITTING = (
    "add_submission",
    "check_submission",
    "make_submission",
    "submission_from_predictions",
    "verify",
    "write_kit",
)

_ELSEWHERE = {
    **dict.fromkeys(_SUBMITTING, "dgbench.submitting"),
    **dict.fromkeys(("deploy", "export", "load", "predict"), "dgbench.using"),
}


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first asked for: ``import dgbench`` stays free of cost."""
    if name in __all__:
        return getattr(importlib.import_module(_ELSEWHERE.get(name, "dgbench.api")), name)
    raise AttributeError(f"module 'dgbench' has no attribute '{name}'; it has {', '.join(__all__)}")
