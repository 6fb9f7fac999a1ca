"""What methods that see unlabelled images of their target make of a complete spurious correlation.

    python scripts/measure_unlabelled.py --trials 5
    python scripts/measure_unlabelled.py -a erm -a 'divdis(choice=1)' -a rss --steps 600

Handwritten digits are to be told apart, those below five from the others. In the domain that trains each has the colour
of its class, red or green, so colour and shape tell the class equally well. In the other domain colours are drawn:
there who goes by colour is right half of the time. Half of that domain is tested; trainings of the track 'unlabelled'
see images of the other half.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

import dgbench
from dgbench.core.cards import BoardCard
from dgbench.core.errors import DGBenchError
from dgbench.core.seeds import generator
from dgbench.data.catalogue import load
from dgbench.runs.progress import for_people

ALGORITHMS = ("erm", "divdis(choice=0)", "divdis(choice=1)", "divdis", "divdis(choice=mean)", "dbat", "rss")
CLASSES = ("below-five", "five-or-more")
TRAIN = 1000
"""How many digits train; the rest are the target."""

CARD = """
name = "coloured"
title = "Coloured digits"
summary = "Digits below five, or others; colour tells the class of those that train, and nothing of the others."
path = "{path}"
licence = "as that of the digits"
redistribution = "none"
classes = ["below-five", "five-or-more"]
[reader]
kind = "tree"
layouts = ["{{domain}}/{{class}}"]
[[domains]]
name = "train"
[[domains]]
name = "target"
"""
RULES = """
name = "coloured"
title = "Coloured digits"
version = 1
summary = "A colour tells the class of all that trains, and nothing of what is tested."
dataset = "{card}"
protocol = "fixed"
trials = {trials}
criterion = "source"
algorithms = ["erm"]
[cases."{card}"]
sources = ["train"]
targets = ["target"]
[tracks]
inductive = "dgbench:convnet-small"
online = "dgbench:convnet-small"
unlabelled = "dgbench:convnet-small"
[split]
validation = 0.1
test = 0.5
[selection]
views_per_domain = 2
[training]
steps = {steps}
checkpoints = 1
batch_per_domain = 64
[hyperparameters]
"optimizer.lr" = 2e-3
"""


def coloured() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures ``[n, 16, 16, 3]``, and their classes; those that train come first."""
    domain = load("digits", 16).domain("handwritten")
    classes = (domain.labels >= 5).astype(np.int64)
    random = generator("measure_unlabelled")
    order = random.permutation(len(domain))
    grey, classes = np.array(domain.inputs)[order].mean(3), classes[order]
    colours = np.where(np.arange(len(order)) < TRAIN, classes, random.integers(0, 2, len(order)))
    pictures = np.zeros((*grey.shape, 3), np.uint8)
    for colour in (0, 1):
        pictures[colours == colour, ..., colour] = np.rint(grey[colours == colour])
    return pictures, classes


def board(folder: Path, algorithms: list[str], trials: int, steps: int) -> BoardCard:
    """The rules, and the data beside them."""
    for row, (picture, label) in enumerate(zip(*coloured(), strict=True)):
        place = folder / "pictures" / ("train" if row < TRAIN else "target") / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{row:04}.png")
    card, rules = folder / "coloured.toml", folder / "coloured" / "board.toml"
    rules.parent.mkdir()
    card.write_text(CARD.format(path=folder / "pictures"), encoding="utf-8")
    rules.write_text(RULES.format(card=card, trials=trials, steps=steps), encoding="utf-8")
    return dgbench.rules(str(rules), algorithms=algorithms)


def measured(rules: BoardCard, store: Path, workers: int) -> pl.DataFrame:
    """Accuracy on the target and on held-out images of the source: ``algorithm, trial, split, accuracy``."""
    summary = dgbench.run(rules, store=store, device="cpu", workers=workers, progress=for_people())
    if summary.failed:
        raise DGBenchError("; ".join(f"training {id_} failed: {error}" for id_, error in summary.failed.items()))
    metrics = dgbench.records(rules, store=store).metrics
    return metrics.filter(pl.col("view") == "clean").select("algorithm", "trial", "split", "accuracy")


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description="Methods that see unlabelled images, under a spurious correlation.")
    parser.add_argument("-a", "--algorithm", action="append", help="instead of all")
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rules = board(Path(folder), arguments.algorithm or list(ALGORITHMS), arguments.trials, arguments.steps)
        found = measured(rules, Path(folder) / "store", arguments.workers)
    print("| algorithm | source | target | target, lowest and highest trial |\n| --- | ---: | ---: | ---: |")
    for (algorithm,), own in found.group_by("algorithm", maintain_order=True):
        reached = own.filter(pl.col("split") == "target")["accuracy"].to_numpy()
        source = own.filter(pl.col("split") == "validation")["accuracy"].to_numpy()
        print(
            f"| `{algorithm}` | {100 * source.mean():.1f} | {100 * reached.mean():.1f} | "
            f"{100 * reached.min():.1f} to {100 * reached.max():.1f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
