"""``dgbench list``: what there is."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dgbench.cli.output import Json, for_people, print_json, print_records
from dgbench.core import registry
from dgbench.core.cards import algorithm_card, board_card, board_names, card_names
from dgbench.core.dataset_card import dataset_card, dataset_names
from dgbench.core.registry import SLOTS
from dgbench.core.toml import legible
from dgbench.literature.source import origins


class What(StrEnum):
    """What can be listed."""

    algorithms = "algorithms"
    datasets = "datasets"
    boards = "boards"
    parts = "parts"
    published = "published"


def add(app: typer.Typer) -> None:
    """Add the verb that lists."""
    app.command("list")(list_)


def list_(
    what: Annotated[
        What | None, typer.Argument(help="algorithms, datasets, boards, parts or published; all of them if left out")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what there is.

    Algorithms, datasets, boards, parts, tables that others published. In a pipe each is a line, cells between tabs.
    """
    found = {kind: _ROWS[kind]() for kind in ([what] if what else What)}
    if as_json:
        print_json({kind.value: rows for kind, rows in found.items()})
    elif not for_people():
        for kind, rows in found.items():
            print_records(rows, first=None if what else kind.value)
    else:
        for kind, rows in found.items():
            _print_table(kind, rows)


def _print_table(kind: What, rows: list[dict[str, str | int]]) -> None:
    table = Table(
        title=kind.value, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim"
    )
    for number, heading in enumerate(rows[0] if rows else ()):
        table.add_column(heading if number else "", no_wrap=number == 0, style="" if number else "cyan")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row.values()))
    console = Console()
    console.print(table)
    console.print()


def _algorithm_rows() -> list[dict[str, str | int]]:
    return [
        {
            "name": card.name,
            "year": card.paper.year,
            "slots": " ".join(card.recipe.filled()) or "defaults",
            "summary": card.summary,
        }
        for card in legible(algorithm_card, card_names("algorithms"))
    ]


def _dataset_rows() -> list[dict[str, str | int]]:
    return [
        {
            "name": card.name,
            "domains": card.domain_count,
            "classes": card.class_count if card.value is None else f"a value: {card.value.what}",
            "images": card.images,
            "licence": _gist(card.licence),
            "may be passed on": _gist(card.redistribution),
        }
        for card in legible(dataset_card, dataset_names())
    ]


def _gist(terms: str) -> str:
    """What terms say before they go into details; a question mark where they are to be checked."""
    known = terms.removeprefix("To be checked with the source")
    gist = re.split(r"[:;,(]|\.(?!\d)", known.lstrip(": "), maxsplit=1)[0].strip()
    return f"{gist} ?".strip() if known != terms else gist


def _board_rows() -> list[dict[str, str | int]]:
    return [
        {
            "name": card.name,
            "dataset": ", ".join(card.dataset),
            "algorithms": len(card.algorithms),
            "summary": card.summary,
        }
        for card in legible(board_card, board_names())
    ]


def _part_rows() -> list[dict[str, str | int]]:
    return [
        {"name": f"{slot}.{name}", "class": target} for slot in SLOTS for name, target in registry.targets(slot).items()
    ]


def _published_rows() -> list[dict[str, str | int]]:
    return [
        {
            "name": f"{origin.name}.{name}",
            "year": origin.paper.year,
            "protocol": _gist(table.protocol),
            "backbone": _gist(table.backbone),
            "table": table.title,
        }
        for origin in origins()
        for name, table in origin.tables.items()
    ]


_ROWS = {
    What.algorithms: _algorithm_rows,
    What.datasets: _dataset_rows,
    What.boards: _board_rows,
    What.parts: _part_rows,
    What.published: _published_rows,
}
