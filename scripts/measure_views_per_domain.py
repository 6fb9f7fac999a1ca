"""How many validation images of a domain are enough under each shift, to tell which model is better?

    python scripts/measure_views_per_domain.py --board my-board/board.toml

From the stored predictions of a board that looks at all of its validation images (``views_per_domain = "all"``, or no
domain has more than its number): its candidates (every algorithm,
draw and checkpoint of a target and trial) are scored by augmented validation on all of these images, and on some of
them, drawn by class as boards draw them, again and again. Nothing is trained. For each number the table says how
Spearman's rank correlation of that score with the score on all images, and with the accuracy on the target, comes out:
means over targets, trials and draws of images; ``lost`` is the mean difference from the correlation that all images
give, with its 95 % t-interval over targets and trials.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

import dgbench
from dgbench.core.cards import BoardCard
from dgbench.core.errors import CardError, DGBenchError
from dgbench.core.seeds import generator
from dgbench.data.splits import by_turns
from dgbench.selection.statistics import estimate

_CANDIDATE = ("algorithm", "draw", "step")


@dataclass(frozen=True)
class Cell:
    """The candidates of a target and trial.

    Attributes:
        target, trial: Which.
        hits: By domain, whether a candidate is right, ``[candidates, families, images]``.
        labels: By domain, of these images.
        reached: Accuracy of each candidate on the target.
    """

    target: str
    trial: int
    hits: dict[str, NDArray[np.bool_]]
    labels: dict[str, NDArray[np.int64]]
    reached: NDArray[np.float64]

    def scores(self, chosen: dict[str, NDArray[np.int64]] | None = None) -> NDArray[np.float64]:
        """Augmented validation of each candidate: the mean over domains of the mean over families.

        Args:
            chosen: By domain, the places of the images that are looked at; all of them by default.
        """
        looked_at = [hits if chosen is None else hits[:, :, chosen[name]] for name, hits in self.hits.items()]
        return np.mean([hits.mean(2).mean(1) for hits in looked_at], axis=0)


def cells(board: BoardCard, store: Path | None) -> Iterator[Cell]:
    """Read from the predictions of a board, one target and trial at a time.

    Raises:
        CardError: the board does not look at all validation images under shifts.
    """
    names = dgbench.records(board, store=store).runs.select("target", "trial").unique().sort("target", "trial")
    columns = [
        *_CANDIDATE,
        "split",
        "domain",
        "view",
        "index",
        "label",
        (pl.col("prediction") == pl.col("label")).alias("right"),
    ]
    for target, trial in names.iter_rows():
        own = dgbench.predictions(board, target=target, trial=trial, store=store).select(columns).collect()
        clean = own.filter(split="target").group_by(_CANDIDATE).agg(pl.col("right").mean()).sort(_CANDIDATE)
        validation = own.filter(split="validation").sort("domain", *_CANDIDATE, "view", "index")
        hits, labels = {}, {}
        for (domain,), part in validation.group_by("domain", maintain_order=True):
            views = part.filter(pl.col("view") != "clean")
            images, kept = views["index"].n_unique(), part["index"].n_unique()
            if images < kept:
                raise CardError(
                    f"board '{board.name}' looks at {images} of {kept} images of '{domain}': set "
                    "views_per_domain = 'all' in [selection], and run it"
                )
            hits[str(domain)] = views["right"].to_numpy().reshape(clean.height, -1, images)
            labels[str(domain)] = views["label"].head(images).to_numpy().astype(np.int64)
        yield Cell(target, trial, hits, labels, clean["right"].to_numpy())


def spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Rank correlation; ties share their mean rank, and what is constant has none (0)."""
    first, second = _ranks(one), _ranks(other)
    if not (first.std() and second.std()):
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values.round(12), return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def correlations(cell: Cell, most: int, draws: int) -> tuple[float, float]:
    """Of the score on ``most`` images of each domain with that on all, and with target accuracy; means over draws."""
    full, found = cell.scores(), []
    for draw in range(draws):
        chosen = {
            name: by_turns(labels, generator("subset", name, cell.target, cell.trial, draw))[:most]
            for name, labels in cell.labels.items()
        }
        score = cell.scores(chosen)
        found.append((spearman(score, full), spearman(score, cell.reached)))
    with_full, with_target = np.mean(found, axis=0)
    return float(with_full), float(with_target)


def line(name: str, cells: Sequence[Cell], found: Sequence[tuple[float, float]], of_all: Sequence[float]) -> str:
    """A row of the table."""
    with_full, with_target = np.mean(found, axis=0)
    losses: dict[str, list[float]] = {}
    for cell, (_, one), whole in zip(cells, found, of_all, strict=True):
        losses.setdefault(cell.target, []).append(whole - one)
    lost = estimate(list(losses.values()))
    margin = "" if lost.margin is None else f" ± {lost.margin:.3f}"
    return f"| {name} | {with_full:.3f} | {with_target:.3f} | {lost.mean:.3f}{margin} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", required=True, help="name or board.toml")
    parser.add_argument("--store", type=Path, help="in place of $DGBENCH_STORE or ./store")
    parser.add_argument("--images", type=int, nargs="+", default=[25, 50, 100, 200])
    parser.add_argument("--draws", type=int, default=20, help="of images, for each number of them")
    arguments = parser.parse_args()
    try:
        board = dgbench.rules(arguments.board)
        found = list(cells(board, arguments.store))
    except DGBenchError as error:
        sys.exit(f"measure_views_per_domain: {error}")
    counts = [len(labels) for cell in found for labels in cell.labels.values()]
    of_all = [spearman(cell.scores(), cell.reached) for cell in found]
    print(
        f"{board.name}: {len(found)} targets and trials of {len(found[0].reached)} candidates; {min(counts)} to "
        f"{max(counts)} validation images a domain; {arguments.draws} draws of images\n"
    )
    print("| images a domain | correlation with the score on all | with accuracy on the target | lost |")
    print("| ---: | ---: | ---: | ---: |")
    for most in arguments.images:
        print(line(str(most), found, [correlations(cell, most, arguments.draws) for cell in found], of_all))
    print(line("all", found, [(1.0, one) for one in of_all], of_all))


if __name__ == "__main__":
    main()
