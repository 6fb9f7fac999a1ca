"""Doing one piece of a plan: a training, and the runs that come from it.

The target's images are read here and nowhere else, and only once the training is finished.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from dgbench.algorithms.slots import Averaging, Predictor, Source, Stream
from dgbench.core.errors import RecipeError
from dgbench.core.files import whole, write_json
from dgbench.core.provenance import revision
from dgbench.core.recipe import build_part
from dgbench.core.registry import Slot
from dgbench.core.seeds import generator, seed
from dgbench.core.shift_families import FAMILIES
from dgbench.core.spec import Spec, canonical
from dgbench.data.catalogue import load
from dgbench.data.domain import Dataset
from dgbench.data.views import shifted
from dgbench.models.effective import load_effective
from dgbench.models.network import Network
from dgbench.models.zoo import build
from dgbench.runs.plan import STREAM_BATCH, RunSpec
from dgbench.runs.store import Store
from dgbench.train.evaluate import evaluating, features, score
from dgbench.train.loop import Parts, train
from dgbench.train.sources import Sources, pictures
from dgbench.train.spec import TrainingSpec
from dgbench.train.trajectory import StoredTrajectory


def part_of(slot: Slot, spec: Spec, where: str) -> Any:
    """The part that a spec describes, of the version that it was described with.

    Raises:
        RecipeError: the part has changed since.
    """
    hyperparameters = {key: value for key, value in spec.items() if key not in ("part", "version")}
    part = build_part(slot, spec["part"], hyperparameters, where)
    if part.version != spec["version"]:
        raise RecipeError(
            f"{where}: {slot} '{spec['part']}' is version {part.version}, the spec asks for {spec['version']}"
        )
    return part


def do_training(
    spec: TrainingSpec, store: Store, device: torch.device, on_step: Callable[[int], None] = lambda step: None
) -> bool:
    """Do a training unless it is finished; True if there was something to do.

    Raises:
        BusyError: another process is doing it.
        DGBenchError: it cannot be done.
    """
    with store.claim("training", spec.spec()) as folder:
        if folder is None:
            return False
        dataset = load(spec.dataset)
        network = _initial_network(spec, dataset, store, device)
        sources = Sources(spec, dataset, network.info, device)
        parts = Parts(**{slot: part_of(slot, part, f"training {spec.id}") for slot, part in spec.parts.items()})
        train(spec, parts, network, sources, folder, on_step)
        return True


def _initial_network(spec: TrainingSpec, dataset: Dataset, store: Store, device: torch.device) -> Network:
    torch.manual_seed(seed("init", spec.backbone, spec.trial))
    network = Network(build(spec.backbone.removeprefix("dgbench:")), len(dataset.classes))
    state = dict(network.state_dict())
    if spec.weights is not None:
        pretrained = _last(store, spec.weights)
        state |= {key: tensor for key, tensor in pretrained.items() if key.startswith("backbone.")}
    if spec.reference is not None:
        probe = _last(store, spec.reference)
        state |= {key: tensor for key, tensor in probe.items() if key.startswith("head.")}
    network.load_state_dict(state)
    return network.to(device)


def _last(store: Store, training: str) -> dict[str, Tensor]:
    trajectory = StoredTrajectory(store.folder("training", training))
    return trajectory.at(trajectory.steps[-1])


def do_runs(training: TrainingSpec, runs: Sequence[RunSpec], store: Store, device: torch.device) -> int:
    """Do those runs of a finished training that are not finished; how many there were.

    Runs that predict with the same weights share their features.

    Raises:
        BusyError: another process is doing one of them.
    """
    done = 0
    targets = {run.target for run in runs}
    if targets & set(training.sources):
        raise RecipeError(f"a target domain of training {training.id} is among its sources: {targets}")
    bench = _Bench(training, store, device)
    for run in sorted(runs, key=lambda run: canonical(run.averaging)):
        with store.claim("run", run.spec()) as folder:
            if folder is None:
                continue
            clock = time.perf_counter()
            table = bench.predict(run)
            with whole(folder / "predictions.parquet") as temporary:
                table.write_parquet(temporary, compression="zstd")
            result = {
                "metrics": summarise(table).to_dicts(),
                "seconds": round(time.perf_counter() - clock, 3),
                "device": device.type,
                "torch": torch.__version__,
                "dgbench": revision(),
            }
            write_json(folder / "result.json", result)
            done += 1
    return done


def summarise(predictions: pl.DataFrame) -> pl.DataFrame:
    """Accuracy and negative log-likelihood (nats) of every stream in a table of predictions."""
    return predictions.group_by("step", "split", "domain", "view", maintain_order=True).agg(
        accuracy=(pl.col("prediction") == pl.col("label")).mean(),
        nll=-pl.col("p_label").cast(pl.Float64).clip(lower_bound=1e-12).log().mean(),
        n=pl.len().cast(pl.Int64),
    )


@dataclass(frozen=True)
class _Stream:
    """One set of labelled images that is predicted in one go."""

    split: str
    domain: str
    view: str
    rows: np.ndarray[tuple[int], np.dtype[np.int64]]
    images: Tensor
    labels: Tensor


class _Bench:
    """A finished training, with the features of everything that its runs are measured on."""

    def __init__(self, training: TrainingSpec, store: Store, device: torch.device) -> None:
        self.training = training
        self.device = device
        self.trajectory = StoredTrajectory(store.folder("training", training.id))
        self.dataset = load(training.dataset)
        self.network = Network(build(training.backbone.removeprefix("dgbench:")), len(self.dataset.classes)).to(device)
        self.sources = Sources(training, self.dataset, self.network.info, device)
        self.streams: dict[str, list[_Stream]] = {}
        self.averaging = ""
        self.seen: dict[tuple[int, str, str, str], Tensor] = {}

    def _streams(self, target: str) -> list[_Stream]:
        """Validation images of every source, clean and under every shift family, and the whole target."""
        if target in self.streams:
            return self.streams[target]
        streams = []
        for held in self.sources.domains:
            rows = held.validation.numpy()
            labels = held.labels[held.validation.to(self.device)]
            clean = held.images[held.validation.to(self.device)]
            streams.append(_Stream("validation", held.name, "clean", rows, clean, labels))
            for family in FAMILIES:
                images = pictures(shifted(self.dataset, held.name, rows, family), self.device)
                streams.append(_Stream("validation", held.name, family, rows, images, labels))
        domain = self.dataset.domain(target)
        everything = np.arange(len(domain))
        labels = torch.from_numpy(domain.labels).to(self.device)
        streams.append(_Stream("target", target, "clean", everything, pictures(domain.inputs, self.device), labels))
        self.streams[target] = streams
        return streams

    def predict(self, run: RunSpec) -> pl.DataFrame:
        """The run's predictions, one row an example: for every candidate's weights, on every stream."""
        averaging: Averaging = part_of("averaging", run.averaging, f"run {run.id}")
        predictor: Predictor = part_of("predictor", run.predictor, f"run {run.id}")
        if self.averaging != canonical(run.averaging):
            self.averaging, self.seen = canonical(run.averaging), {}
        tables = []
        for step, state in averaging.candidates(self.trajectory):
            load_effective(self.network, state)
            with evaluating(self.network):
                source = self._source(step) if predictor.needs_source else None
                at_work = predictor.prepare(self.network, source)
                tables += [self._observe(predictor, at_work, stream, step) for stream in self._streams(run.target)]
        return pl.concat(tables)

    def _features(self, step: int, split: str, domain: str, view: str, images: Tensor) -> Tensor:
        """Features of a set of images, computed once for all predictors that share the weights."""
        key = (step, split, domain, view)
        if key not in self.seen:
            self.seen[key] = features(self.network, images)
        return self.seen[key]

    def _source(self, step: int) -> Source:
        parts, labels, numbers = [], [], []
        for number, held in enumerate(self.sources.domains):
            rows = held.train.to(self.device)
            parts.append(self._features(step, "train", held.name, "clean", held.images[rows]))
            labels.append(held.labels[rows])
            numbers.append(torch.full_like(labels[-1], number))
        return Source(torch.cat(parts), torch.cat(labels), torch.cat(numbers))

    def _observe(self, predictor: Predictor, at_work: Stream, stream: _Stream, step: int) -> pl.DataFrame:
        """Show one stream, in an order that depends on the trial alone, and note what is predicted."""
        name = ("stream", self.dataset.name, stream.domain, stream.view, self.training.trial)
        order = torch.from_numpy(generator(*name).permutation(len(stream.rows))).to(self.device)
        inputs = self._features(step, stream.split, stream.domain, stream.view, stream.images)[order]
        at_work.reset(seed(*name))
        scores = torch.cat([at_work.observe(batch) for batch in torch.split(inputs, STREAM_BATCH)])
        scored = score(scores, stream.labels[order], predictor.scores)
        rows = order.cpu().numpy()
        return pl.DataFrame(
            {
                "step": np.full(len(rows), step, np.int32),
                "split": pl.Series([stream.split]).new_from_index(0, len(rows)),
                "domain": pl.Series([stream.domain]).new_from_index(0, len(rows)),
                "view": pl.Series([stream.view]).new_from_index(0, len(rows)),
                "index": stream.rows[rows].astype(np.int32),
                "label": stream.labels.cpu().numpy()[rows].astype(np.int16),
                "prediction": scored.prediction.numpy().astype(np.int16),
                "confidence": scored.confidence.float().numpy(),
                "p_label": scored.p_label.float().numpy(),
            }
        )
