"""``dgbench diagnose``: what is a dataset like?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dgbench.cli.bars import Bar, shown_bars
from dgbench.cli.output import Json, Quiet, print_json, screen
from dgbench.cli.work import Device, DeviceOption


def add(app: typer.Typer) -> None:
    """Add the verb that says what a dataset is like."""
    app.command()(diagnose)


def diagnose(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="a dataset, or the path of its card")],
    domain: Annotated[list[str] | None, typer.Option(help="only these; repeat for several")] = None,
    images: Annotated[int, typer.Option(min=2, help="of each domain, at most; the same each time")] = 1000,
    backbone: Annotated[
        str | None, typer.Option(help="tell domains apart by its features, in place of pixels: efficientnet-lite0")
    ] = None,
    device: DeviceOption = Device.auto,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="write a page, such as diagnosed.html")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a dataset is like.

    How domains differ: diversity and correlation shift, how well they are told apart, class frequencies,
    near-duplicates. How images vary: intrinsic dimension, label sharpness. How hard it is to generalise. Nothing is
    trained, and nothing is put into a store.
    """
    from dgbench.api import diagnosing
    from dgbench.board.render.diagnosed import data, terminal

    with shown_bars(quiet) as bars:
        found = diagnosing.diagnose(
            dataset,
            domains=domain,
            images=images,
            backbone=backbone,
            device=device.value,
            progress=Bar(bars, "diagnosing"),
        )
    if out is not None:
        found.write(out)
    if as_json:
        print_json(data.as_data(found) | {"page": out and out.resolve()})
    elif not quiet:
        terminal.show(found, screen())
        if out is not None:
            print(f"html  {out.resolve()}")
