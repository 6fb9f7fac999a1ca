"""``dgbench submit``: making, checking and placing submissions to a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgbench import submitting
from dgbench.cli.output import Json, Quiet, print_json
from dgbench.cli.work import BoardName, StorePath
from dgbench.core.visible import visible

if TYPE_CHECKING:
    from dgbench.submissions.check import Checked

FolderOf = Annotated[Path, typer.Argument(metavar="SUBMISSION", help="the folder of a submission, as sam@1")]
Against = Annotated[
    str | None,
    typer.Option("--board", help="name or board.toml that it is held against; the board that it names by default"),
]


def submit(app: typer.Typer) -> None:
    """Add the verbs of submissions."""
    verbs = typer.Typer(help="Submit results to a board.", no_args_is_help=True)
    verbs.command("make")(make)
    verbs.command("from-predictions")(from_predictions)
    verbs.command("check")(check)
    verbs.command("add")(add)
    app.add_typer(verbs, name="submit")
    app.command()(kit)


def make(
    board: BoardName,
    algorithm: Annotated[str, typer.Option("--algorithm", "-a", help="the recipe that is submitted, as 'sam + t3a'")],
    out: Annotated[Path, typer.Option("--out", "-o", help="where the submission's folder is put")] = Path(),
    number: Annotated[int, typer.Option(min=1, max=9999, help="a later submission has a higher number")] = 1,
    author: Annotated[list[str] | None, typer.Option(help="who ran it; repeat for several")] = None,
    code: Annotated[str | None, typer.Option(help="where its code is, if the card does not say so")] = None,
    store: StorePath = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a submission of what the store holds of an algorithm.

    It is a folder: submission.json, runs.parquet, and what every run predicted.
    """
    folder = submitting.make_submission(
        board, algorithm, out, store=store, number=number, authors=tuple(author or ()), code=code
    )
    if as_json:
        print_json({"folder": folder.resolve()})
    elif not quiet:
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
    submission: FolderOf,
    board: Against = None,
    store: StorePath = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a submission, by every rule, from what it predicted.

    Exits with 0 if it is good, 1 if it is refused, 2 if there is none.
    """
    checked = submitting.check_submission(submission, board=board, store=store)
    if as_json:
        print_json(_as_data(checked))
    elif not quiet:
        _show(checked, submission)
    if not checked.good:
        raise typer.Exit(1)


def add(
    submission: FolderOf,
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
    """Check a submission, and place it beside the rules of its board.

    From then on 'dgbench leaderboard' ranks it. Exits with 0 if it is placed, 1 if it is refused, 2 if there is none.
    """
    checked = submitting.check_submission(submission, board=board, store=store)
    place = None
    if checked.good:
        place = submitting.add_submission(submission, checked=checked, board=board, into=into, predictions=predictions)
    if as_json:
        print_json(_as_data(checked) | {"folder": place.resolve() if place else None})
    elif not quiet:
        _show(checked, submission)
        if place:
            print(f"placed as {place}")
    if place is None:
        raise typer.Exit(1)


def _as_data(checked: Checked) -> dict[str, Any]:
    return {
        "id": checked.submission.id if checked.submission else None,
        "good": checked.good,
        "level": checked.level,
        "verdicts": [verdict.__dict__ for verdict in checked.verdicts],
    }


def _show(checked: Checked, folder: Path) -> None:
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
