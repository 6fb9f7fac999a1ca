"""The words and numbers of a comparison, shared by the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dgbench.board.compare import Against, Comparison, Score
from dgbench.board.flips import Flips
from dgbench.board.render.text import figures
from dgbench.core.amounts import duration
from dgbench.selection.statistics import LEVEL, Estimate

_LEVEL, _ERROR = f"{100 * LEVEL:.0f} %", f"{100 * (1 - LEVEL):.0f} %"

ALL = "all targets"

PAIRED = (
    "Differences are paired cell by cell: in each, a target in a trial, both are tested on the same images, and what "
    "dgbench trains sees the same splits, batches and augmentations. They are points of accuracy, ± half of the "
    f"{_LEVEL} t-interval over trials. n counts what is independent: "
    "trials, once for each set of source domains; targets that one training serves are averaged within a trial. "
    "Without ± chance cannot be measured."
)
FLIPS = (
    "Images are counted once in every trial. p is that of McNemar's exact test, a number for each trial: would two "
    "models that are equally good on such images part so unevenly? It is about the two models of that trial alone, and "
    "takes the images as drawn one by one from a population, so it says nothing of another trial or another target; "
    "whether an algorithm is better is what the intervals over trials are for. It is corrected for nothing."
)
NO_RIGHT = "There is no image by image: a predicted value is more or less far off, and not right or wrong."
NO_FLIPS = "There is no image by image: predictions of {} are not at hand. A submission may be placed without them."
ONE_OF_TWO = (
    "Intervals are those of this one comparison, uncorrected. Who picked the two after looking at a board of many "
    "reads the board's matrix of pairs, which is corrected for all of them."
)
APART = (
    "They stand on different tracks: one that is online adapts to the unlabelled stream of target images, one that is "
    "called unlabelled learns from images of its target, and both are told more than one that is inductive. The board "
    "does not rank them together."
)


def paired(comparison: Comparison) -> str:
    """How differences are paired, and in what they are."""
    show = figures(comparison.board)
    return PAIRED if show.shares else PAIRED.replace("points of accuracy", f"differences{show.within}")


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: ``SAM, SWAD and T3A``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def one_of(comparison: Comparison) -> str:
    """What the intervals are corrected for, and what the verdicts are."""
    count = len(comparison.against)
    if count == 1:
        return ONE_OF_TWO
    return (
        f"Every interval is that of one comparison of {count}, uncorrected. Who is ahead is said by p over all targets "
        f"after Holm's correction for these {count} comparisons, at {_ERROR}."
    )


def headline(comparison: Comparison, one: Against) -> str:
    """What is shown about one algorithm and the first, in a sentence that claims no more than that."""
    first, second = comparison.first.title, one.entry.title
    lead = one.lead.total
    if one.same:
        return f"{second} and {first} predict the same, bit for bit, in every cell: they are one result."
    if lead.error is None:
        return "One trial for each target says nothing about chance: compare with --trials 2 or more."
    if lead.interval is None:
        return "The difference is the same in every trial, which is no measure of chance: compare with more --trials."
    inside = lead.interval[0] <= 0 <= lead.interval[1]
    if len(comparison.against) == 1:
        if inside:
            return "The data cannot separate them: the interval contains 0."
        return f"{second if lead.mean > 0 else first} is ahead: the interval excludes 0."
    corrected = f"p = {_p(one.p)} after the correction for {len(comparison.against)} comparisons"
    if one.better is not None:
        return f"{second if one.better == 'second' else first} is ahead: {corrected}."
    alone = "" if inside else ", though its interval alone excludes 0"
    return f"The data cannot separate {second} from {first}: {corrected}{alone}."


def score(of: Score) -> str:
    """Won, tied and lost: ``3–0–9``."""
    return f"{of.wins}–{of.ties}–{of.losses}"


@dataclass(frozen=True)
class Row:
    """One target, or all of them: the table's columns, in its order.

    Attributes:
        target: Its name.
        first, second: Their accuracies.
        lead: The difference.
        won: Cells won, tied and lost.
        counts: Images that both, the first alone, the second alone, and neither got right; summed over trials.
        p: Of McNemar's test, trial by trial; empty for all targets.
    """

    target: str
    first: Estimate
    second: Estimate
    lead: Estimate
    won: str
    counts: tuple[int, int, int, int] | None
    p: str


def rows(comparison: Comparison, one: Against) -> list[Row]:
    """Every target in the board's order, then all of them."""
    first, second = comparison.first, one.entry
    found = []
    for target in comparison.board.info.domains:
        if target in one.lead.targets:
            flips = [flip for flip in one.flips if flip.target == target]
            cells = (first.targets[target], second.targets[target], one.lead.targets[target])
            p = ", ".join(_p(flip.p) for flip in flips)
            found.append(Row(target, *cells, score(one.scores[target]), _sum(flips), p))
    total = (first.accuracy, second.accuracy, one.lead.total)
    return [*found, Row(ALL, *total, score(one.score), _sum(one.flips), "")]


def _sum(flips: Sequence[Flips]) -> tuple[int, int, int, int] | None:
    if not flips:
        return None
    return (
        sum(flip.both for flip in flips),
        sum(flip.first for flip in flips),
        sum(flip.second for flip in flips),
        sum(flip.neither for flip in flips),
    )


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def costs(comparison: Comparison) -> list[list[str]]:
    """For each algorithm: title, one training, predictions of a run, passes of a step, trainings, and shared ones."""
    first = comparison.first
    sides = [(first, comparison.trainings, "–"), *((o.entry, o.trainings, str(o.shared)) for o in comparison.against)]
    return [
        [
            entry.title,
            duration(entry.cost.train),
            duration(entry.cost.predict),
            "none: nothing is trained" if entry.cost.untrained else f"{entry.cost.passes:.3g}",
            str(trainings),
            shared,
        ]
        for entry, trainings, shared in sides
    ]


def cost_header(comparison: Comparison) -> list[str]:
    """Headings of :func:`costs`."""
    return [
        "Algorithm",
        "One training",
        "Predictions of a run",
        "Passes a step",
        "Trainings",
        f"shared with {comparison.first.title}",
    ]


def cost(comparison: Comparison) -> str:
    """How to read the table of costs."""
    devices = ", ".join(comparison.board.devices)
    return (
        f"Seconds as they were noted, on {devices}; a training has {comparison.steps:,} steps. A pass goes forward and "
        "back through the network: a cost that does not depend on the machine. Trainings that are shared are done once."
    )


def absent(comparison: Comparison, one: Against) -> str:
    """Why there is no image by image, or whose predictions are not at hand; empty where no image is missing."""
    if comparison.board.info.value:
        return NO_RIGHT
    if len(one.flips) == one.score.wins + one.score.ties + one.score.losses:
        return ""
    names = [e.title for e in (comparison.first, one.entry) if e.level] or [comparison.first.title, one.entry.title]
    return NO_FLIPS.format(" or ".join(names))


def warnings(comparison: Comparison, one: Against) -> list[str]:
    """What a reader must know before believing the numbers."""
    lines = [APART] if one.track != comparison.track else []
    if one.entry.without_effect and not one.same:
        lines.append(f"{one.entry.title} has parts without effect here: {one.entry.without_effect}.")
    for entry in (comparison.first, one.entry):
        if entry.level:
            lines.append(f"{entry.title} was submitted: {entry.level}.")
        if entry.contaminated:
            lines.append(
                f"{entry.title} trained with {', '.join(entry.contaminated)}, which also selected its models: its "
                "selection is contaminated."
            )
    return lines


@dataclass(frozen=True)
class Image:
    """What is said of one image: its class, and what the first and the second said, trial by trial."""

    label: str
    first: str
    second: str


def image(row: Mapping[str, Any], classes: Sequence[str]) -> Image:
    """What is said of an image.

    Args:
        row: Of :data:`dgbench.board.flips.FLIPPED`.
        classes: Names by number; the number itself stands for a class without one.
    """

    def name(number: int) -> str:
        return classes[number] if number < len(classes) else f"class {number}"

    said = [", ".join(map(name, row[column])) for column in ("said_first", "said_second")]
    return Image(name(row["label"]), *said)
