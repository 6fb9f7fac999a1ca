"""``dgbench store``: looking after finished work."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from dgbench.cli.output import Json, Quiet, new_table, print_json, screen, unsaid
from dgbench.cli.work import KeepRule, StorePath, there
from dgbench.core.amounts import in_words
from dgbench.runs.store import Store
from dgbench.runs.usage import Room, Usage

if TYPE_CHECKING:
    from dgbench.runs.joining import Joined
    from dgbench.runs.prune import Pruning
    from dgbench.runs.verify import Verified


def add(app: typer.Typer) -> None:
    """Add the verbs that look after the store."""
    verbs = typer.Typer(help="Look after finished work.", no_args_is_help=True)
    verbs.callback()(_group)
    verbs.command("ls")(ls)
    verbs.command("du")(du)
    verbs.command("prune")(prune_)
    verbs.command("verify")(verify_)
    verbs.command("merge")(merge_)
    verbs.command("export")(export_)
    app.add_typer(verbs, name="store")


def _group() -> None:
    pass


def _table(*headings: str) -> Table:
    table = new_table()
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("", "board", "algorithm", "keep", "rules") else "right")
    return table


def ls(store: StorePath = None, as_json: Json = False) -> None:
    """List the boards of the store.

    A board whose rules or recipes were changed is listed once for each set of them.
    """
    usage = Usage(there(store))
    rows: list[dict[str, Any]] = [
        {
            "board": board.name,
            "rules": board.path.stem,
            "algorithms": len(board.algorithms),
            "runs": len(board.entries),
            "finished": usage.finished(board),
            "keep": board.keep,
            "bytes": usage.room(board.pieces()).total,
        }
        for board in usage.boards
    ]
    if as_json:
        print_json({"boards": rows, "damaged": usage.damaged})
        return
    table = _table("board", "rules", "algorithms", "runs", "finished", "missing", "keep", "size")
    for row in rows:
        missing = row["runs"] - row["finished"]
        counts = (f"{count:,}" for count in (row["algorithms"], row["runs"], row["finished"], missing))
        table.add_row(row["board"], row["rules"], *counts, row["keep"], in_words(row["bytes"]))
    screen().print(table)
    if len(rows) > 1:
        print("what boards share is in the size of each of them; 'dgbench store du' counts it once")
    for path in usage.damaged:
        print(f"{path} is damaged; 'dgbench store verify' sets it aside")


def du(store: StorePath = None, as_json: Json = False) -> None:
    """Show how much room the store takes, by board and algorithm.

    What several boards or algorithms share is part of the size of each of them, and of the sum once.
    """
    usage = Usage(there(store))
    own = [(board.name, name, board.pieces(name)) for board in usage.boards for name in board.algorithms]
    lists = Counter(piece for _, _, pieces in own for piece in pieces)
    rows = [
        (board, name, usage.room(pieces), usage.room(piece for piece in pieces if lists[piece] > 1).total)
        for board, name, pieces in own
    ]
    listed = {piece for board in usage.boards for piece in board.pieces()}
    starts = listed - lists.keys()
    sums = {
        "what they start from": usage.room(starts),
        "boards, shared work once": usage.room(listed),
        "on no board's list": usage.room(usage.unlisted()),
        "features": Room(other=usage.features()),
        "set aside as damaged": Room(other=usage.aside()),
    }
    if as_json:
        print_json(
            {
                "algorithms": [
                    {
                        "board": board,
                        "algorithm": name,
                        **dataclasses.asdict(room),
                        "bytes": room.total,
                        "shared": shared,
                    }
                    for board, name, room, shared in rows
                ],
                **{
                    name.replace(", ", " ").replace("'", "").replace(" ", "_"): room.total
                    for name, room in sums.items()
                },
            }
        )
        return
    table = _table("board", "algorithm", "weights", "predictions", "other", "in all", "of it shared")
    for board_name, name, room, shared in rows:
        table.add_row(board_name, name, *_cells(room), in_words(shared) if shared else "")
    table.add_row()
    for name, room in sums.items():
        if room.total or name.startswith("boards"):
            table.add_row(name, "", *_cells(room), "")
    screen().print(table)


def _cells(room: Room) -> list[str]:
    return [in_words(count) if count else "" for count in (room.weights, room.predictions, room.other, room.total)]


def prune_(
    boards: Annotated[
        list[str] | None, typer.Argument(metavar="[BOARD]...", help="all of the store by default")
    ] = None,
    keep: Annotated[
        KeepRule | None, typer.Option("--keep", help="a rule for these boards: which weights stay, now and from now on")
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="these boards go as a whole, but for what other boards list")
    ] = False,
    unlisted: Annotated[bool, typer.Option("--unlisted", help="also what no board lists")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do it; without, it is only said what would go")] = False,
    store: StorePath = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make room in the store.

    Lets go of weights that no board wants by its rule. Predictions stay, but for those of boards that are forgotten
    and of work that no board lists. What another process works on stays.
    """
    from dgbench.runs.prune import prune, pruning

    kept = there(store)
    what = pruning(kept, boards or (), keep=None if keep is None else keep.value, forget=forget, unlisted=unlisted)
    freed = prune(kept, what) if yes else None
    if as_json:
        print_json({**dataclasses.asdict(what), "bytes": what.bytes, "freed": freed})
    elif not quiet:
        _show_pruning(what, freed)


def _show_pruning(what: Pruning, freed: int | None) -> None:
    table = _table("", "pieces", "size")
    kinds = {
        "weights that no board wants": [(over.bytes, len(over.files)) for over in what.weights],
        "whole trainings": [(piece.bytes, 1) for piece in what.pieces if piece.kind == "training"],
        "whole runs, with their predictions": [(piece.bytes, 1) for piece in what.pieces if piece.kind == "run"],
        "lists and pages of boards": [(0, 1) for _ in what.forgotten],
    }
    for kind, found in kinds.items():
        if found:
            table.add_row(kind, f"{sum(count for _, count in found):,}", in_words(sum(size for size, _ in found)))
    if table.row_count:
        screen().print(table)
    if freed is not None:
        print(f"{in_words(freed)} freed")
    elif table.row_count or what.ruled:
        print(f"{in_words(what.bytes)} would go; --yes lets it go")
    else:
        print("there is nothing to let go of")


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
    from dgbench.runs.verify import verify

    kept = there(store)
    with unsaid():
        results = verify(kept, set_aside=not dry_run)
    if as_json:
        print_json([dataclasses.asdict(result) for result in results])
    elif not quiet:
        _show(results)
    if any(result.damaged for result in results):
        raise typer.Exit(1)


def merge_(
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="stores, by path or by address")],
    store: StorePath = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring what other stores have finished into this one.

    Every file is hashed before it is copied. What is here stays as it is, so merging again does nothing, and a merge
    that was stopped goes on. Exits with 1 if something was damaged, which is left out.
    """
    into = Store.at(store)
    _join([(into, there(other)) for other in others], (), as_json=as_json, quiet=quiet)


def export_(
    to: Annotated[str, typer.Argument(metavar="TO", help="a store, by path or by address; it is made if need be")],
    boards: Annotated[
        list[str] | None, typer.Argument(metavar="[BOARD]...", help="all that is finished by default")
    ] = None,
    store: StorePath = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copy what this store has finished, or what some of its boards list, to another one.

    As 'dgbench store merge' there would: what is in the other store stays as it is. Exits with 1 if something was
    damaged, which is left out.
    """
    here = there(store)
    _join([(Store.at(to), here)], boards or (), as_json=as_json, quiet=quiet)


def _join(pairs: list[tuple[Store, Store]], boards: Sequence[str], *, as_json: bool, quiet: bool) -> None:
    from dgbench.runs.joining import join

    done = {other.place: join(into, other, boards) for into, other in pairs}
    if as_json:
        print_json([{"from": place, **dataclasses.asdict(joined)} for place, joined in done.items()])
    elif not quiet:
        for place, joined in done.items():
            _show_joined(place, joined)
    if any(joined.damaged for joined in done.values()):
        raise typer.Exit(1)


def _show_joined(place: str, joined: Joined) -> None:
    print(
        f"{place}: {joined.trainings:,} trainings and {joined.runs:,} runs copied ({in_words(joined.bytes)}), "
        f"{joined.there:,} were there; lists of {joined.boards:,} boards"
    )
    if joined.busy:
        print(f"{joined.busy:,} are being done by another process, and were left out")
    for what in joined.damaged:
        print(f"left out: {what}")


def _show(results: list[Verified]) -> None:
    table = _table("", "pieces", "not finished", "not sealed", "files read", "size", "damaged")
    for result in results:
        counts = (result.pieces, result.unfinished, result.unsealed, result.files)
        table.add_row(
            "features" if result.kind == "features" else f"{result.kind}s",
            *(f"{count:,}" for count in counts),
            in_words(result.bytes),
            f"[bold red]{len(result.damaged)}[/]" if result.damaged else "0",
        )
    screen().print(table)
    if any(result.unsealed for result in results):
        print("what is not sealed was made by an earlier dgbench, and cannot be verified")
    for damage in (damage for result in results for damage in result.damaged):
        print(damage.what if damage.aside is None else f"{damage.what}; set aside as {damage.aside}")
    if any(damage.aside for result in results for damage in result.damaged):
        print("'dgbench run' does again what a board asks for of it")
