"""Do intervals cover the truth, and are equal algorithms left together? Boards whose truth is known, simulated.

    python scripts/simulate_boards.py                    # a few minutes; a Markdown table
    python scripts/simulate_boards.py --boards 500 --trials 3 5

Each protocol gives a board's cases, and the statistics see what they see on a real board: accuracies by target and
trial, and which domains trained. All algorithms are equally good. In trial k algorithm a reaches on target t

    x_atk = level_t + 0.03 shared_tk + 0.02 spread_a spread_t noise_atk

in whole pictures of a thousand. ``shared`` is what a trial gives to all algorithms, ``noise`` is an algorithm's own;
both are normal, and correlate by ``--correlation`` between targets that one training serves. Spreads are log-normal.

Printed are, for each protocol and number of trials: the share of 95 % intervals that contain the true mean of an
algorithm, and the true difference (0) of two; and the share of boards on which any algorithm is ranked behind another.
The columns in brackets take every target for independent, whatever trained it. Below the table: how often two of the
equal algorithms are separated on a board of these two alone, if they were settled before, and if they are the best and
the worst, picked after looking.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import polars as pl

from dgbench.api.boards import rules
from dgbench.core.cards import CaseRules
from dgbench.core.cases import Case, Place, cases
from dgbench.selection.design import Design
from dgbench.selection.means import means
from dgbench.selection.pairs import pairs, ranks
from dgbench.selection.statistics import Estimate

LETTERS = "abcdefghijklmnopqrst"
PICTURES = 1000


def protocols() -> dict[str, list[Case]]:
    """The cases of a board of each kind, by its name."""
    whole = CaseRules(sources=("source",))
    kinds = {
        "leave-one-domain-out, 4 domains": ("leave-one-domain-out", {"one": LETTERS[:4]}, {}),
        "leave-one-domain-out, 3 and 6 domains": (
            "leave-one-domain-out",
            {"one": LETTERS[:3], "two": LETTERS[:6]},
            {},
        ),
        "single-source, 4 domains": ("single-source", {"one": LETTERS[:4]}, {}),
        "fixed, 20 targets": ("fixed", {"one": ["source", *LETTERS]}, {"one": whole}),
        "fixed, 5 and 20 targets": (
            "fixed",
            {"one": ["source", *LETTERS[:5]], "two": ["source", *LETTERS]},
            {"one": whole, "two": whole},
        ),
    }
    found = {}
    for title, (protocol, domains, asked) in kinds.items():
        targets = {name: rule.model_copy(update={"targets": tuple(domains[name][1:])}) for name, rule in asked.items()}
        card = rules("quick").model_copy(update={"protocol": protocol, "dataset": tuple(domains), "cases": targets})
        found[title] = cases(card, {name: [Place(domain) for domain in each] for name, each in domains.items()})
    return found


def designs(board: list[Case]) -> tuple[Design, Design]:
    """The design of a board's cases, and the one that takes every target for independent."""
    served = pl.DataFrame(
        {
            "target": [case.name for case in board],
            "dataset": [case.dataset for case in board],
            "sources": [list(case.sources) for case in board],
        }
    )
    sizes = {case.dataset: sum(other.dataset == case.dataset for other in board) for case in board}
    weights = {case.name: 1 / sizes[case.dataset] for case in board}
    return Design.of(served, weights), Design({case.name: case.name for case in board}, weights)


class Law:
    """Draws boards whose truth is known.

    Attributes:
        design: Of the board.
        naive: The design that takes every target for independent.
    """

    def __init__(self, board: list[Case], algorithms: int, trials: int, correlation: float) -> None:
        self.design, self.naive = designs(board)
        self.targets = [case.name for case in board]
        self.shape = (algorithms + 1, len(board), trials)
        self.correlation = correlation
        served = [self.design.clusters[case.name] for case in board]
        self.cluster = np.array([list(dict.fromkeys(served)).index(each) for each in served])
        weights = np.array([self.design.weights[case.name] for case in board])
        self.shares = weights / weights.sum()

    def draw(self, random: np.random.Generator) -> tuple[dict[str, list[list[float]]], float]:
        """What every algorithm reaches on one board, by target and trial, and the true mean of all of them."""
        algorithms, targets, trials = self.shape
        common = random.standard_normal((algorithms, self.cluster.max() + 1, trials))[:, self.cluster]
        alone = random.standard_normal(self.shape)
        shared, *noise = np.sqrt(self.correlation) * common + np.sqrt(1 - self.correlation) * alone
        levels = random.uniform(0.3, 0.8, targets)
        of_targets, of_algorithms = (np.exp(random.normal(0, 0.3, size)) for size in (targets, algorithms - 1))
        reached = {}
        for number, (spread, own) in enumerate(zip(of_algorithms, noise, strict=True)):
            exact = levels[:, None] + 0.03 * shared + 0.02 * spread * of_targets[:, None] * own
            reached[f"a{number}"] = (np.round(PICTURES * exact) / PICTURES).tolist()
        return reached, float(levels @ self.shares)


@dataclass(frozen=True)
class Found:
    """Shares over simulated boards: of intervals with the truth inside, and of boards that tear equals apart."""

    means: float
    differences: float
    torn: float


def measure(law: Law, design: Design, boards: int, seed: int = 0) -> Found:
    """What a design comes to on simulated boards."""
    random = np.random.default_rng(seed)
    shape = design.shape(law.targets)
    drawn = [law.draw(random) for _ in range(boards)]
    every = {f"{number} {name}": values for number, (one, _) in enumerate(drawn) for name, values in one.items()}
    known = means(every, *shape, variances="own")  # each by itself: of all boards at once
    covered = [_covers(known[f"{number} {name}"], truth) for number, (one, truth) in enumerate(drawn) for name in one]
    differences, torn = [], []
    for reached, _ in drawn:
        compared = pairs(reached, *shape)
        differences += [_covers(pair.difference, 0.0) for pair in compared]
        torn.append(max(low for low, _ in ranks(reached, compared).values()) > 1)
    return Found(*(float(np.mean(each)) for each in (covered, differences, torn)))


@dataclass(frozen=True)
class Parts:
    """Shares of boards of two equal algorithms out of many that separate them.

    Attributes:
        settled: Where the two were settled before anybody looked.
        picked: Where they are those with the highest and the lowest mean.
    """

    settled: float
    picked: float


def parts(law: Law, boards: int, seed: int = 0) -> Parts:
    """What a part of a board is worth, by when it was chosen."""
    random = np.random.default_rng(seed)
    shape = law.design.shape(law.targets)
    settled, picked = [], []
    for _ in range(boards):
        reached, _ = law.draw(random)
        known = means(reached, *shape, variances="own")
        order = sorted(reached, key=lambda name: known[name].mean)
        for found, two in ((settled, list(reached)[:2]), (picked, [order[0], order[-1]])):
            part = {name: reached[name] for name in two}
            found.append(max(low for low, _ in ranks(part, pairs(part, *shape)).values()) > 1)
    return Parts(float(np.mean(settled)), float(np.mean(picked)))


def _covers(found: Estimate, truth: float) -> bool:
    """Whether the truth lies inside; where there is no interval nothing is claimed, and nothing wrong."""
    return found.low is None or found.high is None or found.low <= truth <= found.high


def main() -> None:
    """Simulate, and print a row for each protocol and number of trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", type=int, default=2000)
    parser.add_argument("--trials", type=int, nargs="+", default=[3, 5, 10])
    parser.add_argument("--algorithms", type=int, default=6)
    parser.add_argument("--correlation", type=float, default=0.35, help="between targets of one training")
    arguments = parser.parse_args()
    print(
        f"{arguments.boards} boards of {arguments.algorithms} equal algorithms; correlation {arguments.correlation} "
        "between targets of one training\n"
    )
    print("| protocol | trials | means covered | differences covered | boards torn apart |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for title, board in protocols().items():
        for trials in arguments.trials:
            law = Law(board, arguments.algorithms, trials, arguments.correlation)
            found = [measure(law, design, arguments.boards) for design in (law.design, law.naive)]
            shares = zip(*(each.__dict__.values() for each in found), strict=True)
            print(
                f"| {title} | {trials} | {' | '.join(f'{own:.3f} ({naive:.3f})' for own, naive in shares)} |",
                flush=True,
            )
    first, board = next(iter(protocols().items()))
    for trials in arguments.trials:
        found_parts = parts(Law(board, arguments.algorithms, trials, arguments.correlation), arguments.boards)
        print(
            f"\n{first}, {trials} trials: two are separated on {found_parts.settled:.3f} of their boards if they were "
            f"settled before, on {found_parts.picked:.3f} if they are the best and the worst"
        )


if __name__ == "__main__":
    main()
