"""The leaderboard as Markdown, for a repository's page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dgbench.board.leaderboard import Leaderboard, Track
from dgbench.board.render import text
from dgbench.core.visible import visible

_SPECIAL = re.compile(r"[\\`*_\[\]<>|~$]|&(?=#|\w)")
"""What opens markup, a formula or a character's name anywhere in a line."""
_OPENING = re.compile(r"^(\d*)([#+\-=.):])")
"""What makes a heading, a list or a rule of a line that begins so."""
_BARE = re.compile(r"(?::(?=//))|(?:www(?=\.))|(?<!\w)@(?=\w)|@(?=[\w-]+\.\w)", re.IGNORECASE)
"""Where renderers take a bare address, ``https://`` or ``www.`` or ``a@b``, or the mention of a user for a link."""


def render(board: Leaderboard) -> str:
    """The whole leaderboard as GitHub-flavoured Markdown."""
    info, show = board.info, text.figures(board)
    blocks = [f"# {inline(info.title)}", plain(info.protocol)]
    for track in board.tracks:
        blocks += _track(board, track)
    blocks += [
        *map(plain, text.notes(board)),
        "## How to read this",
        *map(plain, (text.selection(board), text.RANKING, text.ADJUSTED)),
        *map(plain, (text.in_units(board, text.ACCURACY), text.gap(board))),
        *(f"\\* {plain(line)}" for line in (text.CEILING, text.ORACLE)),
        "## How good was the selection?",
        text.in_units(board, text.QUALITY),
    ]
    for track in board.tracks:
        for heading, qualities in text.judged(track):
            rows = [text.quality_row(quality, show) for quality in qualities] + text.baselines(track, show)
            first = f"Criterion ({', '.join(filter(None, (track.name, heading)))})"
            blocks.append(table([first, "Accuracy of its picks", "Regret", "Correlation"], rows))
    provenance = {
        "board": f"{info.name}, version {info.version}, rules {info.rules}",
        "targets": f"{', '.join(info.domains)}; {text.predicted(board)}",
        "budget": (
            f"{text.trials(board)} trials, {info.draws} draw{'s' if info.draws != 1 else ''} of hyperparameters for "
            "each target"
        ),
        **board.provenance,
    }
    blocks += [
        "## Cost",
        plain(text.cost(board)),
        "## Provenance",
        "\n".join(f"* {plain(key)}: {inline(value)}" for key, value in provenance.items()),
        "Computed by:",
        _code(info.recompute),
    ]
    return "\n\n".join(blocks) + "\n"


def _track(board: Leaderboard, track: Track) -> list[str]:
    title, explanation = text.TRACKS[track.name]
    domains = board.info.domains
    entries = table(text.header(board, domains), [text.row(entry, board, domains) for entry in track.entries])
    return [
        f"## {title}",
        f"{explanation} {inline(text.backbone(track))}",
        entries,
        *map(plain, text.warnings(board, track)),
    ]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells are shown as they stand; numbers are flushed right, names are not."""
    left = ("Algorithm", "Criterion", "Domain")
    lines = [header, ["---" if heading.startswith(left) else "---:" for heading in header], *rows]
    return "\n".join("| " + " | ".join(inline(cell) for cell in line) + " |" for line in lines)


def plain(string: str) -> str:
    """A paragraph that Markdown shows as it stands, whatever it begins with."""
    return _OPENING.sub(lambda match: match[1] + "\\" + match[2], inline(string).lstrip())


def inline(string: str) -> str:
    """Text within a line that Markdown shows as it stands: no markup, link, picture, mention or formula.

    Bare addresses and mentions are no markup that could be escaped. An empty comment in their middle, which nobody
    sees, keeps them text.
    """
    escaped = _SPECIAL.sub(lambda match: "\\" + match[0], visible(string))
    return _BARE.sub(lambda match: match[0] + "<!-- -->", escaped)


def _code(string: str) -> str:
    """A block of code that nothing in it ends."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", string)), default=0))
    return f"{fence}\n{visible(string)}\n{fence}"
