"""A board by another measure than its headline: the same chosen models, the same statistics, another number.

The headline is the rule, and what the board is about; these tables are for looking. Models are those that the board's
criterion chose. Where less is better, ranks turn around.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from dgbench.board.leaderboard import Entry, Leaderboard, Track
from dgbench.board.standing import Standing
from dgbench.core.errors import StoreError
from dgbench.selection.measure import Measure
from dgbench.selection.measures import COMPUTED, MEASURES
from dgbench.selection.records import CANDIDATE
from dgbench.selection.statistics import ANY, DIFFERENCE, SHARE, Estimate, Range


@dataclass(frozen=True)
class Place:
    """Where an algorithm stands by a measure.

    Attributes:
        entry: The algorithm, as it stands by accuracy.
        rank, rank_worst: The best and the worst that its rank may be by this measure; None where it is unranked.
        value: Mean over targets of the mean over trials; None where it is not known in some cell.
        targets: Mean over trials on each target.
        difference: The value minus that of the board's reference, cell by cell; None for that one itself.
        lacking: Why there is no value; empty where there is one.
    """

    entry: Entry
    rank: int | None
    rank_worst: int | None
    value: Estimate | None
    targets: Mapping[str, float]
    difference: Estimate | None
    lacking: str = ""

    def worst(self, measure: Measure) -> str | None:
        """The target on which it does worst."""
        pick = min if measure.rises else max
        return pick(self.targets, key=lambda target: self.targets[target]) if self.targets else None


@dataclass(frozen=True, repr=False)
class Ranking:
    """A board by a measure.

    Attributes:
        measure: Which.
        board: The same by accuracy.
        tracks: The algorithms of each track by name, the best first, then those without a rank.
        about: What readers must know of the images that it is about.
    """

    measure: Measure
    board: Leaderboard
    tracks: Mapping[str, tuple[Place, ...]]
    about: tuple[str, ...] = ()

    def __repr__(self) -> str:
        tracks = ", ".join(f"{len(places)} {track}" for track, places in self.tracks.items())
        return f"<Ranking of '{self.board.info.name}' by {self.measure.name}: algorithms {tracks}>"

    def to_polars(self) -> pl.DataFrame:
        """One row for each algorithm; shares in [0, 1], likelihoods in nats, errors in their unit, unrounded."""
        reference = self.board.info.reference
        rows = [
            {
                "metric": self.measure.name,
                "track": track,
                "rank": place.rank,
                "rank_worst": place.rank_worst,
                "algorithm": place.entry.algorithm,
                "title": place.entry.title,
                **_columns("value", place.value),
                **{f"value_{domain}": place.targets.get(domain) for domain in self.board.info.domains},
                "worst_target": place.worst(self.measure),
                **_columns(f"versus_{reference}", place.difference),
                "lacking": place.lacking,
            }
            for track, places in self.tracks.items()
            for place in places
        ]
        kinds = {name: pl.String() for name in ("metric", "track", "algorithm", "title", "worst_target", "lacking")}
        whole = ("rank", "rank_worst", "value_n", f"versus_{reference}_n")
        return pl.DataFrame(
            rows, {name: kinds.get(name, pl.Int64() if name in whole else pl.Float64()) for name in rows[0]}
        )


def _columns(name: str, value: Estimate | None) -> dict[str, float | int | None]:
    if value is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high", f"{name}_n"))
    return {name: value.mean, f"{name}_low": value.low, f"{name}_high": value.high, f"{name}_n": value.n}


@dataclass(frozen=True)
class Rankings:
    """A board by every measure but its rule.

    Attributes:
        known: By name.
        refusals: Why the others are not known, by name.
    """

    known: Mapping[str, Ranking]
    refusals: Mapping[str, str]

    @property
    def reasons(self) -> dict[str, list[str]]:
        """Why measures that readers expect are not known: each reason once, with the titles of all it stands for."""
        found: dict[str, list[str]] = {}
        for name, refusal in self.refusals.items():
            if not MEASURES[name].optional:
                found.setdefault(refusal.partition(": ")[2] or refusal, []).append(MEASURES[name].title)
        return found


def rankings(board: Leaderboard, measured: pl.DataFrame, familiar: Sequence[str] = ()) -> Rankings:
    """Rank a board by every measure but its rule.

    Args:
        board: By accuracy.
        measured: As :func:`dgbench.selection.measures.measured` gives it, of the chosen models at least.
        familiar: What pretraining knows well, in words.
    """
    known, refusals = {}, {}
    for measure in MEASURES.values():
        if measure != board.info.headline and measure.of == board.info.headline.of:
            try:
                known[measure.name] = ranking(board, measure, measured, familiar)
            except StoreError as error:
                refusals[measure.name] = str(error)
    return Rankings(known, refusals)


def ranking(
    board: Leaderboard, measure: Measure, measured: pl.DataFrame | None = None, familiar: Sequence[str] = ()
) -> Ranking:
    """Rank a board by a measure.

    Args:
        board: By accuracy.
        measure: Which.
        measured: As for :func:`rankings`; not needed for the headline and ``nll``, which records hold.
        familiar: As for :func:`rankings`.

    Raises:
        StoreError: it is known of no algorithm; the message says why.
    """
    if measure.of != board.info.headline.of:
        predicts = board.info.headline.of
        raise StoreError(f"the {measure.title} is about {measure.of}, and '{board.info.name}' predicts {predicts}")
    cells = _cells(board, measure, measured)
    parts = {str(name): part for (name,), part in cells.group_by("algorithm", maintain_order=True)}
    known = {name: part for name, part in parts.items() if not part["value"].has_nulls()}
    means = _means(cells)
    ranked = _ranked(board, known)
    standing = _standing(board, measure, ranked)
    values = board.design.means(ranked, "value", measure.within)
    tracks = {
        track.name: _track(track, board, measure, parts, known, means, standing, values) for track in board.tracks
    }
    places = [place for each in tracks.values() for place in each]
    if not any(place.value for place in places):
        first = places[0]
        raise StoreError(f"the {measure.title} is known of no algorithm on '{board.info.name}': {first.lacking}")
    return Ranking(measure, board, tracks, tuple(familiar) if measure.name in ("familiar", "unfamiliar") else ())


def _cells(board: Leaderboard, measure: Measure, measured: pl.DataFrame | None) -> pl.DataFrame:
    """The chosen models with the columns ``value`` and ``seen``: whether their predictions are at hand.

    Those of targets without an image that the measure is about are left out.
    """
    if measure == board.info.headline or measure.name not in COMPUTED:
        held = pl.col("accuracy") * measure.turn if measure == board.info.headline else pl.col(measure.name)
        value = held.fill_nan(None)
        return board.cells.with_columns(value.alias("value"), pl.lit(True).alias("seen"))
    if measured is None:
        raise ValueError(f"'{measure.name}' is computed from predictions, and they are not given")
    found = measured.select(*CANDIDATE, pl.col(measure.name).alias("value"), pl.lit(True).alias("seen"))
    cells = board.cells.join(found, on=CANDIDATE, how="left").with_columns(pl.col("seen").fill_null(False))
    return cells.filter(pl.col("value").is_null() | pl.col("value").is_not_nan())


def _means(cells: pl.DataFrame) -> dict[str, dict[str, float]]:
    """By algorithm and target the mean over trials."""
    found: dict[str, dict[str, float]] = {}
    means = cells.group_by("algorithm", "target", maintain_order=True).agg(pl.col("value").mean())
    for algorithm, target, mean in means.iter_rows():
        found.setdefault(algorithm, {})[target] = mean
    return found


def _ranked(board: Leaderboard, known: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Those that are ranked by accuracy, and of which the measure is known."""
    ranked = {entry.algorithm for entry in board.entries if entry.rank is not None}
    return {name: known[name] for name in board.info.algorithms if name in known and name in ranked}


def _standing(board: Leaderboard, measure: Measure, ranked: Mapping[str, pl.DataFrame]) -> Standing:
    """How algorithms stand by a measure, turned around where less is better."""
    sign = 1 if measure.rises else -1
    turned = {name: part.with_columns(pl.col("value") * sign) for name, part in ranked.items()}
    # those that predict the same are one result, as by accuracy
    twins = {entry.algorithm: entry.same_as or entry.algorithm for entry in board.entries}
    return Standing.of(turned, twins, board.design, "value", _differences(measure))


def _track(
    track: Track,
    board: Leaderboard,
    measure: Measure,
    parts: Mapping[str, pl.DataFrame],
    known: Mapping[str, pl.DataFrame],
    means: Mapping[str, Mapping[str, float]],
    standing: Standing,
    values: Mapping[str, Estimate],
) -> tuple[Place, ...]:
    places = standing.ranks([entry.algorithm for entry in track.entries])
    made = []
    for entry in track.entries:
        part = parts.get(entry.algorithm)
        if part is None:
            made.append(Place(entry, None, None, None, {}, None, "no target has an image that it is about"))
        elif entry.algorithm in known:
            own = places.get(entry.algorithm)
            made.append(
                Place(
                    entry,
                    rank=own[0] if own else None,
                    rank_worst=own[1] if own else None,
                    value=values.get(entry.algorithm) or board.design.estimate(part, "value", measure.within),
                    targets={t: means[entry.algorithm][t] for t in board.info.domains if t in means[entry.algorithm]},
                    difference=_ahead(entry.algorithm, known, board, measure, standing),
                )
            )
        else:
            made.append(Place(entry, None, None, None, {}, None, _lacking(entry, part, measure)))
    sign = -1 if measure.rises else 1
    made.sort(key=lambda p: (p.rank is None, p.value is None, round(sign * p.value.mean, 12) if p.value else 0))
    return tuple(made)


def _ahead(
    algorithm: str, known: Mapping[str, pl.DataFrame], board: Leaderboard, measure: Measure, standing: Standing
) -> Estimate | None:
    """The value of an algorithm minus that of the reference: as pairs have it, else in the cells that both have."""
    reference = board.info.reference
    if algorithm == reference or reference not in known:
        return None
    found = standing.between(algorithm, reference)
    if found is None:
        return board.design.ahead(known[algorithm], known[reference], "value", _differences(measure))
    return found if measure.rises else -found


def _differences(measure: Measure) -> Range:
    return DIFFERENCE if measure.within == SHARE else ANY


def _lacking(entry: Entry, cells: pl.DataFrame, measure: Measure) -> str:
    """Why a value is not known, in the first cell without one."""
    first = cells.filter(pl.col("value").is_null()).sort("seen", "target", "trial").row(0, named=True)
    if not first["seen"]:
        return f"the predictions of {entry.title} on {first['target']} are not at hand"
    return measure.unknown.format(algorithm=entry.title, target=first["target"])
