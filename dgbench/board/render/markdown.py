"""The leaderboard as Markdown, for a repository's page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dgbench.board.leaderboard import Leaderboard, Track
from dgbench.board.render import text


def render(board: Leaderboard) -> str:
    """The whole leaderboard as GitHub-flavoured Markdown."""
    info = board.info
    blocks = [f"# {_plain(info.title)}", _plain(info.protocol)]
    for track in board.tracks:
        blocks += _track(board, track)
    blocks += [
        "## How to read this",
        *map(_plain, (text.selection(board), text.RANKING, text.ACCURACY, text.GAP, f"* {text.ORACLE}")),
        "## How good was the selection?",
        text.QUALITY,
    ]
    for track in board.tracks:
        rows = [text.quality_row(quality) for quality in track.qualities] + text.baselines(track)
        blocks.append(_table([f"Criterion ({track.name})", "Accuracy of its picks", "Regret", "Correlation"], rows))
    provenance = {
        "board": f"{info.name}, version {info.version}, rules {info.rules}",
        "data": f"{info.dataset}: {', '.join(info.domains)}; {info.classes} classes",
        "budget": f"{info.trials} trials, {info.draws} draws of hyperparameters for each target",
        **board.provenance,
    }
    blocks += [
        "## Cost",
        text.cost(board),
        "## Provenance",
        "\n".join(f"* {_plain(key)}: {_plain(value)}" for key, value in provenance.items()),
        "Computed by:",
        f"```\n{info.recompute}\n```",
    ]
    return "\n\n".join(blocks) + "\n"


def _track(board: Leaderboard, track: Track) -> list[str]:
    title, explanation = text.TRACKS[track.name]
    domains = board.info.domains
    table = _table(text.header(board, domains), [text.row(entry, domains) for entry in track.entries])
    return [f"## {title}", explanation, table, *map(_plain, text.warnings(board, track))]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    left = ("Algorithm", "Criterion")
    lines = [header, ["---" if heading.startswith(left) else "---:" for heading in header], *rows]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _plain(string: str) -> str:
    """Text that Markdown shows as it stands."""
    for character in "\\|<*_`":
        string = string.replace(character, "\\" + character)
    return string
