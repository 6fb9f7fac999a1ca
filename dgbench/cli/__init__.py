"""The command line. Every error that a user can mend is one message on stderr and exit code 2."""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import logging
import sys
from typing import Annotated

import typer

from dgbench.core.disk import writing
from dgbench.core.elsewhere import trust
from dgbench.core.errors import DGBenchError
from dgbench.core.paths import cache_root, store_root
from dgbench.core.version import __version__
from dgbench.core.visible import visible

_VERBS = {
    "listing": ("list",),
    "show": ("show",),
    "schema": ("schema",),
    "compare": ("compare",),
    "power": ("power",),
    "reproduce": ("reproduce",),
    "verify": ("verify",),
    "plan": ("plan",),
    "status": ("status",),
    "work": ("run", "leaderboard"),
    "select": ("select",),
    "criteria": ("criteria",),
    "statistics": ("statistics",),
    "explain": ("explain",),
    "models": ("export", "deploy", "predict", "reliance"),
    "publishing": ("published", "publish"),
    "data": ("data",),
    "diagnose": ("diagnose", "examine"),
    "cache": ("cache",),
    "store": ("store",),
    "submit": ("submit", "kit"),
    "sweeps": ("import",),
    "site": ("site",),
}
"""Which verbs each module adds, in the order of the help."""


def main() -> None:
    """The entry point ``dgbench``."""
    gc.set_threshold(100_000)  # a verb makes many objects and few cycles: to look for them took a twelfth of its time
    atexit.register(gc.freeze)  # nor is it worth while in the end: what there is goes with the process
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text: show them all the same
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("dgbench.data.sets").setLevel(logging.INFO)  # a set is fetched or drawn once, which takes a while
    try:
        for argument in sys.argv[1:]:
            trust(argument)  # whoever types the name of a class has it run
        with writing(store_root(), cache_root()):
            program(sys.argv[1] if len(sys.argv) > 1 else None)()
    except DGBenchError as error:
        lines = map(visible, str(error).split("\n"))  # it may quote what came from others
        print("dgbench:", "\n".join(lines), file=sys.stderr)
        sys.exit(2)


def program(verb: str | None = None) -> typer.Typer:
    """All verbs; where one of them is asked for, the module that has it alone, since each imports what it needs."""
    app = typer.Typer(
        help="Which algorithm generalises to a domain it has never seen, and can that answer be trusted?",
        no_args_is_help=True,
        rich_markup_mode=None,  # help says what it says: brackets are no markup
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    holds = [module for module, verbs in _VERBS.items() if verb in verbs]
    for module in holds or _VERBS:
        importlib.import_module(f"dgbench.cli.{module}").add(app)
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
