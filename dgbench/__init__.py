"""dgbench: which algorithm generalises to a domain it has never seen, and can that answer be trusted?

The public functions are those of :mod:`dgbench.api`; what they take, give and raise is public as well.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dgbench.core.version import __version__

if TYPE_CHECKING:
    from dgbench.api.boards import (
        leaderboard,
        plan,
        predictions,
        records,
        rules,
        run,
        select,
    )
    from dgbench.api.comparing import Comparison, compare, power
    from dgbench.api.diagnosing import Diagnosis, diagnose
    from dgbench.api.examining import examine
    from dgbench.api.judging import CriteriaBoard, criteria
    from dgbench.api.measuring import explain, published_statistics, ranking, statistics
    from dgbench.api.publishing import publish_board, publish_model, published
    from dgbench.api.reproducing import Reproduced, reproduce
    from dgbench.api.sites import build_site
    from dgbench.api.submitting import (
        add_submission,
        check_submission,
        make_submission,
        make_submissions,
        submission_from_predictions,
        verify,
        write_kit,
    )
    from dgbench.api.using import deploy, export, load, predict, reliance
    from dgbench.board.explained import Explanation
    from dgbench.board.interactive import Leaderboard
    from dgbench.board.leaderboard import BoardInfo, Entry, Track
    from dgbench.board.power import Powered
    from dgbench.board.rankings import Ranking
    from dgbench.board.selected import Selection
    from dgbench.board.statistics import Statistics
    from dgbench.board.until import Round
    from dgbench.core.cards import BoardCard
    from dgbench.core.disk import DiskError
    from dgbench.core.elsewhere import trust
    from dgbench.core.errors import (
        CardError,
        DataError,
        DGBenchError,
        RecipeError,
        RecordError,
        StoreError,
        UnknownNameError,
    )
    from dgbench.diagnostics.examined import Examined
    from dgbench.exported.card import ModelCard
    from dgbench.exported.model import Model
    from dgbench.exported.reliance import Reliance
    from dgbench.literature.statistics import PublishedStatistics
    from dgbench.runs.again import Again
    from dgbench.runs.collect import Records
    from dgbench.runs.launch import Summary
    from dgbench.runs.outlook import HowFar
    from dgbench.runs.plan import Plan
    from dgbench.runs.progress import Progress, for_people
    from dgbench.selection.design import Lead
    from dgbench.selection.statistics import Estimate
    from dgbench.submissions.check import Checked

__all__ = [
    "Again",
    "BoardCard",
    "BoardInfo",
    "CardError",
    "Checked",
    "Comparison",
    "CriteriaBoard",
    "DGBenchError",
    "DataError",
    "Diagnosis",
    "DiskError",
    "Entry",
    "Estimate",
    "Examined",
    "Explanation",
    "HowFar",
    "Lead",
    "Leaderboard",
    "Model",
    "ModelCard",
    "Plan",
    "Powered",
    "Progress",
    "PublishedStatistics",
    "Ranking",
    "RecipeError",
    "RecordError",
    "Records",
    "Reliance",
    "Reproduced",
    "Round",
    "Selection",
    "Statistics",
    "StoreError",
    "Summary",
    "Track",
    "UnknownNameError",
    "__version__",
    "add_submission",
    "build_site",
    "check_submission",
    "compare",
    "criteria",
    "deploy",
    "diagnose",
    "examine",
    "explain",
    "export",
    "for_people",
    "leaderboard",
    "load",
    "make_submission",
    "make_submissions",
    "plan",
    "power",
    "predict",
    "predictions",
    "publish_board",
    "publish_model",
    "published",
    "published_statistics",
    "ranking",
    "records",
    "reliance",
    "reproduce",
    "rules",
    "run",
    "select",
    "statistics",
    "submission_from_predictions",
    "trust",
    "verify",
    "write_kit",
]

_SUBMITTING = (
    "add_submission",
    "check_submission",
    "make_submission",
    "make_submissions",
    "submission_from_predictions",
    "verify",
    "write_kit",
)

_TYPES = {
    "dgbench.board.explained": ("Explanation",),
    "dgbench.board.interactive": ("Leaderboard",),
    "dgbench.board.leaderboard": (
        "BoardInfo",
        "Entry",
        "Track",
    ),
    "dgbench.board.power": ("Powered",),
    "dgbench.board.rankings": ("Ranking",),
    "dgbench.board.selected": ("Selection",),
    "dgbench.board.statistics": ("Statistics",),
    "dgbench.board.until": ("Round",),
    "dgbench.api.comparing": ("Comparison",),
    "dgbench.api.diagnosing": ("Diagnosis",),
    "dgbench.api.judging": ("CriteriaBoard",),
    "dgbench.core.cards": ("BoardCard",),
    "dgbench.core.disk": ("DiskError",),
    "dgbench.core.elsewhere": ("trust",),
    "dgbench.core.errors": (
        "CardError",
        "DGBenchError",
        "DataError",
        "RecipeError",
        "RecordError",
        "StoreError",
        "UnknownNameError",
    ),
    "dgbench.diagnostics.examined": ("Examined",),
    "dgbench.exported.card": ("ModelCard",),
    "dgbench.exported.model": ("Model",),
    "dgbench.exported.reliance": ("Reliance",),
    "dgbench.api.reproducing": ("Reproduced",),
    "dgbench.literature.statistics": ("PublishedStatistics",),
    "dgbench.runs.again": ("Again",),
    "dgbench.runs.collect": ("Records",),
    "dgbench.runs.launch": ("Summary",),
    "dgbench.runs.outlook": ("HowFar",),
    "dgbench.runs.plan": ("Plan",),
    "dgbench.runs.progress": (
        "Progress",
        "for_people",
    ),
    "dgbench.selection.design": ("Lead",),
    "dgbench.selection.statistics": ("Estimate",),
    "dgbench.submissions.check": ("Checked",),
}
"""Where the things are that the functions take, give and raise."""

_ELSEWHERE = {
    **{name: module for module, names in _TYPES.items() for name in names},
    **dict.fromkeys(("explain", "published_statistics", "ranking", "statistics"), "dgbench.api.measuring"),
    "diagnose": "dgbench.api.diagnosing",
    "examine": "dgbench.api.examining",
    "criteria": "dgbench.api.judging",
    **dict.fromkeys(("compare", "power"), "dgbench.api.comparing"),
    **dict.fromkeys(("publish_board", "publish_model", "published"), "dgbench.api.publishing"),
    "reproduce": "dgbench.api.reproducing",
    "build_site": "dgbench.api.sites",
    **dict.fromkeys(_SUBMITTING, "dgbench.api.submitting"),
    **dict.fromkeys(("deploy", "export", "load", "predict", "reliance"), "dgbench.api.using"),
}


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first asked for: ``import dgbench`` stays free of cost."""
    if name in __all__:
        return getattr(importlib.import_module(_ELSEWHERE.get(name, "dgbench.api.boards")), name)
    raise AttributeError(f"module 'dgbench' has no attribute '{name}'; it has {', '.join(__all__)}")
