"""A leaderboard in the forms of other places, beside its own files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from dgbench.board.leaderboard import Leaderboard
from dgbench.core.dataset_card import unsupported


def write_forms(board: Leaderboard, folder: Path, forms: Sequence[str], benchmark: str | None = None) -> list[Path]:
    """Write ``folder/every-eval-ever/`` for the form ``eee``, ``folder/hub/`` for ``hub``; the paths.

    Raises:
        DGBenchError: the benchmark is no repository's name, or values are predicted.
    """
    if forms and board.info.value:
        raise unsupported(f"'{board.info.name}' predicts values ({board.info.value})", "these forms hold shares")
    paths = []
    if "eee" in forms:
        from dgbench.board.render import every_eval_ever

        paths += every_eval_ever.write(board, folder / "every-eval-ever", datetime.now(UTC))
    if "hub" in forms:
        from dgbench.board.render import hub_results

        paths += hub_results.write(board, folder / "hub", benchmark)
    return paths
