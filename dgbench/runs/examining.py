"""Examining a trained model: its way from the initial weights, stragglers, flips, calibration, sharpness.

Along theta(a) = (1 - a) theta_0 + a theta_1 every set of clean images is looked at for each of eleven a: held-out
images of the source domains, and the target. The straggler score of a layer is that of WiSE-FT's sparse form
(``algorithms/averaging/wise_ft_sparse.py``), sharpness that of ``models/sharpness.py``; both are taken on some held-out
source images, the mean over domains, in float32. Statistics of normalisation are interpolated with the weights and do
not move otherwise. Nothing is trained, and nothing is put into the store. Cost: eleven looks at all images; of those
some one look, for each layer that moved four, and for each of these layers and for all weights twice (adaptive, and
not) 23 passes forth and 20 forth and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import polars as pl
import torch
from torch import Tensor

from dgbench.algorithms.averaging.merging import Members, Validated
from dgbench.algorithms.averaging.wise_ft_sparse import WiSEFTSparse
from dgbench.algorithms.slots import State
from dgbench.diagnostics.examined import Bin, Layer, Mixed, Point, Sharp
from dgbench.models.effective import load_effective, weighted_mean
from dgbench.models.layers import layer_of, layers
from dgbench.models.network import Network
from dgbench.models.sharpness import average, worst
from dgbench.runs.predict import Bench, Shown
from dgbench.runs.weighed import alone, loss_of
from dgbench.selection.calibration import BINS, calibration_error
from dgbench.train.evaluate import Scored, evaluating, features, negative_log_likelihood, score
from dgbench.train.sources import Held

ALPHAS = tuple(number / 10 for number in range(11))
_SET = ("split", "domain")


def along(
    bench: Bench, shown: Sequence[Shown], before: State, after: State
) -> tuple[list[Point], list[Mixed], pl.DataFrame]:
    """The way between two states on each set of images, where halfway differs from both ends, and what the last says.

    The table has a row for each image: ``split``, ``domain``, ``label``, ``prediction``, ``confidence``.
    """
    points: list[Point] = []
    said: list[pl.DataFrame] = []
    right: dict[tuple[str, str], dict[float, Tensor]] = {}
    for alpha in ALPHAS:
        load_effective(bench.network, weighted_mean([(1 - alpha, before), (alpha, after)]))
        for one in shown:
            scored = _scored(bench.network, one)
            hits = scored.prediction == one.labels
            right.setdefault((one.split, one.domain), {})[alpha] = hits
            said.append(_table(one, scored))
            ece = calibration_error(said[-1], _SET)["ece"].item()
            nll = negative_log_likelihood(scored)
            points.append(Point(one.split, one.domain, alpha, len(hits), float(hits.double().mean()), nll, ece))
    points.sort(key=lambda point: (list(right).index((point.split, point.domain)), point.alpha))
    mixed = [_mixed(*of, hits[0.0], hits[0.5], hits[1.0]) for of, hits in right.items()]
    return points, mixed, pl.concat(said[-len(shown) :])


def _mixed(split: str, domain: str, first: Tensor, half: Tensor, last: Tensor) -> Mixed:
    counts = (first & ~last, last & ~first, ~first & ~last & half, first & last & ~half)
    return Mixed(split, domain, len(half), *(int(each.sum()) for each in counts))


def calibrated(said: pl.DataFrame) -> list[Bin]:
    """How sure a model is of each set of images, and how often right, bin by bin of those that are not empty.

    Args:
        said: What it says, as :func:`along` has it: sets stay in their order.
    """
    sure = pl.col("confidence").cast(pl.Float64)
    number = (sure * BINS).ceil().clip(1, BINS).alias("bin")
    share = (pl.col("prediction") == pl.col("label")).mean()
    found = said.group_by(*_SET, number, maintain_order=True).agg(pl.len(), sure.mean(), share.alias("right"))
    order = {of: number for number, of in enumerate(said.select(_SET).unique(maintain_order=True).iter_rows())}
    rows = sorted(found.iter_rows(), key=lambda row: (order[row[0], row[1]], row[2]))
    return [Bin(split, domain, n, confidence, right) for split, domain, _, n, confidence, right in rows]


def sharp(bench: Bench, held: Sequence[Held], state: State, radius: float) -> list[Sharp]:
    """Sharpness of weights, over all that training moved: adaptive, and not."""
    load_effective(bench.network, state)
    return [Sharp(adaptive, *_rises(bench, held, moved_of(bench), radius, adaptive)) for adaptive in (True, False)]


def by_layer(bench: Bench, held: Sequence[Held], before: State, after: State, radius: float) -> list[Layer]:
    """Each layer that moved, alone: its straggler score, and its adaptive sharpness."""
    own: dict[str, set[str]] = {}
    for name in moved_of(bench):
        own.setdefault(layer_of(name), set()).add(name)
    moved = [layer for layer in layers(after) if layer in own]
    with alone(bench.network, frozenset()):  # in float32
        barriers = WiSEFTSparse().barriers(cast("Members", _Looks(bench.network, held)), before, after, moved)
    load_effective(bench.network, after)
    return [
        Layer(layer, barriers[layer], *_rises(bench, held, frozenset(own[layer]), radius, adaptive=True))
        for layer in moved
    ]


def moved_of(bench: Bench) -> frozenset[str]:
    """The names of the parameters that training moved; of a model as it is, of all."""
    parameters = frozenset(name for name, _ in bench.network.named_parameters())
    return (bench.trajectory.moved & parameters) or parameters


def some(held: Sequence[Held], images: int, seed: int) -> list[Held]:
    """Source domains with some of their held-out images, drawn by a seed."""
    found = []
    for one in held:
        order = torch.randperm(len(one.validation), generator=torch.Generator().manual_seed(seed))
        found.append(replace(one, validation=one.validation[order[:images].sort().values]))
    return found


class _Looks:
    """What weights are worth on some held-out images; all that straggler scores want of ``Members``."""

    def __init__(self, network: Network, held: Sequence[Held]) -> None:
        self.network = network
        self.held = held

    def validated(self, state: State) -> Validated:
        """Means over domains."""
        load_effective(self.network, state)
        each = [_scored(self.network, Shown.of(one)) for one in self.held]
        hits = [
            float((one.prediction == of.labels[of.validation].cpu()).double().mean())
            for one, of in zip(each, self.held, strict=True)
        ]
        return Validated(sum(hits) / len(hits), sum(map(negative_log_likelihood, each)) / len(each))


def _rises(
    bench: Bench, held: Sequence[Held], moved: frozenset[str], radius: float, adaptive: bool
) -> tuple[float, float]:
    """Average and worst rise where the weights of these names are moved."""

    def draw() -> torch.Generator:
        return torch.Generator().manual_seed(bench.training.seed("sharpness"))

    with alone(bench.network, moved) as weights:

        def loss(backward: bool) -> float:
            with torch.set_grad_enabled(backward):
                return loss_of(bench.network, held, chunk=256, backward=backward)

        mean = average(loss, weights, radius, draw(), adaptive=adaptive)
        return mean, worst(loss, weights, radius, draw(), adaptive=adaptive)


def _scored(network: Network, shown: Shown) -> Scored:
    with evaluating(network):
        logits = network.head(features(network, shown.inputs, shown.places))
    return score(logits, shown.labels.to(logits.device), "logits")


def _table(shown: Shown, scored: Scored) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "split": [shown.split] * len(shown.labels),
            "domain": [shown.domain] * len(shown.labels),
            "label": shown.labels.numpy(),
            "prediction": scored.prediction.numpy(),
            "confidence": scored.confidence.float().numpy(),
        }
    )
