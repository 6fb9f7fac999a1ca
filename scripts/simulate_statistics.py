"""How often do six ways to compare algorithms err, and how much do they find? Boards whose truth is known, simulated.

    python scripts/simulate_statistics.py                     # five Markdown tables, in some minutes
    python scripts/simulate_statistics.py --boards 200 --settings equal quick
    python scripts/simulate_statistics.py --cells out/cells.csv     # pairs of a board of your own, by each way

In trial k algorithm a reaches on target t, in points,

    x_atk = i_at + shared_tk + noise_atk

``i`` is what an algorithm is better on one target than on others (standard deviation 2, sum 0 over targets), ``shared``
what a trial gives to all algorithms (3), ``noise`` an algorithm's own, by setting. The ways:

    own         variances of each pair's own trials in each target, Welch and Satterthwaite's degrees of freedom; Holm
    range       one variance for all, residual of the layout algorithms x trials in each target; studentised range
    moderated   what boards do: variances of pairs drawn towards what they have in common; Holm
    bootstrap   trials drawn again within targets, 200 times, the same for all algorithms; the largest of all pairs'
                |t| decides, percentiles are the interval
    images      the same, and images drawn again within test sets: each algorithm gets six in ten of the thousand of
                each target right, whichever these are
    mixed       targets are random: the mean square of algorithms x targets as the error, (A - 1)(T - 1) degrees of
                freedom; Holm. In balanced layouts that is what REML (statsmodels' MixedLM) gives wherever its
                components are positive, at a hundredth of the time

Printed are for each: the share of boards that separate equal algorithms, where all are equal and where a quarter of
them is better; the share of 95 % intervals that cover the true difference; and the share of true differences that are
found, where the better ones are so by four standard errors of a difference.

The second table draws targets at random too, and asks how often intervals cover the difference over all domains from
which they are drawn: the other question, which fixed targets do not answer. The third looks at what moderation costs:
pairs, and means, that scatter more than others are covered less often than those that scatter less.

The fourth is about the mean of one algorithm: how often its interval covers the truth, and half of a median interval,
with variances of its own trials and with moderated ones. What a trial gives to all algorithms does not cancel there; so
boards are drawn on which it is nothing, as large as above, and so large that it hides all else (10).

The fifth is about boards that are there: how many pairs of the inductive track each way separates, by what is chosen
on them (``cells.csv``), in the trials that all have.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit
from scipy.stats import studentized_range

from dgbench.selection.means import means
from dgbench.selection.moderated import Variances
from dgbench.selection.pairs import contrasts
from dgbench.selection.statistics import LEVEL

Values = NDArray[np.float64]
BOARDS = Path(__file__).parents[1] / "leaderboards"
RESAMPLES = 200
IMAGES, RIGHT = 1000, 0.6
"""Of a target how many there are, and which share of them is classified correctly."""
SHARED = (0.0, 3.0, 10.0)


@dataclass(frozen=True)
class Setting:
    """A kind of board.

    Attributes:
        title: As the table has it.
        shape: Algorithms, independent targets, trials.
        noise: Draws what is an algorithm's own, for a number of boards: (boards, algorithms, targets, trials).
        step: The difference that one picture more makes, in points; 0 where values are not rounded.
        shared: Standard deviation of what a trial gives to all algorithms.
    """

    title: str
    shape: tuple[int, int, int]
    noise: Callable[[np.random.Generator, tuple[int, ...]], Values]
    step: float = 0.0
    shared: float = 3.0

    def draw(self, random: np.random.Generator, boards: int, fixed: bool = True) -> Values:
        """Boards of equal algorithms; where targets are not fixed they are drawn from domains without number."""
        algorithms, targets, trials = self.shape
        interaction = 2 * random.standard_normal((boards, algorithms, targets, 1))
        if fixed:
            interaction -= interaction.mean(axis=2, keepdims=True)
        shared = self.shared * random.standard_normal((boards, 1, targets, trials))
        found = interaction + shared + self.noise(random, (boards, *self.shape))
        return np.round(found / self.step) * self.step if self.step else found


def _spreads(random: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Standard deviations of algorithms and targets."""
    boards, algorithms, targets, _ = shape
    of_algorithms = np.exp(0.5 * random.standard_normal((boards, algorithms, 1, 1)))
    return np.asarray(of_algorithms * np.exp(0.4 * random.standard_normal((boards, 1, targets, 1))))


def equal(random: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Normal, of one variance."""
    return random.standard_normal(shape)


def unequal(random: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Normal, of another variance for each algorithm and each target."""
    return _spreads(random, shape) * random.standard_normal(shape)


def heavy(random: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Of t's distribution with four degrees of freedom."""
    return _spreads(random, shape) * random.standard_t(4, shape)


def families(random: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Four groups of algorithms have 64 % of their variance in common, as those have that live on one training."""
    boards, algorithms, *cells = shape
    common = random.standard_normal((boards, 4, *cells))[:, np.arange(algorithms) % 4]
    return _spreads(random, shape) * (0.8 * common + 0.6 * random.standard_normal(shape))


def one_bad(random: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """One algorithm scatters eight times as far as the others."""
    found = random.standard_normal(shape)
    found[:, 0] *= 8
    return found


def diverging(random: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """One run of the board, of any algorithm, falls by thirty points."""
    found = unequal(random, shape)
    found.reshape(shape[0], -1)[np.arange(shape[0]), random.integers(found[0].size, size=shape[0])] -= 30
    return found


def together(random: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """An algorithm's noise in a trial correlates by .3 between targets, which are taken for independent."""
    common = random.standard_normal((*shape[:2], 1, shape[3]))
    return _spreads(random, shape) * (np.sqrt(0.3) * common + np.sqrt(0.7) * random.standard_normal(shape))


def chosen(path: Path) -> pl.DataFrame:
    """What is chosen on a board, by its ``cells.csv``: in the trials that all algorithms have, in order."""
    cells = pl.read_csv(path)
    common = cells.group_by("algorithm").agg(pl.col("trial").n_unique())["trial"].min()
    return cells.filter(pl.col("trial") < common).sort("algorithm", "target", "trial")


def reached(cells: pl.DataFrame) -> Values:
    """Points: (algorithms, targets, trials)."""
    shape = [cells[column].n_unique() for column in ("algorithm", "target", "trial")]
    return np.asarray(100 * cells["accuracy"].to_numpy().reshape(shape))


def stored(board: str) -> Setting:
    """Noise with the variances and correlations of a board's submissions, in whole pictures, of the trials all have.

    A covariance of many algorithms from few trials is singular; 30 % of its correlations are taken away.
    """
    cells = chosen(BOARDS / board / "cells.csv").filter(track="inductive")
    scores = reached(cells)
    shape = scores.shape
    rest = scores - scores.mean(axis=2, keepdims=True)
    free = shape[1] * (shape[2] - 1)
    covariance = np.einsum("atk,btk->ab", rest, rest) / free
    mixed = 0.7 * covariance + 0.3 * np.diag(np.diag(covariance))
    of_targets = np.sqrt((rest**2).mean(axis=(0, 2)) / (rest**2).mean())[:, None]
    root = np.linalg.cholesky(mixed)

    def noise(random: np.random.Generator, drawn: tuple[int, ...]) -> Values:
        return np.asarray(np.einsum("ab,nbtk->natk", root, random.standard_normal(drawn)) * of_targets)

    return Setting(f"as on `{board}`", shape, noise, 100 / float(cells["n"].median()))  # type: ignore[arg-type]


def settings() -> dict[str, Setting]:
    """Every kind of board, by a short name."""
    usual = (16, 4, 3)
    quick, emoji = stored("quick"), stored("emoji")
    return {
        "equal": Setting("equal spreads", usual, equal),
        "unequal": Setting("unequal spreads", usual, unequal),
        "heavy": Setting("heavy tails", usual, heavy),
        "families": Setting("families", usual, families),
        "bad": Setting("one that scatters", usual, one_bad),
        "diverging": Setting("one diverging run", usual, diverging),
        "ties": Setting("ties: whole points", usual, unequal, 1.0),
        "quick": quick,
        "emoji": emoji,
        "emoji-2": Setting(f"{emoji.title}, 2 trials", (*emoji.shape[:2], 2), emoji.noise, emoji.step),
        "two": Setting("unequal spreads", (16, 4, 2), unequal),
        "five": Setting("unequal spreads", (16, 4, 5), unequal),
        "four": Setting("unequal spreads", (4, 4, 3), unequal),
        "once": Setting("one training for all targets", (8, 1, 3), unequal),
        "once-5": Setting("one training for all targets", (8, 1, 5), unequal),
        "together": Setting("targets that correlate by .3", usual, together),
    }


@dataclass(frozen=True)
class Judged:
    """What a way says of pairs; the means are the same for all.

    Attributes:
        half: Half of the 95 % interval of a pair: (boards, pairs); 0 where there is none.
        found: Which pairs are separated, given their means: (boards, pairs).
    """

    half: Values
    found: Callable[[Values], NDArray[np.bool_]]


def _by_holm(errors: Values, dfs: Values) -> Judged:
    """t-tests, corrected; an error of 0 measures nothing."""
    safe = np.where(errors > 0, errors, 1.0)

    def found(means: Values) -> NDArray[np.bool_]:
        p = np.where(errors > 0, 2 * stdtr(dfs, -np.abs(means) / safe), 1.0)
        order = np.argsort(p, axis=1)
        steps = np.take_along_axis(p, order, axis=1) * np.arange(p.shape[1], 0, -1)
        kept = np.empty(p.shape, bool)
        np.put_along_axis(kept, order, np.maximum.accumulate(steps, axis=1) <= 1 - LEVEL, axis=1)
        return kept

    return Judged(stdtrit(dfs, (1 + LEVEL) / 2) * errors, found)


def shipped(boards: Values, variances: Variances) -> Judged:
    """What :func:`dgbench.selection.pairs.contrasts` makes of each board."""
    names = [f"a{number:02}" for number in range(boards.shape[1])]
    rows = []
    for board in boards.tolist():
        known = contrasts(dict(zip(names, board, strict=True)), variances=variances).known.values()
        rows.append([(one.error, one.df) for one in known])
    errors, dfs = np.moveaxis(np.array(rows, float), 2, 0)
    return _by_holm(errors, dfs)


def ranged(boards: Values) -> Judged:
    """One variance for all pairs, and groups by the studentised range."""
    _, algorithms, targets, trials = boards.shape
    rest = boards - boards.mean(axis=3, keepdims=True)
    rest = rest - rest.mean(axis=1, keepdims=True)
    df = targets * (algorithms - 1) * (trials - 1)
    error = np.sqrt((rest**2).sum(axis=(1, 2, 3)) / df / targets / trials)[:, None]
    least = studentized_range.ppf(LEVEL, algorithms, df)
    half = np.repeat(stdtrit(df, (1 + LEVEL) / 2) * np.sqrt(2) * error, algorithms * (algorithms - 1) // 2, axis=1)
    return Judged(half, lambda means: np.abs(means) > least * error)


def mixed(boards: Values) -> Judged:
    """Targets as drawn at random: algorithms x targets is the error."""
    count, algorithms, targets, _ = boards.shape
    pairs = algorithms * (algorithms - 1) // 2
    if targets == 1:
        return _by_holm(np.zeros((count, pairs)), np.ones((count, pairs)))
    cells = boards.mean(axis=3)
    rest = cells - cells.mean(axis=1, keepdims=True)
    rest = rest - rest.mean(axis=2, keepdims=True)
    df = (algorithms - 1) * (targets - 1)
    error = np.sqrt(2 * (rest**2).sum(axis=(1, 2)) / df / targets)
    return _by_holm(np.repeat(error[:, None], pairs, axis=1), np.full((count, pairs), float(df)))


def bootstrap(boards: Values, images: int | None = None, seed: int = 1) -> Judged:
    """Trials drawn again within targets, for all algorithms alike; and images within test sets, where there are some.

    Which images an algorithm gets right is its own affair, and the same in all trials.
    """
    random = np.random.default_rng(seed)
    of_images = np.random.default_rng(seed)
    targets, trials = boards.shape[2:]
    halves, errors, least = [], [], []
    for board in boards:
        drawn = random.integers(trials, size=(RESAMPLES, targets, trials))
        again = np.stack([board[:, t, drawn[:, t]].mean(axis=2) for t in range(targets)]).mean(axis=0)
        if images is not None:
            by_chance = of_images.binomial(images, RIGHT, (len(board), targets, RESAMPLES)) / images - RIGHT
            again = again + 100 * by_chance.mean(axis=1)
        gaps = _pairs(again - board.mean(axis=(1, 2))[:, None])
        error = gaps.std(axis=1, ddof=1)
        errors.append(error)
        low, high = np.quantile(gaps, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
        halves.append((high - low) / 2)
        least.append(np.quantile(np.abs(gaps / np.where(error > 0, error, 1.0)[:, None]).max(axis=0), LEVEL))
    spread, needed = np.array(errors), np.array(least)[:, None]
    return Judged(np.array(halves), lambda means: (spread > 0) & (np.abs(means) > needed * spread))


WAYS: dict[str, Callable[[Values], Judged]] = {
    "own": lambda boards: shipped(boards, "own"),
    "range": ranged,
    "moderated": lambda boards: shipped(boards, "moderated"),
    "bootstrap": bootstrap,
    "images": lambda boards: bootstrap(boards, IMAGES),
    "mixed": mixed,
}


def _pairs(values: Values) -> Values:
    """Differences of every two along the first axis."""
    first, second = np.array(list(itertools.combinations(range(len(values)), 2))).T
    return np.asarray(values[first] - values[second])


@dataclass(frozen=True)
class Found:
    """Shares: of boards that separate equals, all equal and some better; of intervals that cover; of what is found."""

    torn: float
    torn_beside: float
    covered: float
    power: float

    def __str__(self) -> str:
        if np.isnan(self.covered):
            return "–"  # no interval at all
        return f"{self.torn:.3f}/{self.torn_beside:.3f} {self.covered:.3f} {self.power:.2f}".replace("0.", ".")


def measure(
    setting: Setting, ways: dict[str, Callable[[Values], Judged]], boards: int, seed: int = 0
) -> dict[str, Found]:
    """What each way makes of the same boards."""
    drawn = setting.draw(np.random.default_rng(seed), boards)
    algorithms = setting.shape[0]
    means = _pairs(np.moveaxis(drawn.mean(axis=(2, 3)), 0, 1)).T
    lift = 4 * np.median(np.abs(means)) / 0.6745  # the median of |z| of a normal
    gain = _pairs(np.where(np.arange(algorithms) < algorithms // 4, lift, 0.0))
    if setting.step:
        gain = np.round(gain / setting.step) * setting.step
    found = {}
    for name, way in ways.items():
        judged = way(drawn)
        beside = judged.found(means + gain)
        known = judged.half > 0
        found[name] = Found(
            float(judged.found(means).any(axis=1).mean()),
            float(beside[:, gain == 0].any(axis=1).mean()),
            float((np.abs(means) <= judged.half)[known].mean()) if known.any() else float("nan"),
            float(beside[:, gain != 0].mean()),
        )
    return found


def domains_like_these(setting: Setting, boards: int, seed: int = 0) -> dict[str, float]:
    """How often intervals cover the difference over all domains, from which the targets are drawn."""
    drawn = setting.draw(np.random.default_rng(seed), boards, fixed=False)
    means = _pairs(np.moveaxis(drawn.mean(axis=(2, 3)), 0, 1)).T
    return {name: float((np.abs(means) <= way(drawn).half).mean()) for name, way in WAYS.items()}


def by_scatter(shape: tuple[int, int, int], boards: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """How often intervals cover what is true, of the tenth of pairs that scatter least and of that which does most.

    Scatter is what it is in truth, on boards of unequal spreads.
    """
    random = np.random.default_rng(seed)
    spreads = _spreads(random, (boards, *shape))
    drawn = spreads * random.standard_normal((boards, *shape))
    means = _pairs(np.moveaxis(drawn.mean(axis=(2, 3)), 0, 1)).T
    of_each = np.moveaxis((spreads**2).sum(axis=(2, 3)), 0, 1)
    scatter = np.array([one + other for one, other in itertools.combinations(of_each, 2)]).T
    place = scatter.argsort(axis=1).argsort(axis=1) / scatter.shape[1]
    found = {}
    for way in ("own", "moderated"):
        covers = np.abs(means) <= WAYS[way](drawn).half
        found[way] = (float(covers[place < 0.1].mean()), float(covers[place >= 0.9].mean()))
    return found


def means_by_scatter(shape: tuple[int, int, int], boards: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """The same of means, where trials give nothing to all algorithms: there they borrow most."""
    random = np.random.default_rng(seed)
    spreads = _spreads(random, (boards, *shape))
    drawn = spreads * random.standard_normal((boards, *shape))
    place = (spreads**2).sum(axis=(2, 3)).argsort(axis=1).argsort(axis=1) / shape[0]
    ways: tuple[Variances, ...] = ("own", "moderated")
    found = {}
    for way in ways:
        known = [means(dict(enumerate(board)), variances=way).values() for board in drawn.tolist()]
        covers = np.array([[abs(one.mean) <= (one.margin or 0.0) for one in board] for board in known])
        found[way] = (float(covers[place < 0.1].mean()), float(covers[place >= 0.9].mean()))
    return found


def of_means(setting: Setting, variances: Variances, boards: int, seed: int = 0) -> tuple[float, float]:
    """Of the mean of one algorithm: how often its interval covers what is true, and half of a median interval."""
    margins, covers = [], []
    for board in setting.draw(np.random.default_rng(seed), boards).tolist():
        for one in means(dict(enumerate(board)), variances=variances).values():
            if one.margin is not None:
                margins.append(one.margin)
                covers.append(abs(one.mean) <= one.margin)
    return float(np.mean(covers)), float(np.median(margins))


def separated(cells: pl.DataFrame) -> dict[str, int]:
    """How many pairs of a board's inductive track each way separates, by what is chosen on it.

    Algorithms of other tracks lend their variances, as they do on boards.
    """
    inductive = cells.filter(track="inductive")
    scores = reached(inductive)
    gaps = _pairs(scores.mean(axis=(1, 2)))[None]
    found = {name: int(way(scores[None]).found(gaps).sum()) for name, way in WAYS.items()}
    everybody = dict(zip(cells["algorithm"].unique(maintain_order=True), reached(cells).tolist(), strict=True))
    pairs = contrasts(everybody).pairs(inductive["algorithm"].unique(maintain_order=True))
    return found | {"moderated": sum(pair.better is not None for pair in pairs)}


def main() -> None:
    """Simulate, and print a row for each setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", type=int, default=1000)
    known = settings()
    parser.add_argument("--settings", nargs="+", choices=list(known), default=list(known))
    parser.add_argument("--cells", nargs="+", type=Path, help="only the fifth table, of the boards of these cells.csv")
    arguments = parser.parse_args()
    if arguments.cells:
        show_separated({str(path): chosen(path) for path in arguments.cells})
        return
    print(f"{arguments.boards} boards; error where all are equal/where some are better, covered, found\n")
    print(f"| setting | algorithms, targets, trials | {' | '.join(WAYS)} |")
    print(f"| --- | --- |{' --- |' * len(WAYS)}")
    for name in arguments.settings:
        setting = known[name]
        found = measure(setting, WAYS, arguments.boards)
        shape = ", ".join(map(str, setting.shape))
        print(f"| {setting.title} | {shape} | {' | '.join(map(str, found.values()))} |", flush=True)
    print("\nTargets drawn at random: intervals that cover the difference over all domains\n")
    print(f"| targets | {' | '.join(WAYS)} |")
    print(f"| ---: |{' ---: |' * len(WAYS)}")
    for targets in (4, 10):
        covered = domains_like_these(Setting("", (8, targets, 3), unequal), arguments.boards)
        print(f"| {targets} | {' | '.join(f'{share:.2f}' for share in covered.values())} |", flush=True)
    print("\nUnequal spreads: intervals that cover, of the tenth that scatters least and most\n")
    print("| of | algorithms, targets, trials | own: least | most | moderated: least | most |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for of, ask in (("pairs", by_scatter), ("means", means_by_scatter)):
        for shape in ((16, 4, 3), (16, 4, 10)):
            ends = [f"{end:.2f}" for way in ask(shape, arguments.boards).values() for end in way]
            print(f"| {of} | {', '.join(map(str, shape))} | {' | '.join(ends)} |", flush=True)
    print("\nMeans: intervals that cover, half of a median one; a trial gives to all algorithms 0, 3 or 10 points\n")
    heads = [f" {shared:g}: own | moderated |" for shared in SHARED]
    print(f"| setting | algorithms, targets, trials |{''.join(heads)}")
    print(f"| --- | --- |{' --- |' * 2 * len(SHARED)}")
    few = [Setting("unequal spreads", shape, unequal) for shape in ((4, 4, 2), (4, 2, 2), (16, 2, 2), (8, 1, 2))]
    for setting in [*(known[name] for name in arguments.settings), *few]:
        made = [
            of_means(replace(setting, shared=shared), way, arguments.boards)
            for shared in SHARED
            for way in ("own", "moderated")
        ]
        told = " | ".join(f"{covered:.3f} {half:.2f}" for covered, half in made)
        print(f"| {setting.title} | {', '.join(map(str, setting.shape))} | {told} |", flush=True)
    there = {name: chosen(BOARDS / name / "cells.csv") for name in ("quick", "digits", "emoji")}
    print("\nPairs that are separated on boards that are there\n")
    show_separated(there | {"emoji, the first 2 trials": there["emoji"].filter(pl.col("trial") < 2)})


def show_separated(boards: dict[str, pl.DataFrame]) -> None:
    """Print a row for each board."""
    print(f"| board | algorithms, targets, trials | {' | '.join(WAYS)} |")
    print(f"| --- | --- |{' ---: |' * len(WAYS)}")
    for name, cells in boards.items():
        shape = ", ".join(map(str, reached(cells.filter(track="inductive")).shape))
        print(f"| {name} | {shape} | {' | '.join(map(str, separated(cells).values()))} |")


if __name__ == "__main__":
    main()
