"""``dgbench cache``: what is kept of images, and making room."""

from __future__ import annotations

import dataclasses
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from dgbench.cli.output import Json, Quiet, for_people, new_table, print_json, print_records, screen
from dgbench.core.amounts import duration, in_words
from dgbench.core.names import readable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dgbench.data.cache.contents import Content


class Kind(StrEnum):
    """What can be taken away."""

    decoded = "decoded"
    views = "views"


def add(app: typer.Typer) -> None:
    """Add the verbs that look after the cache."""
    verbs = typer.Typer(help="Look after images that are kept for next time.", no_args_is_help=True)
    verbs.command("ls")(ls)
    verbs.command("clear")(clear_)
    app.add_typer(verbs, name="cache")


def ls(as_json: Json = False) -> None:
    """Show what lies in the cache, and how much it may take.

    Decoded squares and views (validation images under shifts) obey a bound, $DGBENCH_CACHE_LIMIT: those that were not
    used for longest go first, and none that is in use. In a pipe each line is a record, its cells between tabs.
    """
    from dgbench.data.cache.contents import contents
    from dgbench.data.cache.kept import shelf

    kept, found = shelf(), contents()
    taken, bound = kept.taken(), kept.bound()
    if as_json:
        content = [dataclasses.asdict(one) for one in found]
        print_json({"folder": kept.root.resolve(), "bytes": taken, "bound": bound, "contents": content})
    elif not for_people():
        print_records(dataclasses.asdict(one) for one in found)
    else:
        _show(found)
        most = "no bound" if bound is None else f"may take {in_words(bound)}"
        print(f"\ndecoded and views take {in_words(taken)} in {kept.root.resolve()}; {most} ({kept.variable})")


def clear_(
    kinds: Annotated[list[Kind] | None, typer.Argument(help="decoded or views; both if left out")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="of this dataset alone")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do it; else it is only said what would go")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take decoded squares and views away.

    What is in use stays. All of it is made again when it is wanted.
    """
    from dgbench.data.cache.contents import KINDS, chosen, clear

    asked = [kind.value for kind in kinds or Kind]
    groups = chosen([kind for kind in KINDS if kind in asked], dataset)
    pieces = [piece for group in groups.values() for piece in group]
    gone, kept = clear(pieces) if yes else (pieces, [])
    went, stays = (sum(piece.bytes for piece in some) for some in (gone, kept))
    if as_json:
        content = [dataclasses.asdict(one) for one in groups]
        print_json({"removed": yes, "bytes": went, "in_use": stays, "contents": content})
    elif not quiet:
        _show(groups)
        if yes:
            print(f"{in_words(went)} are free again" + (f"; {in_words(stays)} are in use, and stay" if kept else ""))
        else:
            print(f"{in_words(went)} would be free again; nothing was touched: --yes does it")


def _show(found: Iterable[Content]) -> None:
    table = new_table()
    for heading in ("", "dataset", "images"):
        table.add_column(heading)
    for heading in ("pieces", "size", "last used"):
        table.add_column(heading, justify="right")
    now = time.time()
    for one in found:
        age = f"{duration(max(0.0, now - one.used))} ago"
        cells = (one.kind, readable(one.dataset), one.form, f"{one.pieces:,}", in_words(one.bytes), age)
        table.add_row(*map(escape, cells))
    screen().print(table)
