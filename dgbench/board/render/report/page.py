"""A report as one HTML file that needs no network."""

from __future__ import annotations

from pathlib import Path

from dgbench.board.render.frame import ALONE
from dgbench.board.render.html import environment
from dgbench.board.render.report.sections import Report
from dgbench.core.files import whole


def write(report: Report, path: Path) -> None:
    """Write the page: whole, or not at all.

    Raises:
        DiskError: it cannot be written.
    """
    with whole(path) as temporary:
        temporary.write_text(render(report), encoding="utf-8")


def render(report: Report) -> str:
    """The page."""
    return environment().get_template("report.html").render(frame=ALONE, report=report)
