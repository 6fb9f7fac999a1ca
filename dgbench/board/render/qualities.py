"""The words on how well criteria chose: a table for those that see nothing of the target, and one for those that do."""

from __future__ import annotations

from dgbench.board.leaderboard import Track
from dgbench.board.render.figures import SHARES, Figures, coefficient
from dgbench.selection.quality import Quality
from dgbench.selection.statistics import LEVEL, Estimate

UNLABELLED = "looking at images of the target without labels"
QUALITY = (
    "Each criterion picks one model among all candidates of the track, for each target and trial. Regret is what the "
    "pick loses against the best candidate, in points; correlation is Spearman's, between the criterion's score and "
    f"the accuracy on the target, with its {100 * LEVEL:.0f} % interval on Fisher's scale."
)


def quality_row(quality: Quality, show: Figures = SHARES) -> list[str]:
    """One criterion: title, accuracy of its picks, regret, correlation."""
    correlation = quality.correlation
    return [
        quality.criterion.title,
        show.with_margin(quality.picked),
        show.lost_with_margin(quality.regret),
        "–" if correlation is None else coefficient(correlation),
    ]


def judged(track: Track) -> list[tuple[str, list[Quality]]]:
    """Criteria in tables of their own, first those that see no target: what the heading adds, and the criteria."""
    sees: dict[str, list[Quality]] = {"": [], UNLABELLED: []}
    for quality in track.qualities:
        sees[UNLABELLED if quality.criterion.uses_unlabelled_target else ""].append(quality)
    return [(heading, qualities) for heading, qualities in sees.items() if qualities]


def baselines(track: Track, show: Figures = SHARES) -> list[list[str]]:
    """What a pick is worth at least and at most: the same columns as :func:`quality_row`."""
    first = track.qualities[0]
    blind_regret = Estimate(first.best.mean - first.blind.mean, first.best.n)
    return [
        ["a candidate picked at random", show.with_margin(first.blind), show.lost_with_margin(blind_regret), "0.00"],
        ["the best candidate (target labels)", show.with_margin(first.best), show.lost(0.0), "1.00"],
    ]
