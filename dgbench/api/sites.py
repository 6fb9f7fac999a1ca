"""The public function that writes boards as a site.

    dgbench.build_site(Path("site"), ["quick"])

Boards and the store are given as for :mod:`dgbench.api.boards`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from dgbench.api.boards import Board, rules, submissions_of, with_submitted
from dgbench.api.measuring import familiar_to, measured, on_target
from dgbench.core.cards import board_names
from dgbench.runs.store import Store


def build_site(folder: Path, boards: Sequence[Board] | None = None, *, store: Path | str | None = None) -> int:
    """Write boards, submissions among them, with all that is behind them as one folder of pages that opens from disk.

    Args:
        folder: Where. A site that lies there is replaced once the new one is whole.
        boards: Names, paths or rules; by default every board that comes with dgbench, those without results by name.
        store: Where finished work is kept.

    Returns:
        How many pages were written.

    Raises:
        StoreError: a board that is asked for has no results on this store.
        DGBenchError: the folder holds something else than a site.
        DiskError: it cannot be written.
    """
    from dgbench.board.pictures import class_names
    from dgbench.data.catalogue import showable
    from dgbench.data.gallery import gallery
    from dgbench.site.build import build
    from dgbench.site.missed import missed_portraits
    from dgbench.site.shown import Shown, ShownBoard

    kept, shown, waiting = Store.at(store), [], []
    for board in board_names() if boards is None else boards:
        card, submitted = rules(board), submissions_of(board)
        begun = kept.index(card).is_file() or (submitted is not None and submitted.is_dir())
        found = with_submitted(card, store, submitted) if begun or boards is not None else None
        if found is None or (boards is None and found.runs.is_empty()):
            waiting.append(card)
        else:
            known = familiar_to(board)
            judge = partial(measured, board, submitted=found.submitted, known=known, store=store)
            read = on_target(board, found.submitted, store=store)
            shown.append(ShownBoard.of(found, judge, read, known.said))
    names = dict.fromkeys(name for board in shown for name in board.records.board.dataset)
    there = [name for name in names if showable(name)]
    galleries = {name: gallery(name) for name in there}
    portraits = {name: missed_portraits(shown, name) for name in there}
    return build(Shown(shown, waiting, galleries, portraits, {name: class_names(name) for name in there}), folder)
