"""The command line. Every error that a user can mend is one message on stderr and exit code 2."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from dgbench.core.disk import writing
from dgbench.core.errors import DGBenchError
from dgbench.core.paths import cache_root, store_root
from dgbench.core.version import __version__


def main() -> None:
    """The entry point ``dgbench``."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text: show them all the same
    try:
        with writing(store_root(), cache_root()):
            program()()
    except DGBenchError as error:
        print(f"dgbench: {error}", file=sys.stderr)
        sys.exit(2)


def program() -> typer.Typer:
    """All verbs."""
    from dgbench.cli.cache import cache
    from dgbench.cli.compare import compare
    from dgbench.cli.data import data
    from dgbench.cli.listing import list_
    from dgbench.cli.models import models
    from dgbench.cli.publishing import publishing
    from dgbench.cli.reproduce import reproduce
    from dgbench.cli.schema import schema
    from dgbench.cli.show import show
    from dgbench.cli.site import site
    from dgbench.cli.store import store
    from dgbench.cli.submit import submit
    from dgbench.cli.verify import verify
    from dgbench.cli.work import work

    app = typer.Typer(
        help="Which algorithm generalises to a domain it has never seen, and can that answer be trusted?",
        no_args_is_help=True,
        rich_markup_mode=None,  # help says what it says: brackets are no markup
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    app.command("list")(list_)
    app.command()(show)
    app.command()(schema)
    app.command()(compare)
    app.command()(reproduce)
    app.command()(verify)
    work(app)
    models(app)
    publishing(app)
    data(app)
    cache(app)
    store(app)
    submit(app)
    site(app)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        print(f"dgbench {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="print the version and exit")
    ] = False,
) -> None:
    pass
