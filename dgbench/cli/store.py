"""``dgbench store``: looking after finished work."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from dgbench.cli.output import Json, Quiet, print_json
from dgbench.cli.work import StorePath
from dgbench.core.errors import StoreError
from dgbench.core.paths import store_root

if TYPE_CHECKING:
    from dgbench.runs.verify import Verified


def store(app: typer.Typer) -> None:
    """Add the verbs that look after the store."""
    verbs = typer.Typer(help="Look after finished work.", no_args_is_help=True)
    verbs.callback()(_group)
    verbs.command("verify")(verify_)
    app.add_typer(verbs, name="store")


def _group() -> None:
    pass


def verify_(
    store: StorePath = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what is damaged, and touch nothing")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read every file of the store again.

    What is not what was written is named and set aside, in the store's folder damaged; dgbench run does it again.
    Exits with 1 if there was something damaged.
    """
    from dgbench.runs.store import Store
    from dgbench.runs.verify import verify

    root = store or store_root()
    if not root.is_dir():
        raise StoreError(f"there is no store in {root.resolve()}; --store or $DGBENCH_STORE says where it is")
    logging.getLogger("dgbench.runs.store").setLevel(logging.ERROR)  # what it warns of is printed below
    results = verify(Store(root), set_aside=not dry_run)
    if as_json:
        print_json([dataclasses.asdict(result) for result in results])
    elif not quiet:
        _show(results)
    if any(result.damaged for result in results):
        raise typer.Exit(1)


def _show(results: list[Verified]) -> None:
    from dgbench.core.amounts import in_words

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for heading in ("pieces", "not finished", "not sealed", "files read", "size", "damaged"):
        table.add_column(heading, justify="right")
    for result in results:
        counts = (result.pieces, result.unfinished, result.unsealed, result.files)
        table.add_row(
            "features" if result.kind == "features" else f"{result.kind}s",
            *(f"{count:,}" for count in counts),
            in_words(result.bytes),
            f"[bold red]{len(result.damaged)}[/]" if result.damaged else "0",
        )
    console = Console(highlight=False)
    (console if console.is_terminal else Console(width=120, highlight=False)).print(table)
    if any(result.unsealed for result in results):
        print("what is not sealed was made by an earlier dgbench, and cannot be verified")
    for damage in (damage for result in results for damage in result.damaged):
        print(damage.what if damage.aside is None else f"{damage.what}; set aside as {damage.aside}")
    if any(damage.aside for result in results for damage in result.damaged):
        print("'dgbench run' does again what a board asks for of it")
