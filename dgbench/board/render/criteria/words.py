"""What is said of criteria that were judged, the same in every rendering."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import groupby

from dgbench.board.judged import AUGMENTED, CriteriaBoard, Judged, JudgedTrack, Worth
from dgbench.board.render import text
from dgbench.core.judges import JUDGES
from dgbench.selection.criteria import CRITERIA
from dgbench.selection.judging import REFERENCE, Choice, Correlation
from dgbench.selection.statistics import LEVEL, Estimate

TITLES: dict[Choice, str] = {
    "hyperparameters": "Choosing hyperparameters",
    "method": "Choosing the method",
    "both": "Choosing both at once",
}
_NAMES: dict[Choice, str] = {
    "method": "for the choice of the method",
    "hyperparameters": "for the choice of hyperparameters",
    "both": "for both at once",
}
_SOURCE = CRITERIA[REFERENCE].title
EXPLAINED: dict[Choice, str] = {
    "hyperparameters": "Of each algorithm the criterion chooses one model among all draws of hyperparameters and all "
    "steps. Shown are means over algorithms.",
    "method": f"Each algorithm comes with the model that {_SOURCE} chooses of it, for every criterion the same. The "
    "criterion chooses among these.",
    "both": "The criterion chooses one model among those of all algorithms, draws and steps.",
}
CORRELATION_TITLES: dict[Correlation, str] = {
    "spearman_within": "Spearman within algorithms",
    "kendall_within": "Kendall within algorithms",
    "spearman_across": "Spearman over all",
    "kendall_across": "Kendall over all",
}
HEADER = (
    "Rank", "Criterion", f"vs {_SOURCE}", "Relative", "Accuracy", "Regret", "Of the best", "Best chosen",
)  # fmt: skip
READING = (
    "Accuracy is that of the chosen models on the target: a mean over targets of the mean over trials, in per cent; ± "
    f"is half of the {100 * LEVEL:.0f} % t-interval (targets fixed, trials repeated; targets that one training serves "
    "count once). Regret: points below the best model among which was chosen; of the best: the same in per cent of "
    "what that reaches. Best chosen: in how many per cent of the choices the best model was hit."
)
AGAINST = (
    f"vs {_SOURCE}: the paired difference in points, target by target and trial by trial; relative: in per cent of "
    f"what {_SOURCE} picks. Each has the interval of this comparison alone, by its own trials, uncorrected."
)
RANKING = (
    "Rank: one more than the number of criteria that are significantly better by the accuracy of what they choose "
    f"(paired t-tests, Holm over all pairs, {100 * (1 - LEVEL):.0f} %); the second number is the worst that it may be. "
    "Criteria that share a rank are not told apart."
)
TIES = (
    "Where models tie, one is drawn at random and the expectation is counted: a criterion that gives every model the "
    "same score is worth what chance is worth. A score that is not a number lies below all others."
)
SEARCHES: dict[Choice, str] = {
    "hyperparameters": "Accuracy that a search of so many draws of hyperparameters is expected to reach.",
    "method": "Accuracy that a choice among so many of the algorithms is expected to reach.",
    "both": "Accuracy that a search of so many draws of hyperparameters, of every algorithm, is expected to reach.",
}
EXACT = (
    "Every subset counts the same, in closed form; nothing is sampled. The dashed lines are the best of the models, "
    "and one at random. Intervals are in curves.csv."
)
CORRELATED = (
    "Rank correlation of the score with the accuracy on the target over the models of a target and trial: of each "
    "algorithm by itself, as a mean over algorithms, and of all algorithms together. 0 where a criterion gives all the "
    f"same score; {100 * LEVEL:.0f} % intervals on Fisher's scale."
)
UNLABELLED = "These look at the target's images without labels, so they are ranked among themselves."


def headline(board: CriteriaBoard) -> list[str]:
    """Whether augmented validation chooses better than source validation, a sentence for each track and choice."""
    several = len(board.tracks) > 1
    return [
        (f"On the {track.name} track: " if several else "") + line for track in board.tracks for line in verdicts(track)
    ]


def verdicts(track: JudgedTrack) -> list[str]:
    """The same of one track, the choice of the method first."""
    augmented = track.of(AUGMENTED)
    if augmented is None:
        why = track.refusals.get(AUGMENTED, "it was not asked for")
        return [f"{_capital(_title(AUGMENTED))} could not be judged: {why}."]
    return [verdict(augmented, choice) for choice in _NAMES]


def verdict(one: Judged, choice: Choice) -> str:
    """Whether a criterion chooses better than source validation, as far as the interval says."""
    who, gain = f"{_capital(_NAMES[choice])} {one.criterion.title}", one.choices[choice].gain
    assert gain is not None
    if gain.interval is None:
        if gain.error == 0 and gain.mean == 0:
            return f"{who} picks what is as good as with {_SOURCE}, in every trial."
        return f"{who} picks {text.signed(gain.mean)} points against {_SOURCE}; without an interval that shows nothing."
    low, high = gain.interval
    said = (
        f"{text.signed(gain.mean)} points, {100 * LEVEL:.0f} % interval {_ends(gain)}{_relative(one.choices[choice])}"
    )
    if low > 0:
        return f"{who} chooses better than {_SOURCE}: {said}."
    if high < 0:
        return f"{who} chooses worse than {_SOURCE}: {said}."
    return f"{who} is not shown to choose better than {_SOURCE}, nor worse: {said}."


def _relative(worth: Worth) -> str:
    if worth.gained is None or worth.gained.interval is None:
        return ""
    return f" (relative: {text.signed(worth.gained.mean)} %, {_ends(worth.gained)})"


def _ends(estimate: Estimate) -> str:
    assert estimate.interval is not None
    return " to ".join(map(text.signed, estimate.interval))


def groups(track: JudgedTrack) -> list[tuple[str, list[Judged]]]:
    """The results that are ranked together, with what is to be said of them: nothing of those that see no target."""
    results = sorted((one for one in track.criteria if not one.same_as), key=lambda one: not one.criterion.ranks)
    return [
        ("" if ranks else UNLABELLED, list(group)) for ranks, group in groupby(results, lambda one: one.criterion.ranks)
    ]


def placed(group: Sequence[Judged], choice: Choice) -> list[Judged]:
    """Those who choose best first."""
    return sorted(group, key=lambda one: -round(one.choices[choice].picked.mean, 12))


def row(title: str, worth: Worth) -> list[str]:
    """What stands under :data:`HEADER`."""
    return [
        text.ranks(worth.rank, worth.rank_worst),
        title,
        text.with_margin(worth.gain, sign=True) if worth.gain else "–",
        text.with_margin(worth.gained, sign=True) if worth.gained else "–",
        text.with_margin(worth.picked),
        text.with_margin(worth.regret),
        text.with_margin(worth.lost) if worth.lost else "–",
        text.with_margin(worth.hit),
    ]


def baselines(track: JudgedTrack, choice: Choice) -> list[list[str]]:
    """What a choice is worth at least and at most."""
    return [row("a model at random", track.blind[choice]), row("the best (target labels)", track.best[choice])]


def correlated(one: Judged) -> list[str]:
    """Its correlations, in the order of :data:`CORRELATION_TITLES`."""
    return [text.coefficient(found) if (found := one.correlations[name]) else "–" for name in CORRELATION_TITLES]


def notes(board: CriteriaBoard) -> list[str]:
    """What a reader must know before believing the tables."""
    lines = text.failures(board.failed)
    if board.missing:
        lines.append(f"Runs that are not finished: {board.missing}. Criteria chose among what there is.")
    if board.info.trials == 1:
        lines.append(text.ONE_TRIAL)
    for track in board.tracks:
        lines += [
            f"{_capital(one.criterion.title)} scores every model as {_title(one.same_as)} does: they are one result."
            for one in track.criteria
            if one.same_as
        ]
        lines += [f"{_capital(_title(name))} could not be judged: {why}." for name, why in track.refusals.items()]
    return lines


def facts(board: CriteriaBoard) -> dict[str, int]:
    """How much was chosen among."""
    return {
        "Models": sum(track.models for track in board.tracks),
        "Algorithms": sum(len(track.algorithms) for track in board.tracks),
        "Draws": board.info.draws,
        "Trials": board.info.trials,
        "Targets": len(board.info.domains),
    }


def _title(name: str) -> str:
    return CRITERIA[name].title if name in CRITERIA else name


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def command(board: CriteriaBoard) -> str:
    """What judges the criteria, once the board is run: with its options, but for a criterion without judges."""
    options = shlex.split(board.info.recompute)[2:]
    if "--criterion" in options:
        place = options.index("--criterion")
        if options[place + 1] not in JUDGES:
            del options[place : place + 2]
    return shlex.join(["dgbench", "criteria", *options])
