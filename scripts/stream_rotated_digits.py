"""A stream of digits that turn further and further, shown to every predictor that goes on learning; without a reset.

    python scripts/stream_rotated_digits.py --write

Half of the 1,797 handwritten digits of UCI optdigits train a small network, upright. The others come as a stream,
turned by 15, 30, 45, 60 and 75 degrees against the clock: all of them at one angle, in an order of their own, then all
at the next. No predictor is told of labels, of angles, or where one ends. The idea is the series of domains of AdaNPC
(Zhang et al., ICML 2023), on digits that installed packages bring, with batches of 1, 8, 32 and 128 side by side.
``dgbench.run`` trains once for all predictors but ITTA's, whose training is its own; each is exported, and asked
through ``model.stream()``.

With ``--write`` the numbers go into docs/test-time.md and the picture beside it; else numbers are printed.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from measured_pages import put
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import dgbench
from dgbench.core.cards import BoardCard, CaseRules, SelectionRules, TrainingRules
from dgbench.core.paths import store_root
from dgbench.core.seeds import generator
from dgbench.exported.model import Model
from dgbench.selection.statistics import Estimate, estimate

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, PICTURE = DOCS / "test-time.md", DOCS / "img" / "rotated-stream.png"
ANGLES = (15, 30, 45, 60, 75)
BATCHES = (1, 8, 32, 128)
PLAIN = "erm"
HEADS = ("t3a", "adanpc", "adanpc_bn", "lame", "tent_head", "tent_bn", "pl_head", "tast")
NETWORKS = ("tent", "pl", "shot_im", "itta", "tast_bn")
ALGORITHMS = (PLAIN, *HEADS, *NETWORKS)
SIDE, ZOOM = 16, 8

CARD = """
name = "rotated-digits"
title = "Handwritten digits, turned"
summary = "Digits of UCI optdigits upright, and others of them at five angles."
path = {path!r}
licence = "CC BY 4.0"
redistribution = "Allowed with attribution."
classes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
[reader]
kind = "tree"
layouts = ["{{domain}}/{{class}}"]
"""


@dataclass(frozen=True)
class Shown:
    """The stream of one trial.

    Attributes:
        pictures: As the network sees them, ``[n, 3, size, size]``, in the order in which they are shown.
        labels: ``[n]``.
        borders: Where each angle ends.
    """

    pictures: Tensor
    labels: Tensor
    borders: tuple[int, ...]


def turned(scan: NDArray[np.float64], angle: float) -> Image.Image:
    """A scan of 8x8 as a grey picture of 16x16, light on black, turned against the clock."""
    large, edge = SIDE * ZOOM, 2 * ZOOM
    paper = Image.new("F", (large, large))
    size = (large - 2 * edge, large - 2 * edge)
    paper.paste(Image.fromarray((scan / 16).astype(np.float32)).resize(size, Image.Resampling.BICUBIC), (edge, edge))
    ink = np.asarray(paper.rotate(angle, Image.Resampling.BILINEAR))
    small = ink.reshape(SIDE, ZOOM, SIDE, ZOOM).mean(axis=(1, 3))
    return Image.fromarray(np.rint(255 * np.clip(small, 0, 1)).astype(np.uint8))


def write_digits(root: Path, most: int | None = None) -> Path:
    """Pictures ``ANGLE/CLASS/NUMBER.png``, and their card; no digit is both upright and in the stream."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    order = generator("rotated-digits", "deal").permutation(len(scans.target))[:most]
    half = len(order) // 2
    for angle in (0, *ANGLES):
        for number in order[:half] if angle == 0 else order[half:]:
            folder = root / "pictures" / str(angle) / str(scans.target[number])
            folder.mkdir(parents=True, exist_ok=True)
            turned(scans.images[number], angle).save(folder / f"{number:04d}.png")
    domains = "".join(f'[[domains]]\nname = "{angle}"\n' for angle in (0, *ANGLES))
    card = root / "rotated-digits.toml"
    card.write_text(CARD.format(path=str(root.absolute() / "pictures")) + domains, encoding="utf-8")
    return card


def board(card: Path, trials: int, steps: int) -> BoardCard:
    """Upright digits train; that the first angle is tested lets a recipe have a cell. The last weights predict."""
    changes = {
        "name": "rotated-digits",
        "dataset": (str(card),),
        "protocol": "fixed",
        "cases": {str(card): CaseRules(sources=("0",), targets=("15",))},
        "tracks": dict.fromkeys(("inductive", "online"), "dgbench:convnet-small"),
        "training": TrainingRules(steps=steps, checkpoints=1, batch_per_domain=48),
        "selection": SelectionRules(views_per_domain=1),
        "criterion": "source",
        "overrides": {},
    }
    return dgbench.rules(dgbench.rules("quick").model_copy(update=changes), algorithms=ALGORITHMS, trials=trials)


def shown(model: Model, pictures: Path, trial: int) -> Shown:
    """All angles, one after the other; the order of the digits differs from angle to angle and from trial to trial."""
    paths: list[Path] = []
    borders = []
    for angle in ANGLES:
        found = sorted((pictures / str(angle)).glob("*/*.png"))
        paths += [found[place] for place in generator("rotated-digits", "order", trial, angle).permutation(len(found))]
        borders.append(len(paths))
    labels = torch.tensor([model.classes.index(path.parent.name) for path in paths])
    return Shown(torch.stack([model.transform(path) for path in paths]), labels, tuple(borders))


def seen(model: Model, stream: Shown) -> Tensor:
    """What its predictor is shown: pictures, or the features that its network makes of them."""
    with torch.no_grad():
        return stream.pictures if model.sees_images else torch.cat([*map(model.features, stream.pictures.split(128))])


def streamed(model: Model, stream: Shown, shows: Tensor, batch: int, reset: bool = False) -> list[float]:
    """The share of right predictions at each angle, where the predictor goes on from one to the next, or is reset."""
    starts = (0, *stream.borders[:-1])
    parts = list(zip(starts, stream.borders, strict=True)) if reset else [(0, len(stream.labels))]
    scores = []
    for start, end in parts:
        at_work = model.stream()
        observe = at_work.observe if model.sees_images else at_work.observe_features
        scores += [observe(some) for some in shows[start:end].split(batch)]
    right = (torch.cat(scores).argmax(1) == stream.labels).double()
    sizes = np.diff((0, *stream.borders)).tolist()
    return [float(part.mean()) for part in right.split(sizes)]


Results = dict[tuple[str, int, bool], NDArray[np.float64]]
"""Accuracies ``[trials, angles]`` by algorithm, batch size, and whether it was reset before each angle."""


def measure(rules: BoardCard, pictures: Path, store: Path | None, told: Callable[[str], None]) -> Results:
    """Train, export, and show every stream."""
    dgbench.run(rules, store=store)
    found: dict[tuple[str, int, bool], list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for trial in range(rules.trials):
            stream = None
            for algorithm in rules.algorithms:
                exported = Path(folder, f"{trial}-{algorithm}")
                dgbench.export(rules, algorithm, exported, trial=trial, store=store, device="cpu")
                model = dgbench.load(exported)
                if stream is None:
                    stream = shown(model, pictures, trial)
                shows = seen(model, stream)
                for batch in BATCHES:
                    for reset in (False, True):
                        accuracies = streamed(model, stream, shows, batch, reset)
                        found.setdefault((algorithm, batch, reset), []).append(accuracies)
                told(f"trial {trial}: {algorithm}")
    return {key: np.array(rows) for key, rows in found.items()}


def line(values: Sequence[NDArray[np.float64]]) -> Estimate:
    """Mean and interval over trials of the mean over angles."""
    return estimate([[float(value) for value in np.atleast_2d(rows).mean(1)] for rows in values])


def table(found: Results) -> Iterator[str]:
    """Markdown: a row for each algorithm and batch size, all means over trials."""
    yield "| predictor | batch | " + " | ".join(f"{angle}°" for angle in ANGLES) + " | all angles | reset at each |"
    yield "| --- | ---: |" + " ---: |" * (len(ANGLES) + 2)
    for algorithm in dict.fromkeys(key[0] for key in found):
        for batch in BATCHES:
            rows = found[algorithm, batch, False]
            whole, again = line([rows]), line([found[algorithm, batch, True]])
            cells = [f"{value:.3f}" for value in rows.mean(0)]
            margin = "" if whole.margin is None else f" ± {whole.margin:.3f}"
            yield f"| `{algorithm}` | {batch} | {' | '.join(cells)} | {whole.mean:.3f}{margin} | {again.mean:.3f} |"


def draw(found: Results, path: Path) -> None:
    """A panel for each batch size: accuracy over angles, a line for each predictor.

    Broken lines are of what changes the network, and what learns nothing is black.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(BATCHES), figsize=(13, 4.2), sharey=True, layout="constrained")
    algorithms = list(dict.fromkeys(key[0] for key in found))
    for panel, batch in zip(panels, BATCHES, strict=True):
        for number, algorithm in enumerate(algorithms):
            style = {"color": f"C{number - 1}", "linestyle": "--" if algorithm in NETWORKS else "-"}
            if algorithm == PLAIN:
                style = {"color": "black", "linewidth": 2.5}
            accuracies = found[algorithm, batch, False].mean(0)
            panel.plot(ANGLES, accuracies, marker="o", markersize=3, label=algorithm, **style)
        panel.set(title=f"batches of {batch}", xlabel="degrees", xticks=ANGLES)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("accuracy")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=(len(algorithms) + 1) // 2, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into docs/test-time.md, and the picture beside it")
    parser.add_argument("--picture", type=Path, help="where else the picture goes")
    parser.add_argument("--trials", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--digits", type=int, help="how many, in place of all 1,797")
    parser.add_argument("--store", type=Path, help="in place of $DGBENCH_STORE or ./store")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    store, picture = (arguments.store or store_root()).absolute(), arguments.picture and arguments.picture.absolute()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        card = write_digits(Path(), arguments.digits)  # named by no folder, it has the same seeds anywhere
        rules = board(card, arguments.trials, arguments.steps)
        found = measure(rules, Path("pictures"), store, lambda said: print(said, flush=True))
        if arguments.write or picture:
            draw(found, picture or PICTURE)
    lines = list(table(found))
    if arguments.write:
        put(PAGE, lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
