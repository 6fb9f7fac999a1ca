"""``dgbench submit``: making, checking and placing submissions to a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgbench.api import submitting
from dgbench.cli.output import Json, Quiet, print_json
from dgbench.cli.work import BoardName, StorePath
from dgbench.core.visible import visible

if TYPE_CHECKING:
    from dgbench.submissions.check import Checked

Folders = Annotated[list[Path], typer.Argument(metavar="SUBMISSION...", help="folders of submissions, as sam@1")]
PredictionsIn = Annotated[
    Path | None,
    typer.Option(
        "--predictions",
        metavar="FOLDER",
        help="the folder of a submission whose predictions are taken, where those of SUBMISSION lie elsewhere",
    ),
]
Against = Annotated[
    str | None,
    typer.Option("--board", help="name or board.toml that it is held against; the board that it names by default"),
]


def add(app: typer.Typer) -> None:
    """Add the verbs of submissions."""
    verbs = typer.Typer(help="Submit results to a board.", no_args_is_help=True)
    verbs.command("make")(make)
    verbs.command("from-predictions")(from_predictions)
    verbs.command("check")(check)
    verbs.command("add")(add_)
    app.add_typer(verbs, name="submit")
    app.command()(kit)


def make(
    board: BoardName,
    algorithm: Annotated[
        list[str] | None,
        typer.Option("--algorithm", "-a", help="as 'sam + t3a', repeat for several; all of the board's by default"),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="where the submission's folder is put")] = Path(),
    number: Annotated[int, typer.Option(min=1, max=9999, help="a later submission has a higher number")] = 1,
    author: Annotated[list[str] | None, typer.Option(help="who ran it; repeat for several")] = None,
    code: Annotated[str | None, typer.Option(help="where its code is, if the card does not say so")] = None,
    store: StorePath = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a submission of what the store holds of an algorithm; of each of several, or of all of the board.

    It is a folder: submission.json, runs.parquet, and what every run predicted. Where runs of one are missing, none is
    written.
    """
    folders = submitting.make_submissions(
        board, out, algorithm, store=store, number=number, authors=tuple(author or ()), code=code
    )
    if as_json:
        print_json(_one_or_all([{"folder": folder.resolve()} for folder in folders]))
    elif not quiet:
        for folder in folders:
            print(f"{folder}: 'dgbench submit check {folder}' says what others will see of it")


def from_predictions(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="method.toml, and a table for each run")],
    board: Annotated[str, typer.Option("--board", help="a board's name, or the path of a board.toml")],
    out: Annotated[Path, typer.Option("--out", "-o", help="where the submission's folder is put")] = Path(),
    number: Annotated[int, typer.Option(min=1, max=9999, help="a later submission has a higher number")] = 1,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a submission of a method of another code base.

    Its predictions are plain tables, one for each case, trial, draw and step. dgbench kit writes what they are of.
    """
    made = submitting.submission_from_predictions(board, folder, out, number=number)
    if as_json:
        print_json({"folder": made.resolve()})
    elif not quiet:
        print(f"{made}: 'dgbench submit check {made}' says what others will see of it")


def kit(
    board: BoardName,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="a folder that is not there yet")],
    quiet: Quiet = False,
) -> None:
    """Write what a method of another code base needs.

    For every case and trial: which examples to train on, to validate on and to predict; pictures; no target label.
    """
    submitting.write_kit(board, out, told=(lambda what: None) if quiet else print)


def check(
    submissions: Folders,
    board: Against = None,
    predictions: PredictionsIn = None,
    store: StorePath = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check submissions, by every rule, from what they predicted.

    Exits with 0 if all are good, 1 if one is refused, 2 if one is none.
    """
    found = []
    for folder in submissions:
        checked = submitting.check_submission(folder, board=board, store=store, predictions=predictions)
        found.append(checked)
        if not (as_json or quiet):
            _show(checked, folder, board)
    if as_json:
        print_json(_one_or_all([_as_data(checked) for checked in found]))
    if not all(checked.good for checked in found):
        raise typer.Exit(1)


def add_(
    submissions: Folders,
    board: Against = None,
    into: Annotated[
        Path | None, typer.Option(help="where submissions lie; the folder submissions beside the board.toml by default")
    ] = None,
    predictions: Annotated[
        bool, typer.Option("--predictions/--no-predictions", help="whether predictions are placed, too")
    ] = True,
    store: StorePath = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check submissions, and place those that are good beside the rules of their board.

    From then on 'dgbench leaderboard' ranks them. Exits with 0 if all are placed, 1 if one is refused, 2 if one is
    none.
    """
    told, refused = [], 0
    for folder in submissions:
        checked = submitting.check_submission(folder, board=board, store=store)
        place = None
        if checked.good:
            place = submitting.add_submission(folder, checked=checked, board=board, into=into, predictions=predictions)
        refused += place is None
        told.append(_as_data(checked) | {"folder": place.resolve() if place else None})
        if not (as_json or quiet):
            _show(checked, folder, board)
            if place:
                print(f"placed as {place}")
    if as_json:
        print_json(_one_or_all(told))
    if refused:
        raise typer.Exit(1)


def _one_or_all(told: list[dict[str, Any]]) -> dict[str, Any] | list[dict[str, Any]]:
    """What is said of the only one, or a list."""
    return told[0] if len(told) == 1 else told


def _as_data(checked: Checked) -> dict[str, Any]:
    return {
        "id": checked.submission.id if checked.submission else None,
        "good": checked.good,
        "level": checked.level,
        "verdicts": [verdict.__dict__ for verdict in checked.verdicts],
    }


def _show(checked: Checked, folder: Path, board: str | None) -> None:
    for verdict in checked.verdicts:
        if verdict.outcome == "not looked at":
            continue
        print(f"{verdict.code}  {verdict.outcome:<9}{verdict.rule}")
        for reason in verdict.reasons:
            print(f"{'':5}{reason}")
        if verdict.reasons:
            print(f"{'':5}-> {verdict.remedy}")
    if unseen := [verdict.code for verdict in checked.verdicts if verdict.outcome == "not looked at"]:
        print(f"{', '.join(unseen)} could not be looked at")
    name = checked.submission.id if checked.submission else visible(folder.name)
    print(f"{name}: {f'good; {checked.level}' if checked.good else 'refused'}")
    if noted := submitting.noted(folder, checked, board=board):
        print(f"{'':5}{noted.level}, as a note beside it says: by dgbench {visible(noted.by)}, {visible(noted.made)}")
