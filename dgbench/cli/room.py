"""The room on disk that a board takes, as ``dgbench plan`` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from dgbench.cli.output import new_table
from dgbench.core.amounts import in_words
from dgbench.core.cards import Keep
from dgbench.runs.store import Store

if TYPE_CHECKING:
    from dgbench.core.shelf import Shelf
    from dgbench.runs.sizes import Sizes


def show_room(console: Console, room: Sizes, keep: Keep, store: Store) -> None:
    """The room that the whole board takes, once it is done."""
    from dgbench.data.cache.kept import shelf
    from dgbench.runs.feature_shelf import shelf as features_of

    table = new_table()
    table.add_column("on disk, once all is done")
    table.add_column("", justify="right")
    table.add_column("", style="dim")
    stay = {
        "all": "all that averaging could read",
        "shown": "what any of the criteria chose, at most",
        "chosen": "what the board's criterion chose",
        "none": "but what others start from",
    }
    for what, count, note in (
        (f"weights (keep {keep})", room.weights, stay[keep]),
        ("on the way, at most", room.weights_at_most, "and what trainings resume from"),
        ("predictions", room.predictions, "they always stay"),
        ("features", room.features, f"of frozen backbones{_may_take(features_of(store))}"),
        ("shifted images", room.views, f"in the cache{_may_take(shelf())}"),
        ("decoded images", room.decoded, f"in the cache{_may_take(shelf())}"),
    ):
        if count or note == stay[keep]:
            table.add_row(what, in_words(count), note)
    console.print()
    console.print(table)


def _may_take(shelf: Shelf) -> str:
    """How much may lie on a shelf at a time."""
    bound = shelf.bound()
    return "" if bound is None else f", which may take {in_words(bound)}"
