"""What a leaderboard says: who stands where, how sure that is, and what it cost. ``build`` computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from dgbench.board.judging import Judging
from dgbench.board.standing import Standing
from dgbench.core.errors import StoreError, UnknownNameError
from dgbench.runs.collect import Failure, Repeat
from dgbench.selection.criteria import Criterion
from dgbench.selection.design import Design, Lead
from dgbench.selection.measure import Measure
from dgbench.selection.measures import RULE
from dgbench.selection.pairs import Pair
from dgbench.selection.quality import Quality
from dgbench.selection.statistics import SHARE, Estimate


@dataclass(frozen=True)
class BoardInfo:
    """What a leaderboard must know of its rules and its data.

    Attributes:
        name, title, version: As the board's card has them.
        rules: Hash of the rules.
        dataset: Names of the datasets.
        domains: The board's cases by name, each a target once, in this order. On a board that leaves one domain out
            these are its domains.
        classes: How many there are.
        protocol: One paragraph: what is trained on what, and how it is tested.
        criterion: Name of the criterion that selects models.
        headline: What ranks, and what the criterion takes of validation images; all that is called accuracy here.
        trials, draws: How many there are of each, for each target: trials 0, 1, ... and draws 0, 1, ...
        algorithms: Every algorithm that the board asks for.
        weights: Of the cases in every mean; equal ones if empty. A board of several datasets counts each dataset once.
        reference: The algorithm that the others are compared with, if it has entered.
        levels: Of the algorithms that were submitted, how much of them others have seen.
        submitted: Of these algorithms, the id of the submission.
        repeats: Submissions of runs that the store holds itself: these are shown, those are not listed again.
        recompute: The command that computes the leaderboard again.
        part: What is left, in words, where this is a part of a board that was computed whole; empty where it is all.
        looks: Where trials may grow, after how many the board is looked at, the first of them ``trials``; else empty.
        value, unit: What is predicted where that is a value, and in what; empty where it is a class.
    """

    name: str
    title: str
    version: int
    rules: str
    dataset: str
    domains: tuple[str, ...]
    classes: int
    protocol: str
    criterion: str
    trials: int
    draws: int
    algorithms: tuple[str, ...]
    recompute: str
    weights: Mapping[str, float] = field(default_factory=dict)
    reference: str = "erm"
    levels: Mapping[str, str] = field(default_factory=dict)
    submitted: Mapping[str, str] = field(default_factory=dict)
    repeats: tuple[Repeat, ...] = ()
    part: str = ""
    headline: Measure = RULE
    looks: tuple[int, ...] = ()
    value: str = ""
    unit: str = ""

    @property
    def runs(self) -> int:
        """How many runs a complete algorithm has at least."""
        return self.of_trial * self.trials

    @property
    def of_trial(self) -> int:
        """How many runs a trial of an algorithm has."""
        return len(self.domains) * self.draws

    @property
    def most(self) -> int:
        """The most trials that an algorithm may have."""
        return self.looks[-1] if self.looks else self.trials


@dataclass(frozen=True)
class Cost:
    """Seconds of work, with what was shared and what sharing saved.

    Attributes:
        train: Mean seconds of one training, with the earlier ones that are part of it: a probe, rounds, what is merged.
        predict: Mean seconds of one run: every prediction on source validation and target.
        passes: Forward-and-backward passes that a training step costs; 0 where nothing was trained.
    """

    train: float
    predict: float
    passes: float

    @property
    def untrained(self) -> bool:
        """Whether nothing was trained; of predictions that came as tables nobody knows, and no seconds are told."""
        return self.passes == 0 and self.train > 0


@dataclass(frozen=True)
class Entry:
    """One algorithm on the board. Accuracies are shares in [0, 1], of models that the criterion chose; on boards with
    another headline they are that, or minus it where less of it is better.

    Attributes:
        algorithm: Its name.
        title: As readers see it.
        backbone: What it was built on.
        pretrained_on: What the backbone had learnt from before, in words; empty for random weights.
        rank: One more than the number of algorithms that the data show to be better, so ranks are shared; None where
            runs are missing or no model could be chosen in some cell.
        rank_worst: The worst that its rank may be: the number of results on the track without those that it is shown
            to be better than.
        runs: How many of the board's runs it has.
        diverged: How many more diverged, and lost to the other draws of their cells.
        trials: How many of the board's trials it has, all of them whole where it is ranked.
        same_as: The first algorithm of the board that made the very same predictions in every cell, if that is another
            one: the two are one result.
        without_effect: Which parts of its recipe act on nothing here, and why; empty where all have an effect.
        accuracy: On targets: mean over targets of the mean over trials. Of those that are ranked, on whatever track,
            variances are moderated together.
        nll: The same of the negative log-likelihood, in nats; None where it is not finite in some cell.
        targets: Accuracy on each target it has, by its own trials alone.
        datasets: Accuracy on each dataset it has, by its own trials alone.
        worst: The target with the lowest mean.
        gap: Accuracy on clean source validation images minus accuracy on the target, for the same models; None where
            on some target none of them has a number on the source.
        difference: Accuracy minus that of the reference, cell by cell; None for the reference itself. Where both are
            ranked, on whatever track, its error is moderated together with those of all pairs.
        ceiling: Accuracy of the best candidate in each cell: no selection exceeds it. Uses target labels, never
            ranks.
        oracle: Accuracy of the best draw in each cell at its last step, the reference benchmark's rule. Uses target
            labels, never ranks.
        families: Shift families that the criterion scored with, in any cell.
        held_out: Shift families that it did not score with, in some cell, because training used them.
        contaminated: Shift families that served both training and the criterion, in some cell.
        cost: What it cost.
        level: For one that was submitted, how much of it others have seen: ``self-reported``, ``recomputed``, ``spot
            re-run``, ``full re-run``; empty for what was run here.
    """

    algorithm: str
    title: str
    backbone: str
    pretrained_on: str
    rank: int | None
    rank_worst: int | None
    runs: int
    diverged: int
    trials: int
    same_as: str | None
    without_effect: str
    accuracy: Estimate
    nll: Estimate | None
    targets: Mapping[str, Estimate]
    datasets: Mapping[str, Estimate]
    worst: str
    gap: Estimate | None
    difference: Estimate | None
    ceiling: Estimate
    oracle: Estimate
    families: tuple[str, ...]
    held_out: tuple[str, ...]
    contaminated: tuple[str, ...]
    cost: Cost
    level: str = ""

    @property
    def on_source(self) -> float | None:
        """Mean accuracy of the same models on held-out source images: that on targets, and the gap."""
        return None if self.gap is None else self.accuracy.mean + self.gap.mean


@dataclass(frozen=True, repr=False)
class Track:
    """The algorithms that may be compared, by their means; those without a rank come last.

    Attributes:
        name: ``inductive``, ``online`` or ``unlabelled``.
        entries: Never empty.
        pairs: Every pair of ranked results, those that predict the same as the first of them.
        judging: Judges criteria once somebody asks.
    """

    name: str
    entries: tuple[Entry, ...]
    pairs: tuple[Pair, ...]
    judging: Judging = field(compare=False)

    @property
    def qualities(self) -> tuple[Quality, ...]:
        """How well each criterion picked among all candidates of the track."""
        return self.judging.of(self.name)[0]

    @property
    def refusals(self) -> Mapping[str, str]:
        """Why a criterion could not be judged, by its title."""
        return self.judging.of(self.name)[1]

    @property
    def reasons(self) -> dict[str, list[str]]:
        """Why criteria could not be judged: each reason once, without a name, with the titles of all it stands for."""
        found: dict[str, list[str]] = {}
        for title, reason in self.refusals.items():
            found.setdefault(reason.partition("' ")[2] or reason, []).append(title)
        return found

    def __repr__(self) -> str:
        first = self.entries[0]
        within = first.accuracy.within
        mean = first.accuracy.mean if within.high > 0 else 0.0 - first.accuracy.mean  # records hold minus an error
        best = f"{first.title} at " + (f"{100 * mean:.1f} %" if within == SHARE else f"{mean:.4g}")
        return f"<Track '{self.name}': {len(self.entries)} algorithms, the best mean {best}>"


@dataclass(frozen=True, repr=False)
class Leaderboard:
    """All that the renderers show.

    Attributes:
        info: The rules.
        criterion: What selected the models.
        tracks: Each ranked for itself.
        absent: Algorithms of the board without a single finished run, but for those whose runs failed.
        failed: The runs that were tried and failed.
        cells: One row for each (algorithm, target, trial): what was chosen, and what it reached.
        design: Which of the cells are independent, and what each of them counts.
        standing: How the ranked algorithms of all tracks compare.
        seconds: Work that was done, each training counted once; those that others only start from are not counted.
        seconds_unshared: Work that the same runs would have needed had each algorithm trained for itself.
        devices: What the trainings ran on.
        pictured: Draws a PNG for each domain.
        provenance: What the numbers were computed with.
    """

    info: BoardInfo
    criterion: Criterion
    tracks: tuple[Track, ...]
    absent: tuple[str, ...]
    failed: tuple[Failure, ...]
    cells: pl.DataFrame
    design: Design
    standing: Standing
    seconds: float
    seconds_unshared: float
    devices: tuple[str, ...]
    pictured: Callable[[], Mapping[str, bytes]] = field(default=dict, compare=False)
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def pictures(self) -> Mapping[str, bytes]:
        """A PNG for each domain; data is read, or made, when they are first asked for."""
        return self.pictured()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The algorithms of every track."""
        return tuple(entry for track in self.tracks for entry in track.entries)

    def compare(self, one: str, other: str) -> Lead:
        """Accuracy of one algorithm minus that of another, paired cell by cell.

        The total of two that are ranked has the interval that it has among all pairs of the board.

        Raises:
            UnknownNameError: one of them is not on this board.
            StoreError: there is no cell in which both have a finished run.
        """
        for name in (one, other):
            if name not in self.info.algorithms:
                raise UnknownNameError("algorithm on this board", name, self.info.algorithms)
        first, second = (self.cells.filter(pl.col("algorithm") == name) for name in (one, other))
        compared = self.design.compare(first, second, "accuracy")
        if compared is None:
            raise StoreError(f"'{one}' and '{other}' have no finished runs on the same target and trial; run the board")
        total = self.standing.between(one, other)
        return compared if total is None else replace(compared, total=total)

    def __repr__(self) -> str:
        tracks = ", ".join(f"{len(track.entries)} {track.name}" for track in self.tracks)
        done, asked = sum(entry.runs for entry in self.entries), len(self.info.algorithms) * self.info.runs
        name = f"'{self.info.name}' ({self.info.part})" if self.info.part else f"'{self.info.name}'"
        return f"<Leaderboard {name} by {self.criterion.name}: algorithms {tracks}; {done} of {asked} runs>"
