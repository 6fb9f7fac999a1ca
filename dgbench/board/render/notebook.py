"""The leaderboard in a notebook: a small table that takes its colours from the page around it, and runs no script."""

from __future__ import annotations

from dgbench.board.leaderboard import Leaderboard
from dgbench.board.render.html import environment

MOST = 8
"""Targets that have a column each; with more of them the means alone are shown."""


def render(board: Leaderboard) -> str:
    """A piece of HTML, with every name escaped.

    Colours are those of the text around it and shades of these, so it is read on light and on dark pages.

    Args:
        board: What is shown.
    """
    domains = board.info.domains if len(board.info.domains) <= MOST else ()
    return environment().get_template("notebook.html").render(board=board, info=board.info, domains=domains)
