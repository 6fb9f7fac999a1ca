"""A leaderboard for whoever asked for it: on the terminal, as JSON, and as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dgbench.api import boards, measuring
from dgbench.cli.output import print_json, screen
from dgbench.core.cards import BoardCard
from dgbench.runs.store import Store


def submitted_to(board: str, rules: BoardCard) -> str | BoardCard:
    """The board by its name where its rules are its own: what is submitted keeps to a board as it is."""
    return board if rules == boards.rules(board) else rules


def present(
    board: str,
    rules: BoardCard,
    criterion: str | None,
    store: Path | str | None,
    *,
    out: Path | None = None,
    forms: Sequence[str] = (),
    benchmark: str | None = None,
    as_json: bool,
    quiet: bool,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Compute a leaderboard, write its files, and print it; as JSON with what more there is to say."""
    from dgbench.cli.seen import Look, folder_of, listening

    asked = submitted_to(board, rules)
    kept = Store.at(store)
    console = None if as_json or quiet else screen(highlight=True)
    kind = f"{console.width} {console.color_system} {console.encoding} {console.no_color}" if console else None
    plain = out is None and not forms and not as_json
    look = Look.at(asked, rules, criterion, kept) if plain else None
    before = look.again(kind) if look else None
    if before is not None:
        paths, text = before
    else:
        from dgbench.board.interactive import Leaderboard
        from dgbench.board.render import terminal
        from dgbench.board.render.files import as_data, write
        from dgbench.board.render.forms import write_forms

        with listening() as heard:
            made = Leaderboard.of(boards.entered(asked, criterion, store), criterion)
            others = measuring.rankings(asked, made, store=store)
            folder = out or folder_of(rules, criterion, kept)
            paths = [*write(made, folder, others=others), *write_forms(made, folder, forms, benchmark)]
        if as_json:
            print_json(as_data(made) | {"files": [path.resolve() for path in paths], **more})
            return
        text = terminal.shown(made, console) if console else ""
        if look and not heard():
            look.note(paths, kind, text)
    if console:
        print(text)
        for path in paths:
            print(f"{path.suffix.removeprefix('.'):<5} {path.resolve()}")


def present_ranking(
    board: str,
    rules: BoardCard,
    metric: str,
    criterion: str | None,
    store: Path | str | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Rank a board's algorithms by another number than accuracy, and print that."""
    from dgbench.board.render import measures, terminal

    ranking = measuring.ranking(submitted_to(board, rules), metric, criterion=criterion, store=store)
    if as_json:
        print_json(measures.as_data(ranking))
    elif not quiet:
        terminal.show_ranking(ranking, screen(highlight=True))
