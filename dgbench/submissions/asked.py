"""What a board asks of a submission: which cells there are, on which data, and which examples each of them predicts."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
import polars as pl

from dgbench.core.cards import BoardCard, Headline
from dgbench.core.cases import Case, cases
from dgbench.core.dataset_card import headlines, refuse_values
from dgbench.core.errors import CardError, DataError
from dgbench.core.judges import BY
from dgbench.core.rules import rules_identity
from dgbench.core.shift_families import FAMILIES
from dgbench.data.catalogue import Outline, found, outline, showable
from dgbench.data.domain import Dataset, Domain
from dgbench.data.samples import sample_names
from dgbench.data.splits import Rows, split, tested, viewed
from dgbench.selection.criteria import Criterion
from dgbench.selection.measures import summarised

log = logging.getLogger(__name__)

Cell = tuple[str, int, int]
"""Target, trial and draw."""

EXAMPLES = pl.Schema({"index": pl.Int32(), "sample": pl.String(), "group": pl.Int64(), "label": pl.Int16()})
"""What there is to predict. ``group`` is the official one, and null where the dataset has none."""


@dataclass(frozen=True)
class Asked:
    """The questions of a board.

    Attributes:
        board: Its rules.
        rules: Their hash.
        cases: By name, in the board's order.
        outlines: What is known of each dataset; where it is not on this machine, it has no manifest.
    """

    board: BoardCard
    rules: str
    cases: dict[str, Case]
    outlines: dict[str, Outline] = field(repr=False)

    @classmethod
    def of(cls, board: BoardCard, *, build: bool = True) -> Asked:
        """What a board asks.

        Args:
            board: Its rules.
            build: Whether built-in data is built where it was not; else its card is believed.

        Raises:
            CardError: the board names domains that a dataset has not, or predicts values.
        """
        refuse_values(board.dataset, "submissions hold classes and their probabilities")
        outlines = {name: _outline(name, build) for name in board.dataset}
        places = {name: known.places for name, known in outlines.items()}
        return cls(board, rules_identity(board), {case.name: case for case in cases(board, places)}, outlines)

    def cells(self, trials: int) -> list[Cell]:
        """Every (target, trial, draw) that a submission has a run of, or says why not.

        Args:
            trials: How many it begins. Where trials may grow, it has as many as the board's first look at so many.
        """
        looks = (self.board.trials, *self.board.looks)
        whole = next((look for look in looks if look >= trials), looks[-1])
        return list(itertools.product(self.cases, range(whole), range(self.board.draws)))

    def steps(self) -> range:
        """The checkpoints that there may be."""
        training = self.board.training
        every = training.steps // training.checkpoints
        return range(every, training.steps + 1, every)

    def at_hand(self, dataset: str) -> bool:
        """Whether the data is on this machine."""
        return self.outlines[dataset].manifest is not None

    def streams(self, case: Case, trained: frozenset[str], criterion: Criterion) -> set[tuple[str, str, str]]:
        """Split, domain and view of everything that a run of a case must have predicted, for a criterion to choose.

        Raises:
            CardError: the criterion has judges of its own, which nobody could check.
        """
        if criterion.judges is not None:
            raise CardError(
                f"'{self.board.name}' selects by '{criterion.name}', which judges by {BY[criterion.judges]}: "
                "nothing can be submitted to it"
            )
        views = pl.DataFrame({"view": ["clean", *FAMILIES]})
        lists = pl.Series([sorted(trained)], dtype=pl.List(pl.String())).new_from_index(0, views.height)
        needed = {"clean", *views.with_columns(trained=lists).filter(criterion.keep)["view"]}
        sources = [source for source in case.sources if self._validates(case.dataset, source)]
        validated = {("validation", source, view) for source in sources for view in needed}
        return validated | {("target", case.target, "clean")}

    def _validates(self, dataset: str, domain: str) -> bool:
        """Whether a domain has images to validate on: of many there may be some that have none, in whichever trial."""
        known = self.outlines[dataset]
        one_of_many = any(place.name == domain and place.part_of is not None for place in known.domains)
        if known.manifest is None or not one_of_many:
            return True  # without reading the data, which may have to be fetched and drawn first
        return len(self.rows("validation", _data(dataset, known.manifest), domain, 0, shifted=False)) > 0

    def headline(self, dataset: str) -> Headline:
        """By which measure a dataset is judged."""
        return self._headlines[dataset]

    @cached_property
    def _headlines(self) -> Mapping[str, Headline]:
        return headlines(self.board)  # which reads cards, and every run of every submission is asked for its own

    def summarised(self, predictions: pl.DataFrame, dataset: str) -> pl.DataFrame:
        """What predictions of a run come to, as :func:`dgbench.selection.measures.summarised` has it."""
        return summarised(predictions, self.headline(dataset), dataset)

    def examples(
        self, split_: str, dataset: str, domain: str, trial: int, *, shifted: bool = False
    ) -> pl.DataFrame | None:
        """The examples of a stream, as :data:`EXAMPLES`, by index; None where the data is not on this machine.

        Args:
            split_, dataset, domain, trial: Of the stream.
            shifted: Whether its view is one of shifts.
        """
        manifest = self.outlines[dataset].manifest
        if manifest is None or not self.at_hand(dataset):
            return None
        data = _data(dataset, manifest)
        return _examples(data, domain, self.rows(split_, data, domain, trial, shifted=shifted))

    def rows(self, split_: str, data: Dataset, domain: str, trial: int, *, shifted: bool) -> Rows:
        """The rows of a stream, ascending."""
        rules = self.board.split
        shares = (rules.validation, rules.test, rules.official)
        if split_ != "validation":
            return tested(data, domain, trial, *shares)
        rows = split(data, domain, trial, *shares).validation
        return viewed(data, domain, trial, rows, self.board.selection.views_per_domain) if shifted else rows


def _outline(name: str, build: bool) -> Outline:
    """What is known of a dataset; one that would have to be fetched, and cannot be, is not on this machine."""
    try:
        return outline(name, build=build)
    except DataError as error:
        if showable(name):
            raise
        log.warning("'%s' is not on this machine: %s", name, str(error).splitlines()[0])
        return replace(outline(name, build=False), manifest=None)


@lru_cache(maxsize=8)
def _data(name: str, manifest: str) -> Dataset:
    """A dataset without its pictures: nothing is decoded."""
    listing, now = found(name)
    nothing = np.empty((max(map(len, listing.domains)), 0, 0, 3), np.uint8)
    domains = tuple(
        Domain(d.name, nothing[: len(d)], d.labels, d.groups, d.official, d.contents, d.judged, d.part_of)
        for d in listing.domains
    )
    return Dataset(listing.name, listing.classes, domains, now, listing.shared_groups)


def _examples(data: Dataset, domain: str, rows: Rows) -> pl.DataFrame:
    known = data.domain(domain)
    groups = [None] * len(rows) if known.judged is None else known.judged[rows]
    columns = {"index": rows, "sample": sample_names(known, rows), "group": groups, "label": known.labels[rows]}
    return pl.DataFrame(columns, schema=EXAMPLES)
