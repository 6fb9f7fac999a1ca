"""The words and numbers that every rendering shares, so that none of them says anything different."""

from __future__ import annotations

from collections.abc import Sequence

from dgbench.board.leaderboard import Entry, Leaderboard, Track
from dgbench.selection.quality import Quality
from dgbench.selection.statistics import LEVEL, Estimate

_LEVEL, _ERROR = f"{100 * LEVEL:.0f} %", f"{100 * (1 - LEVEL):.0f} %"

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
}

RANKING = (
    "Rank: one more than the number of algorithms that are significantly better (paired t-tests over targets and "
    f"trials, Holm over all pairs, {_ERROR}). Algorithms that share a rank form a group; rank 1 is the group of all "
    "whom nobody is shown to beat. A low mean with a good rank has trials that scatter too widely to place it."
)
ACCURACY = (
    f"Accuracy: mean over targets of the mean over trials, in per cent, ± half of the {_LEVEL} t-interval "
    "(targets fixed, trials repeated within targets). n counts target-trial pairs."
)
GAP = "Gap: accuracy on held-out source images minus accuracy on the target, for the same models, in points."
ORACLE = (
    "Oracle: what the same algorithm reaches when its models are chosen on the target, at the last step of each run. "
    "It uses target labels and is not ranked."
)


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
    return f"On {where} no algorithm is shown to beat {', '.join(leaders[:-1])} or {leaders[-1]}."


def percent(share: float) -> str:
    """A share as per cent: ``74.1``."""
    return f"{100 * share:.1f}"


def signed(share: float) -> str:
    """A difference of shares in points, with its sign: ``+1.2``, ``−0.4``."""
    return f"{100 * share:+.1f}".replace("-", "−")


def margin(estimate: Estimate) -> str:
    """Half of the interval: ``±0.9``, or nothing where there is no interval."""
    return "" if estimate.margin is None else f"±{100 * estimate.margin:.1f}"


def with_margin(estimate: Estimate, *, sign: bool = False) -> str:
    """``74.1 ±0.9``."""
    return f"{(signed if sign else percent)(estimate.mean)} {margin(estimate)}".strip()


def duration(seconds: float) -> str:
    """Seconds as people say them: ``41 s``, ``12 min``, ``3.4 h``."""
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def name(entry: Entry) -> str:
    """The algorithm's title, with a dagger where its score is contaminated."""
    return f"{entry.title} †" if entry.contaminated else entry.title


def difference_header(board: Leaderboard) -> str:
    """Heading of the column of differences."""
    titles = {entry.algorithm: entry.title for track in board.tracks for entry in track.entries}
    return f"vs {titles.get(board.info.reference, board.info.reference)}"


def header(board: Leaderboard, domains: Sequence[str]) -> list[str]:
    """Headings of :func:`row`."""
    return [
        "Rank",
        "Algorithm",
        "Accuracy",
        "n",
        *domains,
        "Worst",
        "Gap",
        difference_header(board),
        "Oracle*",
    ]


def row(entry: Entry, domains: Sequence[str]) -> list[str]:
    """One algorithm, as text, with its accuracy on these targets."""
    return [
        str(entry.rank or "–"),
        name(entry),
        with_margin(entry.accuracy),
        str(entry.accuracy.n),
        *(percent(entry.targets[d].mean) if d in entry.targets else "–" for d in domains),
        percent(entry.targets[entry.worst].mean),
        percent(entry.gap.mean),
        with_margin(entry.difference, sign=True) if entry.difference else "–",
        percent(entry.oracle.mean),
    ]


def selection(board: Leaderboard) -> str:
    """What selected the models, and with which shift families."""
    text = f"Models were selected by {board.criterion.title}."
    entries = [entry for track in board.tracks for entry in track.entries]
    every = sorted({family for entry in entries for family in entry.families})
    if not every:
        return text
    text += f" Shift families used: {', '.join(every)}."
    held_out = {
        family: [entry.title for entry in entries if family in entry.trained and family not in entry.families]
        for family in sorted({family for entry in entries for family in entry.trained})
    }
    named = [
        family if len(titles) == len(entries) else f"{family} ({', '.join(titles)})"
        for family, titles in held_out.items()
        if titles
    ]
    return f"{text} Held out because training used them: {'; '.join(named)}." if named else text


def warnings(board: Leaderboard, track: Track) -> list[str]:
    """What a reader must know before believing the table."""
    lines = []
    for entry in track.entries:
        if entry.runs < board.info.runs:
            lines.append(
                f"{entry.title} has {entry.runs} of {board.info.runs} runs: it is listed with what there is, unranked."
            )
        elif entry.rank is None:
            lines.append(f"{entry.title} is unranked: in some cell every score is not a number.")
        if entry.contaminated:
            lines.append(
                f"† {entry.title} trained with {', '.join(entry.contaminated)}, which also selected its models: its "
                "selection is contaminated."
            )
    if board.info.trials == 1:
        lines.append("There is one trial for each target, so there is no interval, and nothing separates the ranks.")
    return lines


def absent(board: Leaderboard) -> str:
    """Which algorithms of the board have no run, or nothing."""
    return f"Not run yet: {', '.join(board.absent)}." if board.absent else ""


QUALITY = (
    "Each criterion picks one model among all candidates of the track, for each target and trial. Regret is what the "
    "pick loses against the best candidate, in points; correlation is Spearman's, between the criterion's score and "
    "the accuracy on the target."
)


def quality_row(quality: Quality) -> list[str]:
    """One criterion: title, accuracy of its picks, regret, correlation."""
    correlation = quality.correlation
    return [
        quality.criterion.title,
        with_margin(quality.picked),
        with_margin(quality.regret),
        "–" if correlation is None else _coefficient(correlation),
    ]


def baselines(track: Track) -> list[list[str]]:
    """What a pick is worth at least and at most: the same columns as :func:`quality_row`."""
    first = track.qualities[0]
    blind_regret = Estimate(first.best.mean - first.blind.mean, first.best.n)
    return [
        ["a candidate picked at random", with_margin(first.blind), with_margin(blind_regret), "0.00"],
        ["the best candidate (target labels)", with_margin(first.best), "0.0", "1.00"],
    ]


def _coefficient(estimate: Estimate) -> str:
    half = "" if estimate.margin is None else f" ±{estimate.margin:.2f}"
    return f"{estimate.mean:.2f}{half}".replace("-", "−")


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
