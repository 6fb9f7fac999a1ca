"""Judged criteria as Markdown, for a repository's page."""

from __future__ import annotations

from dgbench.board.judged import CriteriaBoard, JudgedTrack
from dgbench.board.render.criteria import words
from dgbench.board.render.markdown import inline, plain, table
from dgbench.selection.judging import CHOICES


def render(board: CriteriaBoard) -> str:
    """All of it as GitHub-flavoured Markdown."""
    info = board.info
    blocks = [f"# Which criterion chooses well? {inline(info.title)}", plain(info.protocol)]
    blocks.append("\n".join(f"* {inline(line)}" for line in words.headline(board)))
    blocks.append(plain(", ".join(f"{name.lower()}: {count}" for name, count in words.facts(board).items()) + "."))
    blocks += map(plain, words.notes(board))
    for track in board.tracks:
        blocks += _track(track, several=len(board.tracks) > 1)
    provenance = {"board": f"{info.name}, version {info.version}, rules {info.rules}", **board.provenance}
    blocks += [
        "## How to read this",
        *map(plain, (words.READING, words.AGAINST, words.RANKING, words.TIES)),
        "## Provenance",
        "\n".join(f"* {plain(key)}: {inline(value)}" for key, value in provenance.items()),
        "Computed by:",
        f"```\n{info.recompute}\n{words.command(board)}\n```",
    ]
    return "\n\n".join(blocks) + "\n"


def _track(track: JudgedTrack, *, several: bool) -> list[str]:
    blocks, where = [], f" ({track.name} track)" if several else ""
    for choice in CHOICES:
        blocks += [f"## {words.TITLES[choice]}{where}", plain(words.EXPLAINED[choice])]
        for number, (said, group) in enumerate(words.groups(track)):
            rows = [words.row(one.criterion.title, one.choices[choice]) for one in words.placed(group, choice)]
            ends = [] if number else words.baselines(track, choice)
            blocks += [plain(said)] if said else []
            blocks.append(table(words.HEADER, rows + ends))
    judged = [one for _, group in words.groups(track) for one in group]
    return [
        *blocks,
        f"## Does the score follow the accuracy?{where}",
        plain(words.CORRELATED),
        table(
            ["Criterion", *words.CORRELATION_TITLES.values()],
            [[o.criterion.title, *words.correlated(o)] for o in judged],
        ),
    ]
