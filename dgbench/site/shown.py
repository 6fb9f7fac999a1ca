"""What a site shows: boards with the records behind them, algorithms and datasets with where they stand on each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote

import polars as pl

from dgbench.board.from_records import from_records
from dgbench.board.leaderboard import Entry, Leaderboard, Track
from dgbench.board.misses import Misses, misses
from dgbench.board.rankings import Rankings, rankings
from dgbench.core.cards import BoardCard, card_names
from dgbench.core.dataset_card import dataset_names
from dgbench.core.errors import DGBenchError
from dgbench.core.names import file_name
from dgbench.runs.collect import Records
from dgbench.selection.criteria import at_hand
from dgbench.selection.measures import OnTarget
from dgbench.selection.records import CANDIDATE


@dataclass(frozen=True)
class ShownBoard:
    """A board with results.

    Attributes:
        records: What was measured.
        leaderboards: By criterion, the board's own first.
        refusals: Why another criterion cannot rank it, by criterion.
        rankings: The same by other measures than accuracy, by criterion.
        misses: The images that models got wrong that the board's own criterion chose.
    """

    records: Records
    leaderboards: Mapping[str, Leaderboard]
    refusals: Mapping[str, str] = field(default_factory=dict)
    rankings: Mapping[str, Rankings] = field(default_factory=dict)
    misses: Misses = field(default_factory=Misses)

    @classmethod
    def of(
        cls,
        records: Records,
        judge: Callable[[pl.DataFrame], pl.DataFrame],
        on_target: OnTarget,
        familiar: Sequence[str] = (),
    ) -> ShownBoard:
        """The leaderboards of records by every criterion that may rank, and by every measure.

        Args:
            records: What was measured.
            judge: Says of chosen models what :func:`dgbench.selection.measures.measured` says of them.
            on_target: Where the predictions are that it was measured on.
            familiar: What pretraining knows well, in words.

        Raises:
            DGBenchError: the board's own criterion cannot rank it.
        """
        own = records.board.criterion
        first, refusals = from_records(records), {}
        boards = {own: first}
        for criterion in at_hand(records.metrics, first.info.headline):
            if criterion.name != own and criterion.ranks:
                try:
                    boards[criterion.name] = from_records(records, criterion.name, first)
                except DGBenchError as error:
                    refusals[criterion.name] = str(error)
        # criteria often choose the same model, and it is judged once
        chosen = pl.concat(board.cells.select(*CANDIDATE, "dataset", "run") for board in boards.values())
        judged = judge(chosen)
        ranked = {name: rankings(board, judged, familiar) for name, board in boards.items()}
        return cls(records, boards, refusals, ranked, misses(first.cells, on_target))

    @property
    def own(self) -> Leaderboard:
        """By the board's own criterion."""
        return next(iter(self.leaderboards.values()))

    @property
    def name(self) -> str:
        """The board's name."""
        return self.own.info.name

    @property
    def folder(self) -> str:
        """Where its pages lie, from the root of the site."""
        return f"boards/{quote(file_name(self.name))}"

    def page(self, criterion: str | None = None) -> str:
        """Where its leaderboard by a criterion lies, from the root of the site."""
        return f"{self.folder}/{criterion or self.own.criterion.name}/leaderboard.html"

    def runs(self, algorithm: str) -> str:
        """Where the runs of an algorithm are explained, from the root of the site."""
        return f"{self.folder}/runs/{quote(file_name(algorithm))}.html"


@dataclass(frozen=True)
class Standing:
    """An algorithm on a board, by the board's own criterion."""

    board: ShownBoard
    track: Track
    entry: Entry

    @property
    def run(self) -> str:
        """The first of the runs that count."""
        return str(self.board.own.cells.filter(pl.col("algorithm") == self.entry.algorithm)["run"][0])


@dataclass(frozen=True)
class Shown:
    """All that a site shows.

    Attributes:
        boards: Those with results.
        waiting: Those without, which are only named.
        galleries: By dataset, domain and view (``clean`` or a family of shifts): a PNG.
        portraits: By dataset, domain and row: a PNG of an image that models missed, where the data is at hand.
        classes: Names of the classes of datasets, by number.
    """

    boards: Sequence[ShownBoard]
    waiting: Sequence[BoardCard] = ()
    galleries: Mapping[str, Mapping[str, Mapping[str, bytes]]] = field(default_factory=dict)
    portraits: Mapping[str, Mapping[tuple[str, int], bytes]] = field(default_factory=dict)
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def standings(self) -> dict[str, list[Standing]]:
        """Where every algorithm stands."""
        found: dict[str, list[Standing]] = {}
        for board in self.boards:
            for track in board.own.tracks:
                for entry in track.entries:
                    found.setdefault(entry.algorithm, []).append(Standing(board, track, entry))
        return found

    @cached_property
    def algorithms(self) -> dict[str, str]:
        """Addresses of the pages of algorithms, from the root: those on boards, and those with a card."""
        names = dict.fromkeys([*card_names("algorithms"), *self.standings])
        return {name: f"algorithms/{quote(file_name(name))}.html" for name in names}

    @cached_property
    def datasets(self) -> dict[str, str]:
        """Addresses of the pages of datasets, from the root: those with a card, of dgbench's or of the user's."""
        names = dict.fromkeys(
            [*dataset_names(), *(name for board in self.boards for name in board.records.board.dataset)]
        )
        return {name: f"datasets/{quote(file_name(name))}.html" for name in names}

    def on(self, dataset: str) -> Iterable[ShownBoard]:
        """The boards that a dataset is part of."""
        return (board for board in self.boards if dataset in board.records.board.dataset)
