"""The words and numbers that every rendering shares, so that none of them says anything different."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dgbench.board.leaderboard import Entry, Leaderboard, Track
from dgbench.board.render.figures import coefficient as coefficient  # the templates take their words from here
from dgbench.board.render.figures import margin as margin
from dgbench.board.render.figures import percent as percent
from dgbench.board.render.figures import rank as rank
from dgbench.board.render.figures import ranks as ranks
from dgbench.board.render.figures import signed as signed
from dgbench.board.render.figures import with_margin as with_margin
from dgbench.board.render.qualities import QUALITY as QUALITY
from dgbench.board.render.qualities import baselines as baselines
from dgbench.board.render.qualities import judged as judged
from dgbench.board.render.qualities import quality_row as quality_row
from dgbench.board.render.trials import grown as grown
from dgbench.board.render.trials import looks as looks
from dgbench.board.render.trials import trials as trials
from dgbench.board.render.units import GAP as GAP
from dgbench.board.render.units import figures as figures
from dgbench.board.render.units import gap as gap
from dgbench.board.render.units import in_units as in_units
from dgbench.board.render.units import meant as meant
from dgbench.board.render.units import predicted as predicted
from dgbench.board.render.units import stands_for as stands_for
from dgbench.core.amounts import duration as duration
from dgbench.core.backbone_name import UNTOLD
from dgbench.runs.collect import Failure
from dgbench.selection.statistics import LEVEL

_LEVEL, _ERROR = f"{100 * LEVEL:.0f} %", f"{100 * (1 - LEVEL):.0f} %"

_PLACES = 3
"""Cells that a line about failures names."""

TRACKS = {
    "inductive": (
        "Inductive track",
        "Each prediction depends on its own image alone. Nothing of the target is seen before it is predicted.",
    ),
    "online": (
        "Online track",
        "The model may adapt to the unlabelled stream of target images that it is shown. It is told more than an "
        "inductive model, so the two tracks are ranked apart.",
    ),
    "unlabelled": (
        "Unlabelled track",
        "A model learns, beside the source domains, from images of its target without their labels. It is told more of "
        "the target than any model that is not, so the track is ranked apart.",
    ),
}

LEVELS = {
    "self-reported": "nobody but its authors computed these numbers",
    "recomputed": "every score and every choice was computed again from its predictions",
    "spot re-run": "trainings drawn at random were done again, and predicted the same",
    "full re-run": "every training was done again, and predicted the same",
}
"""What the levels of submissions say."""

RANKING = (
    "Rank: one more than the number of algorithms that are significantly better (paired t-tests over trials, with "
    f"variances moderated over all pairs, Holm over the pairs of a track, {_ERROR}). Algorithms that share a rank form "
    "a group; rank 1 is the group of all whom nobody is shown to beat. A low mean with a good rank has trials that "
    "scatter too widely to place it."
)
RANKS = (
    "Where two ranks are given they are the ends of an interval: the second is the number of results on the track "
    "without those that are significantly worse."
)
ADJUSTED = (
    "Ranks are corrected for comparing every pair, and hold together; a difference from one algorithm has the interval "
    "of that comparison alone, uncorrected, so it may lie on one side of zero where the ranks separate nobody. All of "
    "it is about these targets, trained for again; about other domains like these it says nothing."
)
ACCURACY = (
    f"Accuracy: mean over targets of the mean over trials, in per cent, ± half of the {_LEVEL} t-interval "
    "(targets fixed, trials repeated; the variances of four ranked algorithms or more are moderated together, on a "
    "single target or dataset each has its own). n counts what is independent: trials, once for each set of source "
    "domains. Targets that one training serves move together, so they are averaged within a trial and count once. "
    "Without ± chance cannot be measured: there is a single trial, or all gave the same."
)
CEILING = (
    "Ceiling: what the same algorithm reaches when the best of all its candidates is taken on each target. No "
    "selection exceeds it. It uses target labels and is not ranked."
)
ORACLE = (
    "Oracle: what it reaches when one of its draws is chosen on the target, each at its last step: DomainBed does so. "
    "That is no bound, since selection may choose an earlier step. It uses target labels and is not ranked."
)
PART = (
    "A part of the board: {part}. Ranks, intervals and their correction are those of the part alone. They hold where "
    "the part was settled before anybody saw a result; picked after looking, they promise less than they say."
)
BRIEF = (
    f"Accuracy in per cent, ± half of a {_LEVEL} t-interval; n counts what is independent. A rank is one more than the "
    "number of algorithms that are significantly better (Holm over all pairs); of two ranks the second is the worst "
    "that it may be."
)
UNTRAINED = "{title} is a model as it is: nothing was trained, and its trials differ in the images that validate alone."
ONE_TRIAL = "There is one trial for each target, so there is no interval, and nothing separates the ranks."
UNTUNED = (
    "Nothing was tuned: every algorithm ran with one set of hyperparameters, those of its card and of the board. "
    "A low place is a finding about these values, not a verdict on the method; --draws 10 searches for better ones."
)


LEADERS = 8
"""How many leaders a sentence names: the others are in the table."""


def headline(track: Track) -> str:
    """Who leads, in one sentence that claims no more than the ranks do."""
    where = f"the {track.name} track"
    leaders = [entry.title for entry in track.entries if entry.rank == 1]
    if not leaders:
        return f"No algorithm has completed {where}."
    if len(track.entries) == 1:
        return f"{leaders[0]} is alone on {where}."
    if len(leaders) == 1:
        return f"{leaders[0]} leads {where}."
    if len(leaders) > LEADERS:
        return (
            f"On {where} no algorithm is shown to beat any of {len(leaders)} of {len(track.entries)}: "
            f"{', '.join(leaders[:LEADERS])} and {len(leaders) - LEADERS} more."
        )
    return f"On {where} no algorithm is shown to beat {', '.join(leaders[:-1])} or {leaders[-1]}."


def name(entry: Entry, board: Leaderboard) -> str:
    """The algorithm's title, with its level if it was submitted, whom it is the same as, and a dagger where its score
    is contaminated."""
    said = f"{entry.title} ({entry.level})" if entry.level else entry.title
    said = f"{said} = {title(board, entry.same_as)}" if entry.same_as else said
    return f"{said} †" if entry.contaminated else said


def title(board: Leaderboard, algorithm: str) -> str:
    """What an algorithm on the board is called."""
    return next((entry.title for entry in board.entries if entry.algorithm == algorithm), algorithm)


def difference_header(board: Leaderboard) -> str:
    """Heading of the column of differences."""
    return f"vs {title(board, board.info.reference)}"


def backbone(track: Track) -> str:
    """What the algorithms of a track were built on, and what that had seen before."""
    seen = {entry.backbone: entry.pretrained_on for entry in track.entries}
    named = [f"{name}, {f'pretrained on: {past}' if past else 'from random weights'}" for name, past in seen.items()]
    return f"Backbone: {'; '.join(named)}."


def score(board: Leaderboard) -> str:
    """Heading of the column that ranks."""
    title, show = board.info.headline.title, figures(board)
    return f"{title[0].upper()}{title[1:]}" + (f", {show.unit}" if show.sign and not show.shares else "")


def header(board: Leaderboard, domains: Sequence[str]) -> list[str]:
    """Headings of :func:`row`."""
    return [
        "Rank",
        "Algorithm",
        score(board),
        "n",
        *(["Trials"] if grown(board) else []),
        *domains,
        "Worst",
        "Gap",
        difference_header(board),
        "Ceiling*",
        "Oracle*",
    ]


def row(entry: Entry, board: Leaderboard, domains: Sequence[str]) -> list[str]:
    """One algorithm, as text, with its accuracy on these targets."""
    show = figures(board)
    return [
        str(entry.rank or "–"),
        name(entry, board),
        show.with_margin(entry.accuracy),
        str(entry.accuracy.n),
        *([str(entry.trials)] if grown(board) else []),
        *(show.number(entry.targets[d].mean) if d in entry.targets else "–" for d in domains),
        show.number(entry.targets[entry.worst].mean),
        show.lost(entry.gap.mean) if entry.gap else "–",
        show.with_margin(entry.difference, sign=True) if entry.difference else "–",
        show.number(entry.ceiling.mean),
        show.number(entry.oracle.mean),
    ]


def selection(board: Leaderboard) -> str:
    """What selected the models, and with which shift families: each is named once, as used or as held out."""
    text = f"Models were selected by {board.criterion.title}."
    if board.criterion.judges:  # who reads that all families were used must know by whose models
        text += f" {board.criterion.description}"
    families = {family for entry in board.entries for family in entry.families}
    held_out = sorted({family for entry in board.entries for family in entry.held_out})
    if not families:
        return text
    text += f" Shift families used: {', '.join(sorted(families - set(held_out))) or 'none for every algorithm'}."
    if not held_out:
        return text
    named = [f"{family} ({_held_out(board, family)})" for family in held_out]
    return f"{text} Held out where training used them: {'; '.join(named)}."


def _held_out(board: Leaderboard, family: str) -> str:
    """For whom a family was held out."""
    titles = [
        f"{entry.title} in some cells" if family in entry.families else entry.title
        for entry in board.entries
        if family in entry.held_out
    ]
    if len(titles) == len(board.entries) and not any(family in entry.families for entry in board.entries):
        return "all"
    return f"for {', '.join(titles)}"


def runs(entry: Entry, board: Leaderboard) -> str:
    """How many an algorithm has: ``24 of 24``, ``23 of 24 (1 diverged)``."""
    said = f"{entry.runs} of {board.info.runs}"
    return f"{said} ({entry.diverged} diverged)" if entry.diverged else said


def _without_any(entry: Entry, board: Leaderboard) -> str:
    """Where all draws of an algorithm diverged, so that there is nothing to choose; empty where that is nowhere."""
    own = (one for one in board.failed if one.algorithm == entry.algorithm and one.status == "diverged")
    gone = Counter((one.target, one.trial) for one in own)
    places = [f"target {target}, trial {trial}" for (target, trial), draws in gone.items() if draws == board.info.draws]
    more = f" and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
    return f" Every draw diverged on {'; '.join(places[:_PLACES])}{more}." if places else ""


def warnings(board: Leaderboard, track: Track) -> list[str]:
    """What a reader must know before believing the table."""
    lines = []
    for entry in track.entries:
        counted = f"{entry.title} has {entry.runs} of {board.info.runs} runs"
        counted += f", and {entry.diverged} diverged" if entry.diverged else ""
        if entry.runs + entry.diverged < board.info.runs:
            lines.append(f"{counted}: it is listed with what there is, unranked.{_without_any(entry, board)}")
        elif entry.rank is None:
            lines.append(f"{entry.title} is unranked: in some cell every score is not a number.")
        elif entry.diverged:
            lines.append(f"{counted}: a draw that diverged loses to the others of its cell.")
        if entry.cost.untrained:
            lines.append(UNTRAINED.format(title=entry.title))
        if entry.same_as:
            why = f" ({entry.without_effect})" if entry.without_effect else ""
            lines.append(
                f"{name(entry, board)}: the same predictions, bit for bit, in every cell{why}. They are one "
                "result, and ranks count it once."
            )
        elif entry.without_effect:
            lines.append(f"{entry.title} has parts without effect here: {entry.without_effect}.")
        if entry.contaminated:
            lines.append(
                f"† {entry.title} trained with {', '.join(entry.contaminated)}, which also selected its models: its "
                "selection is contaminated."
            )
    if UNTOLD in (entry.pretrained_on for entry in track.entries):
        lines.append(
            "Nobody told what the backbone was pretrained on. If it has seen images like those of the targets, its "
            "accuracy says nothing about domains that are new to it."
        )
    if board.info.trials == 1:
        lines.append(ONE_TRIAL)
    return lines


def part(board: Leaderboard) -> list[str]:
    """That this is a part of a board, and what its ranks are worth then; nothing where it is all."""
    return [PART.format(part=board.info.part)] if board.info.part else []


def notes(board: Leaderboard) -> list[str]:
    """What holds for the whole board: that it is a part, what ranks, failed, is missing, and that nothing was tuned."""
    lines = [*part(board), *looks(board), *meant(board), *failures(board.failed)]
    if board.absent:
        lines.append(f"Not run yet: {', '.join(board.absent)}.")
    lines += _repeats(board)
    return [*lines, UNTUNED] if board.info.draws == 1 else lines


def failures(failed: Sequence[Failure]) -> list[str]:
    """Runs that could not be done, a line for each algorithm and reason."""
    alike: dict[tuple[str, str, str], list[Failure]] = {}
    for failure in failed:
        alike.setdefault((failure.status, failure.title, failure.reason), []).append(failure)
    lines = []
    for (status, title, reason), places in alike.items():
        shown = "; ".join(f"target {place.target}, trial {place.trial}" for place in places[:_PLACES])
        more = f" and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
        lines.append(f"{status.capitalize()}: {title} on {shown}{more}: {reason}")
    return lines


def _repeats(board: Leaderboard) -> list[str]:
    """What submissions of the same runs say."""
    lines, show = [], figures(board)
    if same := [again.submission for again in board.info.repeats if again.identical]:
        named = ", ".join(same[:_PLACES]) + (f" and {len(same) - _PLACES} more" if len(same) > _PLACES else "")
        lines.append(f"Submitted from the same runs, with the same predictions bit for bit, and listed once: {named}.")
    lines += [
        f"{title(board, again.algorithm)} was submitted from the same runs as {again.submission} ({again.level}), "
        f"where accuracies on targets differ by up to {show.lost(again.difference)}{show.points} from these: another "
        "machine or another version computed them."
        for again in board.info.repeats
        if not again.identical
    ]
    return lines


def cost(board: Leaderboard) -> str:
    """What the board cost, and what sharing trainings saved."""
    text = (
        f"All runs together took {duration(board.seconds)} of computing on {', '.join(board.devices)}, without the "
        "trainings that others only start from, as a backbone's pretraining."
    )
    if board.seconds_unshared > 1.01 * board.seconds:
        text += (
            f" Algorithms that differ only after training share their trainings; had each trained for itself, it "
            f"would have taken {duration(board.seconds_unshared)}."
        )
    return text
