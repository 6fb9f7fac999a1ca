"""The command line. Every error that a user can mend is one message on stderr and exit code 2."""

from __future__ import annotations

import sys

import typer

from dgbench.core.errors import DGBenchError


def main() -> None:
    """The entry point ``dgbench``."""
    from dgbench.cli.catalogue import catalogue
    from dgbench.cli.data import data
    from dgbench.cli.work import work

    app = typer.Typer(
        help="Which algorithm generalises to a domain it has never seen, and can that answer be trusted?",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    catalogue(app)
    work(app)
    data(app)
    try:
        app()
    except DGBenchError as error:
        print(f"dgbench: {error}", file=sys.stderr)
        sys.exit(2)
