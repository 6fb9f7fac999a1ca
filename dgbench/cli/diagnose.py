"""``dgbench diagnose`` and ``examine``: what is a dataset like, and what is a trained model like?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dgbench.cli.bars import Bar, shown_bars
from dgbench.cli.output import Json, Quiet, print_json, screen
from dgbench.cli.work import Backbone, BoardName, By, Device, DeviceOption, Draws, On, StorePath, Target, Trial, Trials


def add(app: typer.Typer) -> None:
    """Add the verbs that say what a dataset is like, and a model."""
    app.command()(diagnose)
    app.command()(examine)


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


def examine(
    board: BoardName,
    algorithm: Annotated[str, typer.Argument(help="a recipe whose runs are finished: erm, lp_ft")],
    target: Target = None,
    trial: Trial = 0,
    images: Annotated[int, typer.Option(min=1, help="of each source domain, for sharpness and stragglers")] = 256,
    radius: Annotated[float, typer.Option(min=0, help="of the ball in which sharpness is measured")] = 0.1,
    dataset: On = None,
    trials: Trials = None,
    draws: Draws = None,
    backbone: Backbone = None,
    criterion: By = None,
    store: StorePath = None,
    device: DeviceOption = Device.auto,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="write a page, such as examined.html, and its numbers as JSON")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a trained model is like.

    It is the one that a board's criterion chose: the way from its initial weights in accuracy and calibration, what
    halfway gets right that neither end does, layers that do not interpolate, sharpness of all weights and of each
    layer. Nothing is trained.
    """
    from dgbench.api import boards, examining
    from dgbench.board.render.examined import page, terminal

    if out is not None:
        page.beside(out)  # a name that does not do is said before the work
    card = boards.rules(board, datasets=dataset, trials=trials, draws=draws, backbone=backbone)
    found = examining.examine(
        card,
        algorithm,
        target=target,
        trial=trial,
        criterion=criterion,
        images=images,
        radius=radius,
        store=store,
        device=device.value,
    )
    numbers = None if out is None else page.write(found, out)
    if as_json:
        print_json(found.as_data() | {"page": out and out.resolve()})
    elif not quiet:
        terminal.show(found, screen())
        if out is not None and numbers is not None:
            print(f"html  {out.resolve()}\njson  {numbers.resolve()}")
