"""What a finished training predicts: on held-out images of its sources, clean and shifted, and on a target.

The target's images are read here and nowhere else.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
import torch
from torch import Tensor

from dgbench.algorithms.slots import Averaging, Predictor, Source, State, Stream
from dgbench.core.cards import PerDomain
from dgbench.core.shift_families import FAMILIES
from dgbench.core.spec import canonical
from dgbench.data.cache.views import Shifted
from dgbench.data.domain import Images
from dgbench.data.splits import Rows, split, tested, viewed
from dgbench.models.effective import apart, load_effective
from dgbench.models.network import Network
from dgbench.runs.candidates import candidate_at, candidates
from dgbench.runs.observed import Scores, among, examples, observed
from dgbench.runs.parts import part_of, parts_of
from dgbench.runs.plan import Part, RunSpec
from dgbench.runs.setting import Setting, stored
from dgbench.runs.store import Store
from dgbench.selection.predictions import STREAM, check
from dgbench.train.evaluate import evaluating, features_of_sets, pooled
from dgbench.train.norm_statistics import batches_for, recompute
from dgbench.train.sources import Held, Inputs
from dgbench.train.spec import TrainingSpec


@dataclass(frozen=True)
class _Stream:
    """One set of labelled examples that is predicted in one go.

    Attributes:
        split, domain, view: Which.
        shown: These columns, and those of :func:`examples`, as the domain has its rows.
        inputs, places: Where to find each.
        seed: Draws the order in which they are shown; it depends on sources and trial alone.
        order: That order.
        part: Of a target.
    """

    split: str
    domain: str
    view: str
    shown: pl.DataFrame
    inputs: Inputs
    places: Tensor
    seed: int
    order: Tensor
    part: Part | None = None


_Sets = dict[tuple[object, ...], tuple[Inputs, Tensor]]
"""Sets of images, by what tells each from others: inputs, and their places among them."""


@dataclass(frozen=True)
class Shown:
    """Clean images that any weights can be asked about.

    Attributes:
        split, domain: Whose: held-out images of a source domain, or the target.
        inputs, places: Where to find each.
        labels: Their classes, int64 ``[n]`` on the CPU.
    """

    split: str
    domain: str
    inputs: Inputs
    places: Tensor
    labels: Tensor

    @classmethod
    def of(cls, held: Held) -> Shown:
        """The held-out images of a source domain."""
        return cls("validation", held.name, held.inputs, held.validation, held.labels.cpu()[held.validation])


class Bench:
    """A finished training, with the features of everything that its runs are measured on."""

    def __init__(self, training: TrainingSpec, store: Store, device: torch.device) -> None:
        self.training = training
        self.device = device
        self.trajectory = stored(training, store, device)
        self.setting = Setting(training, parts_of(training), store, device)
        self.dataset = self.setting.dataset
        self.network = self.setting.initial_network()
        self.whole: Network | None = None
        self.sources = self.setting.sources()
        self.validation: dict[tuple[object, ...], list[_Stream]] = {}
        self.targets: dict[tuple[object, ...], _Stream] = {}
        self.averaging = ""
        self.loaded: tuple[str, int, int] | None = None
        self.number = 0
        self.moves = self.setting.bank is None
        self.seen: dict[tuple[object, ...], Tensor] = {}

    def _streams(self, run: RunSpec, images: bool = False) -> list[_Stream]:
        """Validation images of every source, clean and under every shift family, and the target, if it has images.

        Args:
            run: Of which.
            images: Whether images themselves are wanted, also where stored features stand for them.
        """
        images = images and self.setting.bank is not None
        views = None if run.weighs else run.views_per_domain
        if (views, images) not in self.validation:
            self.validation[views, images] = list(self._validation(views, images))
        shown = (run.target, run.part, images)
        if run.target and shown not in self.targets:
            self.targets[shown] = self._target(*shown)
        target = [self.targets[shown]] if run.target else []
        return [*self.validation[views, images], *(stream for stream in target if len(stream.places))]

    def _inputs(self, name: str, view: str, of: Callable[[], Images], rows: Rows | None, images: bool) -> Inputs:
        return self.setting.pictures(of()) if images else self.setting.inputs(name, view, of, rows)

    def _validation(self, views: PerDomain | None, images: bool) -> Iterator[_Stream]:
        """Of every source those that are clean, and as many under every shift family as views are asked for."""
        for held in self.sources.validating:
            rows = held.validation.numpy()
            shown = examples(self.dataset, held.name, rows)
            inputs = self.setting.pictures(self.dataset.domain(held.name).inputs) if images else held.inputs
            yield self._stream("validation", held.name, "clean", shown, inputs, held.validation)
            if views is None:
                continue
            rows = viewed(self.dataset, held.name, self.training.trial, rows, views)
            shown = examples(self.dataset, held.name, rows)
            for family in FAMILIES:
                drawn = partial(Shifted, self.dataset, held.name, rows, family, kept=self.setting.bank is None)
                inputs = self._inputs(held.name, family, drawn, rows, images)
                yield self._stream("validation", held.name, family, shown, inputs, torch.arange(len(rows)))

    def _target(self, target: str, part: Part, images: bool) -> _Stream:
        domain = self.dataset.domain(target)
        spec = self.training
        rules = (self.dataset, target, spec.trial, spec.validation, spec.test, spec.official)
        rows = tested(*rules) if part == "tested" else split(*rules).validation
        inputs = self._inputs(target, "clean", lambda: domain.inputs, None, images)
        shown = examples(self.dataset, target, rows)
        return self._stream("target", target, "clean", shown, inputs, torch.from_numpy(rows), part)

    def _stream(
        self,
        split: str,
        domain: str,
        view: str,
        shown: pl.DataFrame,
        inputs: Inputs,
        places: Tensor,
        part: Part | None = None,
    ) -> _Stream:
        seed = self.training.seed("stream", domain, view)
        order = torch.randperm(len(shown), generator=torch.Generator().manual_seed(seed)).to(self.device)
        names = [
            pl.Series(name, [value]).new_from_index(0, len(shown))
            for name, value in zip(STREAM[1:], (split, domain, view), strict=True)
        ]
        named = pl.DataFrame([*names, *shown])
        return _Stream(split, domain, view, named, inputs, places, seed, order, part)

    def predict(self, run: RunSpec) -> pl.DataFrame:
        """The run's predictions, one row an example: for every candidate's weights, on every stream."""
        predictor: Predictor = part_of("predictor", run.predictor, f"run {run.id}")
        images, tables = predictor.sees == "images", []
        streams = self._streams(run, images)
        shown = pl.concat([stream.shown for stream in streams], rechunk=True)
        for step, networks in itertools.groupby(self.each(run)):
            said = []
            for _ in networks:
                with evaluating(self.network):
                    source = self._source(step, predictor)
                    at_work = predictor.prepare(self._seeing() if images else self.network, source)
                    seen = [None] * len(streams) if images else self._seen(streams, step)
                    each = (self._observe(at_work, *one, run) for one in zip(streams, seen, strict=True))
                    kept = map(partial(self._among, run, predictor.scores), streams, each)
                    said.append(torch.cat(list(kept)))
            table = observed(step, shown, *pooled(said, predictor.scores), self.sources.scale)
            check(table, len(self.dataset.classes))
            tables.append(table)
        return pl.concat(tables)

    def each(self, run: RunSpec) -> Iterator[int]:
        """Load the weights of each candidate of a run in turn; its step, once for each network that they are."""
        averaging: Averaging = part_of("averaging", run.averaging, f"run {run.id}")
        self._average(run)
        for step, state in candidates(averaging, run.averaging, self.trajectory):
            for number, network in enumerate(apart(state)):
                self._load(averaging, step, network, number)
                yield step

    def clean(self, run: RunSpec, step: int) -> list[Tensor]:
        """Of each source domain that validates the features of its clean validation images, in an order of the seed.

        The weights of that step are those that are loaded.
        """
        streams = [stream for stream in self._streams(run) if (stream.split, stream.view) == ("validation", "clean")]
        with evaluating(self.network):
            seen = self._seen(streams, step)
            return [own[stream.order] for own, stream in zip(seen, streams, strict=True)]

    def sets(self, run: RunSpec) -> list[Shown]:
        """The clean images that a run predicts: of each source domain that validates, and of its target."""
        clean = [stream for stream in self._streams(run) if stream.view == "clean"]
        labels = [torch.from_numpy(stream.shown["label"].to_numpy().astype(np.int64)) for stream in clean]
        return [Shown(s.split, s.domain, s.inputs, s.places, own) for s, own in zip(clean, labels, strict=True)]

    def recall(self, run: RunSpec, step: int) -> tuple[Network, Source | None]:
        """The network that a run predicted with at a step, and what its predictor was prepared with.

        Where the backbone is frozen the network has none: :meth:`Setting.backbone` builds it.

        Raises:
            StoreError: the weights of that candidate were not kept.
        """
        averaging: Averaging = part_of("averaging", run.averaging, f"run {run.id}")
        predictor: Predictor = part_of("predictor", run.predictor, f"run {run.id}")
        self._average(run)
        self._load(averaging, step, candidate_at(averaging, run.averaging, self.trajectory, step))
        with evaluating(self.network):
            return self.network, self._source(step, predictor)

    def _average(self, run: RunSpec) -> None:
        """Forget what other weights saw, if that differs from what those of this run see."""
        if self.averaging != canonical(run.averaging) and self.moves:
            self.seen = {}
        self.averaging = canonical(run.averaging)

    def _load(self, averaging: Averaging, step: int, state: State, number: int = 0) -> None:
        """Take these weights, and the statistics that belong to them; once for predictors that share them."""
        self.number = number
        if self.loaded == (self.averaging, step, number):
            return
        load_effective(self.network, state)
        if averaging.recomputes():
            recompute(self.network, self._training_images())
        self.loaded = (self.averaging, step, number)

    def _training_images(self) -> Iterator[Tensor]:
        """The batches that training would have gone on with, augmented as its own."""
        steps, sampler = self.training.steps, parts_of(self.training).sampler
        with self.sources.batches(sampler, range(steps, steps + batches_for(steps))) as batches:
            for batch in batches:
                yield batch.x

    def _features(self, step: int, sets: _Sets) -> list[Tensor]:
        """Features of sets of images, computed once for all predictors that share the weights of a step.

        Args:
            step: Of the weights.
            sets: Of images.
        """
        weights = (step, self.number) if self.moves else None
        new = {(weights, name): one for name, one in sets.items() if (weights, name) not in self.seen}
        self.seen |= zip(new, features_of_sets(self.network, list(new.values())), strict=True)
        return [self.seen[weights, name] for name in sets]

    def _source(self, step: int, predictor: Predictor) -> Source | None:
        """What a predictor is prepared with."""
        if not predictor.needs_source:
            return None
        parts, labels, numbers = [], [], []
        of = "validation" if predictor.needs_source == "validation" else "train"
        for number, held in enumerate(self.sources.domains):
            rows = held.validation if of == "validation" else held.train
            parts += self._features(step, {(f"{of} rows", held.name): (held.inputs, rows)})
            labels.append(held.labels[rows.to(self.device)])
            numbers.append(torch.full_like(labels[-1], number))
        return Source(torch.cat(parts), torch.cat(labels), torch.cat(numbers))

    def _seeing(self) -> Network:
        """The network that images go through; of one that is a head on stored features, with its backbone."""
        if self.setting.bank is None:
            return self.network
        if self.whole is None:
            self.whole = self.setting.whole_network().eval()
        self.whole.head, self.whole.domain_heads = self.network.head, self.network.domain_heads
        return self.whole

    def _observe(self, at_work: Stream, stream: _Stream, seen: Tensor | None, run: RunSpec) -> Tensor:
        """Show one stream, once and in its order: features, or images themselves.

        Returns:
            What is predicted ``[n, C]``, as the domain has its rows.
        """
        order, batch = stream.order, run.stream_batch
        if run.stream_mode == "by_class":
            order = order[torch.tensor(stream.shown["label"])[order.cpu()].argsort(stable=True)]
        if seen is None:
            shown: Iterable[Tensor] = map(stream.inputs.ready, torch.split(stream.places[order.cpu()], batch))
        else:
            shown = torch.split(seen[order], batch)
        at_work.reset(stream.seed)
        said = []
        for each in shown:
            if run.stream_mode == "episodic":
                at_work.reset(stream.seed)
            said.append(at_work.observe(each))
        return torch.cat(said)[order.argsort()]

    def _among(self, run: RunSpec, kind: Scores, stream: _Stream, scores: Tensor) -> Tensor:
        """Scores among the classes that the run predicts its target among."""
        if run.among == "all" or stream.split != "target":
            return scores
        return among(scores, torch.from_numpy(np.unique(self.dataset.domain(stream.domain).labels)), kind)

    def _seen(self, streams: Sequence[_Stream], step: int) -> list[Tensor]:
        """Features of each stream, as the domain has its rows.

        The views of a source are looked at together, and all else alone: which images are neighbours may show in the
        last bit, and is not to depend on what other runs have looked at before.
        """
        found: list[Tensor] = []
        for _, some in itertools.groupby(streams, lambda s: (s.split, s.domain, s.view == "clean")):
            sets: _Sets = {(s.split, s.part, s.domain, s.view, len(s.places)): (s.inputs, s.places) for s in some}
            found += self._features(step, sets)
        return found
