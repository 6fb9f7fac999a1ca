"""A report in a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dgbench.board.render.report.sections import Report, Section
from dgbench.core.visible import visible


def show(report: Report, console: Console) -> None:
    """Print tables, what they show, and how to read them; each note once."""
    console.print(Text(visible(report.title), style="bold").append(f"  {visible(report.by)}", style="not bold"))
    notes: dict[str, None] = {}
    for section in report.sections:
        console.print()
        console.print(Text(visible(section.title), style="bold"))
        if section.rows:
            console.print(_table(section))
        for line in section.said:
            console.print(Text(visible(line)))
        notes |= dict.fromkeys(section.notes)
    console.print()
    for note in notes:
        console.print(Text(visible(note), style="dim"))


def _table(section: Section) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, heading in enumerate(section.header):
        table.add_column(Text(visible(heading)), justify="right" if number else "left", overflow="fold")
    for row in section.rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table
