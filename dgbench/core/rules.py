"""The identity of a board's rules, as results and submissions note it."""

from __future__ import annotations

from dgbench.core.backbone_name import parse
from dgbench.core.cards import BoardCard
from dgbench.core.dataset_card import other_headlines
from dgbench.core.spec import identity


def rules_identity(board: BoardCard) -> str:
    """The identity of a board's rules: of all that results depend on, not of what it is called and whom it compares.

    It is the same on any machine: of own weights it has the name of the file, not where that lies.
    """
    content = board.described(without={"title", "summary", "algorithms", "keep", "headline"})
    portable = {track: own.portable for track, name in board.tracks.items() if (own := parse(name)).weights}
    said = {"headline": others} if (others := other_headlines(board)) else {}
    return identity(content | {"tracks": content["tracks"] | portable} | said)
