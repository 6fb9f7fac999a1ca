"""``dgbench export``, ``deploy``, ``predict``, ``reliance``: models that leave a board, and what they say."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from dgbench.api import boards, using
from dgbench.cli.dividing import Workers
from dgbench.cli.output import Json, Quiet, new_table, print_json, screen
from dgbench.cli.work import (
    Backbone,
    BoardName,
    By,
    Device,
    DeviceOption,
    Draws,
    On,
    Only,
    StorePath,
    Target,
    Trial,
    Trials,
    stoppable,
)
from dgbench.core.names import in_short
from dgbench.core.visible import visible
from dgbench.exported.card import README
from dgbench.runs.progress import Silent, for_people

Out = Annotated[Path, typer.Option("--out", "-o", help="the folder that the model becomes")]


def add(app: typer.Typer) -> None:
    """Add the verbs that make and use models."""
    app.command()(export)
    app.command()(deploy)
    app.command()(predict)
    app.command()(reliance)


def export(
    board: BoardName,
    algorithm: Annotated[str, typer.Argument(help="a recipe whose runs are finished: erm, 'sam + t3a'")],
    out: Out,
    target: Target = None,
    trial: Trial = 0,
    dataset: On = None,
    trials: Trials = None,
    draws: Draws = None,
    backbone: Backbone = None,
    criterion: By = None,
    store: StorePath = None,
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a model that was chosen on a board as a folder.

    It holds the backbone under the names of timm or open_clip, its heads, and a card: preprocessing, classes, how and
    on what the model was chosen, its scores. 'dgbench predict' and dgbench.load() read it.
    """
    rules = boards.rules(board, datasets=dataset, trials=trials, draws=draws, backbone=backbone)
    card = using.export(
        rules, algorithm, out, target=target, trial=trial, criterion=criterion, store=store, device=device.value
    )
    if as_json:
        print_json(card.model_dump(mode="json", by_alias=True))
    elif not quiet:
        chosen, reached = card.selection, card.scores.target
        print(
            f"{card.algorithm.title}, {chosen.target} left out, trial {chosen.trial}, draw {chosen.draw}, "
            f"step {chosen.step}, chosen by {chosen.criterion}"
        )
        if reached is not None and reached.low is not None and reached.high is not None:
            print(
                f"on {chosen.target}: {100 * reached.value:.1f} per cent correct ({100 * reached.low:.1f} to "
                f"{100 * reached.high:.1f}; {reached.n:,} images)"
            )
        print(out.resolve())


def deploy(
    board: BoardName,
    out: Out,
    dataset: On = None,
    algorithm: Only = None,
    trials: Trials = None,
    draws: Draws = None,
    backbone: Backbone = None,
    criterion: By = None,
    store: StorePath = None,
    device: DeviceOption = Device.auto,
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a model for use, out of a board whose runs are finished.

    The algorithm and the hyperparameters with the best validation scores are trained on all domains, and the model is
    written as a folder. Its README.md says what to expect on a domain never seen, and what is not promised.
    """
    rules = boards.rules(board, datasets=dataset, algorithms=algorithm, trials=trials, draws=draws, backbone=backbone)
    progress = Silent() if quiet else for_people()
    with stoppable():
        card = using.deploy(
            rules, out, criterion=criterion, store=store, device=device.value, workers=workers, progress=progress
        )
    if as_json:
        print_json(card.model_dump(mode="json", by_alias=True))
    elif not quiet and card.expected is not None:
        chosen, expected = card.selection, card.expected
        worst, best = expected.unseen[expected.lowest], expected.unseen[expected.highest]
        print(
            f"{card.algorithm.title}, trained on {in_short(chosen.sources)}; step {chosen.step}, "
            f"chosen by {chosen.criterion}"
        )
        print(
            f"on a domain never seen: {100 * worst.value:.1f} ({expected.lowest}) to {100 * best.value:.1f} "
            f"({expected.highest}) per cent correct, by models that had it left out; other domains may differ"
        )
        print((out / README).resolve())


def predict(
    model: Annotated[Path, typer.Argument(metavar="DIR", help="the folder of an exported model")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="files, and folders of them")],
    csv: Annotated[Path | None, typer.Option(help="write picture, class, confidence into this file")] = None,
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what pictures show, and how sure the model is.

    A line for each picture: its path, the class, the probability of that class. Pictures that cannot be read are named
    on stderr, and the exit code is 1 then.
    """
    from dgbench.data.pixels.suffixes import say_left_out
    from dgbench.exported.predict import pictures_of, predictions, write_csv
    from dgbench.runs.device import resolve_device

    read = using.load(model, resolve_device(device.value))
    given, others = pictures_of(images)
    if others and not quiet:
        print(say_left_out(others), file=sys.stderr)
    found, unread = [], 0
    for one in predictions(read, given):
        if one.error is not None:
            unread += 1
            print(f"unreadable: {visible(one.error)}", file=sys.stderr)
        elif not (quiet or as_json or csv):
            print(visible(one.picture), visible(one.label or ""), f"{one.confidence:.4f}", sep="\t")
        found.append(one)
    if csv is not None:
        write_csv(csv, found)
    if as_json:
        print_json([dataclasses.asdict(one) for one in found])
    elif csv is not None and not quiet:
        print(csv.resolve())
    if unread:
        print(f"{unread:,} of {len(found):,} pictures could not be read", file=sys.stderr)
        raise typer.Exit(1)


def reliance(
    model: Annotated[Path, typer.Argument(metavar="DIR", help="the folder of an exported model")],
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="a folder of pictures")],
    masks: Annotated[
        Path, typer.Option(help="a folder laid out alike, with a PNG for each: white where the foreground is")
    ],
    device: DeviceOption = Device.auto,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say if a model reads foregrounds or backgrounds.

    It is asked about each picture, about its foreground and its background alone, and about its foreground on the
    background of another. A picture whose mask is empty or full is left out.
    """
    found = using.reliance(model, images, masks, device=device.value)
    if as_json:
        print_json(dataclasses.asdict(found))
    elif not quiet:
        table = new_table()
        for heading in ("shown", "class of the whole", "right"):
            table.add_column(heading, justify="left" if heading == "shown" else "right")
        for name in ("whole", "foreground", "background", "exchanged"):
            one = getattr(found, name)
            shown = "exchanged background" if name == "exchanged" else name
            table.add_row(shown, _per_cent(one.same), _per_cent(one.right))
        screen().print(table)
        print(
            f"{found.pictures:,} pictures, {found.left_out:,} left out. Of {found.mixed:,} with the background of a "
            f"picture of another class {_per_cent(found.with_foreground)} go by the foreground, "
            f"{_per_cent(found.with_background)} by the background."
        )


def _per_cent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
