"""Statistics in tables and sentences, the same for the terminal and the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dgbench.board.leaderboard import Leaderboard
from dgbench.board.render import text
from dgbench.board.render.diagram import by_ranks
from dgbench.board.render.figures import Figures
from dgbench.board.render.report.sections import Report, Section
from dgbench.board.render.scatter import on_the_line
from dgbench.board.statistics import Statistics
from dgbench.selection.line import Line
from dgbench.selection.rank_tests import RankTests
from dgbench.selection.statistics import LEVEL
from dgbench.selection.variance import Component, Split

KIND = "statistics"
REST = "Statistics beside the ranks: none of them ranks."
_ERROR = f"{100 * (1 - LEVEL):.0f} %"

SAMPLE = (
    "Blocks are the sample here, each with one number for an algorithm, the mean over its trials: tests by ranks speak "
    "of {blocks} like these, where the board's ranks speak of these targets, trained for again."
)
SOURCES = (
    "Targets of one dataset are not independent, since each is a source of the others; p-values take them for "
    "independent all the same, and promise more than they say. Whoever wants these tests needs several datasets."
)
TESTS = (
    "Mean rank: over blocks, 1 for one that is best in each, ties share. Friedman's test, with the F of Iman and "
    f"Davenport, asks whether any differ; Nemenyi's, which of all pairs, at {_ERROR} for all together; Wilcoxon's "
    "signed-rank test, which of them differ from the control, its p corrected by Holm for all that are held against it."
)
VARIANCE = (
    "Standard deviations in points, with their share of all variance, estimated by moments; 0.0 where the estimate is "
    "negative. Shared: what all algorithms have in common, and differences do not see. Own: what is an algorithm's own."
)
TRIALS = (
    "A trial draws splits, initial weights and the order of batches together, so nothing tells these apart. What "
    "trials share is what is common to all algorithms that saw the same of them."
)
LINE = (
    "Both accuracies on a probit scale, one point for each algorithm. Effective robustness: accuracy on the target "
    "minus what the line of the target gives to the accuracy on held-out source images, in points, in the mean over "
    "targets and trials. The line is that of all algorithms of the board, so robustness is over the others. Intervals "
    "take it as known. Where R² is small, source accuracy says little, and so does the line."
)


def report(statistics: Statistics) -> Report:
    """Statistics of a board, for readers."""
    board = statistics.board
    info = board.info
    provenance = {"board": f"{info.name}, version {info.version}, rules {info.rules}", **board.provenance}
    by = f"models selected by {board.criterion.title}. {REST}"
    return Report(KIND, info.title, by, tuple(_sections(statistics, board)), provenance | {"made by": info.recompute})


def _sections(statistics: Statistics, board: Leaderboard) -> Iterator[Section]:
    titles, show = {entry.algorithm: entry.title for entry in board.entries}, text.figures(board)
    for track in statistics.tracks:
        where = text.TRACKS[track.track][0]
        if track.tests:
            sample = [SAMPLE.format(blocks=track.blocks), *([SOURCES] if track.blocks == "targets" else [])]
            yield tested(track.tests, titles, f"ranks-{track.track}", where, sample, show)
        if track.split:
            yield _varied(track.split, f"variance-{track.track}", where, show)
        if track.lacking:
            yield Section(f"lacking-{track.track}", f"{where}: what cannot be said", said=track.lacking)
    yield _lined(statistics, board)


def tested(
    tests: RankTests,
    titles: Mapping[str, str],
    name: str,
    where: str,
    sample: Sequence[str],
    show: Figures,
) -> Section:
    """Tests by ranks.

    Args:
        tests: What is shown.
        titles: Of algorithms, as readers see them.
        name, where: An anchor, and what they are about.
        sample: What the blocks are.
        show: How differences are shown.
    """
    held = {one.algorithm: one for one in tests.against}
    control = titles.get(tests.control, tests.control) if tests.control else None
    header = ["Algorithm", "Mean rank"]
    if control:
        header += [f"vs {control}", "Won–tied–lost", "Wilcoxon p", "Corrected p"]
    rows = []
    for algorithm, rank in tests.ranks.items():
        cells = [titles.get(algorithm, algorithm), f"{rank:.2f}"]
        if control:
            one = held.get(algorithm)
            cells += (
                ["–"] * 4
                if one is None
                else [
                    show.signed(one.difference),
                    f"{one.wins}–{one.ties}–{one.losses}",
                    p_value(one.p),
                    p_value(one.p_corrected),
                ]
            )
        rows.append(cells)
    title = f"{where}: tests by ranks over {len(tests.blocks)} blocks"
    said = [*findings(tests, titles), f"Blocks: {'; '.join(tests.blocks)}."]
    return Section(name, title, header, rows, said, [*sample, TESTS], by_ranks(tests, titles))


def findings(tests: RankTests, titles: Mapping[str, str]) -> list[str]:
    """What tests by ranks find, in sentences."""
    found, control = tests.friedman, tests.control
    lines = [
        f"Friedman: chi-square {found.chi2:.2f} with {found.df[0]} degrees of freedom, p {p_value(found.p)}; Iman and "
        f"Davenport: F {found.f:.2f} with {found.df[0]} and {found.df[1]}, p {p_value(found.f_p)}."
    ]
    pairs = [
        " and ".join(titles.get(name, name) for name in sorted(pair, key=lambda name: tests.ranks[name]))
        for pair in tests.separated
    ]
    many = len(tests.nemenyi)
    lines.append(
        f"Nemenyi: mean ranks differ where they are {tests.critical:.2f} apart. So are {len(pairs) or 'none'} of "
        f"{many} pairs{': ' if pairs else ''}{', '.join(pairs)}."
    )
    if control:
        better = [titles.get(o.algorithm, o.algorithm) for o in tests.against if o.p_corrected <= 1 - LEVEL]
        lines.append(
            f"Wilcoxon and Holm: {', '.join(better) or 'nobody'} differ{'' if len(better) > 1 else 's'} from "
            f"{titles.get(control, control)}."
        )
        if tests.least > 1 - LEVEL:
            lines.append(
                f"That had to be: with {len(tests.blocks)} blocks and {len(tests.against)} comparisons no corrected p "
                f"can be less than {p_value(tests.least)}."
            )
    return lines


def p_value(p: float) -> str:
    """A p-value in three digits."""
    return "< 0.0001" if p < 0.0001 else f"{p:.3g}"


def _varied(found: Split, name: str, where: str, show: Figures) -> Section:
    by = {(one.level, one.own): one for one in found.components}
    rows = [
        [
            words,
            *(cell for own in (False, True) for cell in _component(found, by.get((level, own)), show)),
        ]
        for level, words in (
            ("algorithm", "algorithms"),
            ("target", "targets"),
            ("trial", "trials of a target"),
            ("draw", "draws of a trial"),
        )
    ]
    said = [
        f"{found.algorithms} algorithms, {found.targets} targets (those of one training count once), {found.trials} "
        f"trials of each, {found.draws} draw{'s' if found.draws > 1 else ''} of hyperparameters in each trial."
    ]
    if found.draws == 1:
        said.append("With one draw, what hyperparameters do is no part of it: nothing was searched.")
    if found.targets == 1:
        said.append("With one target, what an algorithm's own targets do is part of algorithms.")
    within = show.apart.removeprefix(", in")
    header = ["Varies by", *(f"{what}{',' if within else ''}{within}" for what in ("Shared", "Own"))]
    header = [header[0], header[1], "of all", header[2], "of all"]
    variance = VARIANCE.replace(" in points", f" in{within}" if within else "")
    return Section(name, f"{where}: what accuracies vary by", header, rows, said, [variance, TRIALS])


def _component(found: Split, one: Component | None, show: Figures) -> tuple[str, str]:
    if one is None or one.deviation is None:
        return "–", "–"
    share = found.share(one)
    return show.lost(one.deviation), "–" if share is None else f"{100 * share:.0f} %"


def _lined(statistics: Statistics, board: Leaderboard) -> Section:
    title = "Source and target: accuracy on the line"
    if board.info.value:
        return Section("line", title, said=["The line is one of shares; of values none is drawn."])
    if statistics.line is None:
        why = "No line can be drawn: it needs three algorithms whose accuracies differ on source and target."
        return Section("line", title, said=[why])
    said = [f"All targets: {_said(statistics.line)}."]
    said += [f"{target}: {_said(line)}." for target, line in statistics.lines.items()]
    ranked = [entry for entry in board.entries if entry.algorithm in statistics.robustness]
    ranked.sort(key=lambda entry: -statistics.robustness[entry.algorithm].mean)
    rows = [
        [
            entry.title,
            "–" if entry.on_source is None else text.percent(entry.on_source),
            text.percent(entry.accuracy.mean),
            text.with_margin(statistics.robustness[entry.algorithm], sign=True),
        ]
        for entry in ranked
    ]
    header = ["Algorithm", "Source", "Target", "Effective robustness"] if rows else []
    return Section("line", title, header, rows, said, [LINE], plot=on_the_line(board))


def _said(line: Line) -> str:
    said = f"slope {line.slope:.2f}, intercept {line.intercept:.2f}, R² {line.r2:.2f} over {line.n} algorithms"
    return said.replace("-", "−")
