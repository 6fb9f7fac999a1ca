"""What a finished training predicts: on held-out images of its sources, clean and shifted, and on a target.

The target's images are read here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import polars as pl
import torch
from torch import Tensor

from dgbench.algorithms.slots import Averaging, Predictor, Source, State, Stream
from dgbench.core.cards import PerDomain
from dgbench.core.shift_families import FAMILIES
from dgbench.core.spec import canonical
from dgbench.data.cache.views import Shifted
from dgbench.data.splits import split, tested, viewed
from dgbench.models.effective import load_effective
from dgbench.models.network import Network
from dgbench.runs.candidates import candidate_at, candidates
from dgbench.runs.observed import examples, observed
from dgbench.runs.parts import part_of, parts_of
from dgbench.runs.plan import STREAM_BATCH, Part, RunSpec
from dgbench.runs.setting import Setting, stored
from dgbench.runs.store import Store
from dgbench.selection.predictions import check
from dgbench.train.evaluate import evaluating, features
from dgbench.train.norm_statistics import batches_for, recompute
from dgbench.train.sources import Inputs
from dgbench.train.spec import TrainingSpec


@dataclass(frozen=True)
class _Stream:
    """One set of labelled examples that is predicted in one go: what they are, and where to find each.

    Of a target it is a part.
    """

    split: str
    domain: str
    view: str
    examples: pl.DataFrame
    inputs: Inputs
    places: Tensor
    labels: Tensor
    part: Part | None = None


class Bench:
    """A finished training, with the features of everything that its runs are measured on."""

    def __init__(self, training: TrainingSpec, store: Store, device: torch.device) -> None:
        self.training = training
        self.device = device
        self.trajectory = stored(training, store, device)
        self.setting = Setting(training, parts_of(training), store, device)
        self.dataset = self.setting.dataset
        self.network = self.setting.initial_network()
        self.sources = self.setting.sources()
        self.validation: dict[PerDomain, list[_Stream]] = {}
        self.targets: dict[tuple[str, Part], _Stream] = {}
        self.averaging = ""
        self.loaded: tuple[str, int] | None = None
        self.seen: dict[tuple[object, ...], Tensor] = {}

    def _streams(self, run: RunSpec) -> list[_Stream]:
        """Validation images of every source, clean and under every shift family, and the target, if there is one."""
        if run.views_per_domain not in self.validation:
            self.validation[run.views_per_domain] = list(self._validation(run.views_per_domain))
        shown = (run.target, run.part)
        if run.target and shown not in self.targets:
            self.targets[shown] = self._target(*shown)
        return [*self.validation[run.views_per_domain], *([self.targets[shown]] if run.target else [])]

    def _validation(self, views: PerDomain) -> Iterator[_Stream]:
        for held in self.sources.validating:
            rows = held.validation.numpy()
            labels = held.labels[held.validation.to(self.device)]
            shown = examples(self.dataset, held.name, rows)
            yield _Stream("validation", held.name, "clean", shown, held.inputs, held.validation, labels)
            rows = viewed(self.dataset, held.name, self.training.trial, rows, views)
            labels = held.labels[torch.from_numpy(rows).to(self.device)]
            shown = examples(self.dataset, held.name, rows)
            for family in FAMILIES:
                images = partial(Shifted, self.dataset, held.name, rows, family, kept=self.setting.bank is None)
                inputs = self.setting.inputs(held.name, family, images, rows)
                places = torch.arange(len(rows))
                yield _Stream("validation", held.name, family, shown, inputs, places, labels)

    def _target(self, target: str, part: Part) -> _Stream:
        domain = self.dataset.domain(target)
        spec = self.training
        rules = (self.dataset, target, spec.trial, spec.validation, spec.test, spec.official)
        rows = tested(*rules) if part == "tested" else split(*rules).validation
        labels = torch.from_numpy(domain.labels[rows]).to(self.device)
        inputs = self.setting.inputs(target, "clean", lambda: domain.inputs)
        shown = examples(self.dataset, target, rows)
        return _Stream("target", target, "clean", shown, inputs, torch.from_numpy(rows), labels, part)

    def predict(self, run: RunSpec) -> pl.DataFrame:
        """The run's predictions, one row an example: for every candidate's weights, on every stream."""
        averaging: Averaging = part_of("averaging", run.averaging, f"run {run.id}")
        predictor: Predictor = part_of("predictor", run.predictor, f"run {run.id}")
        if self.averaging != canonical(run.averaging):
            self.averaging, self.seen = canonical(run.averaging), {}
        tables = []
        for step, state in candidates(averaging, run.averaging, self.trajectory):
            self._load(averaging, step, state)
            with evaluating(self.network):
                source = self._source(step) if predictor.needs_source else None
                at_work = predictor.prepare(self.network, source)
                streams = self._streams(run)
                table = pl.concat([self._observe(predictor, at_work, stream, step) for stream in streams])
            check(table, len(self.dataset.classes))
            tables.append(table)
        return pl.concat(tables)

    def recall(self, run: RunSpec, step: int) -> tuple[Network, Source | None]:
        """The network that a run predicted with at a step, and what its predictor was prepared with.

        Where the backbone is frozen the network has none: :meth:`Setting.backbone` builds it.

        Raises:
            StoreError: the weights of that candidate were not kept.
        """
        averaging: Averaging = part_of("averaging", run.averaging, f"run {run.id}")
        predictor: Predictor = part_of("predictor", run.predictor, f"run {run.id}")
        self.averaging, self.seen = canonical(run.averaging), {}
        self._load(averaging, step, candidate_at(averaging, run.averaging, self.trajectory, step))
        with evaluating(self.network):
            return self.network, self._source(step) if predictor.needs_source else None

    def _load(self, averaging: Averaging, step: int, state: State) -> None:
        """Take these weights, and the statistics that belong to them; once for predictors that share them."""
        if self.loaded == (self.averaging, step):
            return
        load_effective(self.network, state)
        if averaging.recomputes():
            recompute(self.network, self._training_images())
        self.loaded = (self.averaging, step)

    def _training_images(self) -> Iterator[Tensor]:
        """The batches that training would have gone on with, augmented as its own."""
        steps, sampler = self.training.steps, parts_of(self.training).sampler
        with self.sources.batches(sampler, range(steps, steps + batches_for(steps))) as batches:
            for batch in batches:
                yield batch.x

    def _features(self, key: tuple[object, ...], inputs: Inputs, places: Tensor) -> Tensor:
        """Features of a set of images, computed once for all predictors that share the weights."""
        if key not in self.seen:
            self.seen[key] = features(self.network, inputs, places)
        return self.seen[key]

    def _source(self, step: int) -> Source:
        parts, labels, numbers = [], [], []
        for number, held in enumerate(self.sources.domains):
            parts.append(self._features((step, "train", held.name), held.inputs, held.train))
            labels.append(held.labels[held.train.to(self.device)])
            numbers.append(torch.full_like(labels[-1], number))
        return Source(torch.cat(parts), torch.cat(labels), torch.cat(numbers))

    def _observe(self, predictor: Predictor, at_work: Stream, stream: _Stream, step: int) -> pl.DataFrame:
        """Show one stream, in an order that depends on sources and trial alone, and note what is predicted."""
        seed = self.training.seed("stream", stream.domain, stream.view)
        order = torch.randperm(len(stream.labels), generator=torch.Generator().manual_seed(seed)).to(self.device)
        key = (step, stream.split, stream.part, stream.domain, stream.view, len(stream.places))
        inputs = self._features(key, stream.inputs, stream.places)[order]
        at_work.reset(seed)
        scores = torch.cat([at_work.observe(batch) for batch in torch.split(inputs, STREAM_BATCH)])
        scores = scores[order.argsort()]  # as the domain has its rows
        name = (step, stream.split, stream.domain, stream.view)
        return observed(name, stream.examples, scores, stream.labels, predictor.scores)
