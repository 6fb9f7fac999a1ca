"""From a board's records to its leaderboard: the numbers, and what a reader must know of them beside."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from dgbench.board.build import build
from dgbench.board.leaderboard import BoardInfo, Leaderboard
from dgbench.board.pictures import of_board
from dgbench.board.protocol import protocol
from dgbench.board.recompute import command
from dgbench.core.cards import BoardCard
from dgbench.core.dataset_card import dataset_card, headlines
from dgbench.core.once import Once
from dgbench.core.provenance import revision
from dgbench.core.rules import rules_identity
from dgbench.runs.collect import Records
from dgbench.selection.measures import headline


def from_records(found: Records, criterion: str | None = None, known: Leaderboard | None = None) -> Leaderboard:
    """The leaderboard of a board by the records of its finished runs.

    Args:
        found: What was measured, and by which rules.
        criterion: What selects models, in place of the board's own.
        known: The leaderboard of these records by another criterion; what does not depend on that is taken from there.

    Raises:
        StoreError: there are no records, or not those that the rules ask for.
        RecipeError: the criterion reads target labels, or has nothing to select by.
    """
    info = info_of(found, criterion)
    shown = Once(partial(pictures, found.board, found.cases)) if known is None else known.pictured
    known_of = (found.failed, known, found.indicators, found.earlier)
    return build(found.by_trial, found.runs, info, shown, provenance(found), *known_of)


def info_of(found: Records, criterion: str | None = None) -> BoardInfo:
    """What a leaderboard must know of a board's rules and data; another criterion may select in place of its own."""
    card = found.board
    value = dataset_card(card.dataset[0]).value
    return BoardInfo(
        name=card.name,
        title=card.title,
        version=card.version,
        rules=rules_identity(card),
        dataset=", ".join(card.dataset),
        domains=found.cases,
        classes=sum(dataset_card(name).class_count for name in card.dataset),
        protocol=protocol(card),
        criterion=criterion or card.criterion,
        trials=card.trials,
        draws=card.draws,
        algorithms=found.names,
        recompute=command(card, criterion),
        weights=found.weights,
        levels=found.levels,
        submitted=found.submitted,
        repeats=found.repeats,
        headline=headline(headlines(card)),
        looks=(card.trials, *card.looks) if card.looks else (),
        value=value.what if value else "",
        unit=value.unit if value else "",
    )


def pictures(card: BoardCard, cases: tuple[str, ...]) -> dict[str, bytes]:
    """A picture of each domain that is tested, as :func:`dgbench.board.pictures.of_board` has them."""
    return {name: picture for name, picture in of_board(card).items() if name in cases}


def provenance(found: Records) -> dict[str, str]:
    """What the numbers of a board were computed with, and its page is."""
    return {
        "data": ", ".join(f"{name} {manifest}" for name, manifest in found.manifests.items()),
        "computed with dgbench": ", ".join(found.dgbench),
        "computed with torch": ", ".join(found.torch),
        "page made with dgbench": revision(),
        "page made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
