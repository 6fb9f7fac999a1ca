"""``dgbench site``: boards as a folder of pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dgbench.api import sites
from dgbench.cli.output import Json, Quiet, print_json
from dgbench.cli.work import StorePath


def add(app: typer.Typer) -> None:
    """Add the verb that writes a site."""
    verbs = typer.Typer(help="Boards as a folder of pages.", no_args_is_help=True)
    verbs.callback()(_group)
    verbs.command("build")(build)
    app.add_typer(verbs, name="site")


def _group() -> None:
    pass


def build(
    boards: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BOARD]...", help="names, or paths of board.toml; by default all that have results"),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="the folder to write")] = Path("site"),
    store: StorePath = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write leaderboards with all that is behind them as one folder of pages.

    It opens from disk, without a server, and asks for no outside address. A site that lies there is replaced, once the
    new one is whole.
    """
    pages = sites.build_site(out, boards or None, store=store)
    if as_json:
        print_json({"folder": out.resolve(), "pages": pages})
    elif not quiet:
        print(f"{pages} pages: {(out / 'index.html').resolve()}")
