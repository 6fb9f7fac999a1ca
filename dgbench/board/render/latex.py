"""The leaderboard as LaTeX tables, in the form in which papers print them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dgbench.board.leaderboard import Leaderboard, Track
from dgbench.board.render import text
from dgbench.core.names import file_name
from dgbench.core.visible import visible

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "^": r"\textasciicircum{}",
    "_": r"\_", "~": r"\textasciitilde{}", "%": r"\%", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "†": r"$\dagger$", "–": "--", "−": "$-$", "±": r"$\pm$",
}  # fmt: skip
_ACTING = re.compile("[" + re.escape("".join(_SPECIAL)) + "]")


def render(board: Leaderboard) -> str:
    """A table for each track; it needs the package ``booktabs``."""
    return "\n".join(_table(board, track) for track in board.tracks)


def escaped(string: str) -> str:
    """Text that LaTeX prints as it stands: no command, no formula, no comment."""
    return _ACTING.sub(lambda match: _SPECIAL[match[0]], visible(string))


def _table(board: Leaderboard, track: Track) -> str:
    domains, show = board.info.domains, text.figures(board)
    led = any(entry.rank != 1 for entry in track.entries)  # else nobody is set apart, and bold says nothing
    rows = [
        [
            escaped(text.rank(entry)),
            escaped(text.name(entry, board)),
            *(escaped(show.number(entry.targets[d].mean)) if d in entry.targets else "--" for d in domains),
            _bold(escaped(show.with_margin(entry.accuracy)), led and entry.rank == 1),
        ]
        for entry in track.entries
    ]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(_caption(board, track, led))}}}",
        rf"\label{{tab:{file_name(board.info.name)}-{track.name}}}",
        rf"\begin{{tabular}}{{rl{'r' * (len(domains) + 1)}}}",
        r"\toprule",
        _row(["Rank", "Algorithm", *map(escaped, domains), "Mean"]),
        r"\midrule",
        *map(_row, rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _caption(board: Leaderboard, track: Track, led: bool) -> str:
    """What is measured, by which protocol, how models were chosen, and what marks say."""
    title, _ = text.TRACKS[track.name]
    within = text.figures(board).within.removeprefix(",")
    said = [
        f"{board.info.title}, {title[0].lower()}{title[1:]}: {board.info.headline.title}{within}, mean "
        f"over {text.trials(board)} "
        f"{'trial' if text.trials(board) == '1' else 'trials, ± half of the 95 % interval'}.",
        board.info.protocol,
        text.selection(board),
        *text.part(board),
        *text.looks(board),
        "Bold: no algorithm is shown to be better (rank 1)." if led else "",
    ]
    return " ".join(filter(None, said))


def _bold(cell: str, bold: bool) -> str:
    return rf"\textbf{{{cell}}}" if bold else cell


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
