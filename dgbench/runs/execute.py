"""Doing one piece of a plan: a training, and the runs that come from it.

The target's images are read here and nowhere else, and only once the training is finished.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl
import torch
from torch import Tensor, nn

from dgbench.algorithms.slots import Averaging, Predictor, Source, State, Stream
from dgbench.core.backbone_name import parse
from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DataError, RecipeError
from dgbench.core.files import whole, write_json
from dgbench.core.pieces import checkpoint, pieces
from dgbench.core.provenance import revision
from dgbench.core.results import RESULT, Result
from dgbench.core.seals import seal
from dgbench.core.shift_families import FAMILIES
from dgbench.core.spec import canonical
from dgbench.data.cache.views import shifted
from dgbench.data.catalogue import load
from dgbench.data.domain import Images
from dgbench.data.splits import Rows, tested
from dgbench.models.backbones import build
from dgbench.models.effective import load_effective
from dgbench.models.network import Backbone, Network
from dgbench.models.zero_shot import set_zero_shot_head
from dgbench.runs.candidates import candidate_at, candidates
from dgbench.runs.features import FeatureBank
from dgbench.runs.observed import examples, observed
from dgbench.runs.parts import on_features, part_of, parts_of
from dgbench.runs.plan import STREAM_BATCH, RunSpec
from dgbench.runs.store import Store
from dgbench.selection.predictions import check, summarise
from dgbench.train.evaluate import evaluating, features
from dgbench.train.loop import Parts, attach, train
from dgbench.train.norm_statistics import batches_for, recompute
from dgbench.train.sources import Features, Inputs, Pixels, Sources
from dgbench.train.spec import ZERO_SHOT, TrainingSpec
from dgbench.train.trajectory import Initial, StoredTrajectory, initial


def do_training(
    spec: TrainingSpec,
    store: Store,
    device: torch.device,
    on_step: Callable[[int], None] = lambda step: None,
    *,
    keep: Collection[str] | None = None,
    enough: Callable[[frozenset[str]], bool] = lambda pieces: True,
    checkpointing: bool = False,
) -> bool:
    """Do a training unless it is finished; True if there was something to do.

    Args:
        spec, store, device: What, for where, on what.
        on_step: Called with the number of steps done.
        keep: The pieces of its way that are written, by the names of :mod:`dgbench.core.pieces`; by default all.
        enough: Whether the pieces that a finished training holds are enough; else it is done again for others.
        checkpointing: Saves memory and changes no number.

    Raises:
        BusyError: another process is doing it.
        DGBenchError: it cannot be done.
    """
    with store.claim("training", spec.spec(), lambda note: enough(pieces(note["files"]))) as folder:
        if folder is None:
            return False
        parts = parts_of(spec)
        setting = Setting(spec, parts, store, device, checkpointing=checkpointing)
        train(spec, parts, setting.initial_network(), setting.sources(), folder, on_step, keep)
        return True


class Setting:
    """What a training works with: its data, its network, and how the one is shown to the other.

    Where neither the backbone nor the images change, the network is a head, and what it sees are stored features.
    """

    def __init__(
        self, spec: TrainingSpec, parts: Parts, store: Store, device: torch.device, *, checkpointing: bool = False
    ) -> None:
        self.spec = spec
        self.parts = parts
        self.name = replace(parse(spec.backbone), checkpointing=checkpointing)
        self.store = store
        self.device = device
        self.dataset = load(spec.dataset, spec.size)
        if self.dataset.manifest != spec.manifest:
            raise DataError(
                f"the data of '{spec.dataset}' is not what training {spec.id} was planned on (manifest "
                f"{self.dataset.manifest[:12]}, planned {spec.manifest[:12]}); plan again, or restore the data"
            )
        self.bank = FeatureBank(spec, store, device, self._extractor) if on_features(parts) else None
        self.info: Backbone | None = None

    def backbone(self) -> Backbone:
        """The backbone with the weights that the training starts from, on the CPU."""
        torch.manual_seed(self.spec.seed("init", self.spec.backbone))
        backbone = build(self.name)
        for id_ in self.spec.starts_from():
            if id_ == self.spec.weights:
                past = self._stored(id_)
                state = {k.removeprefix("backbone."): t for k, t in past.at(past.steps[-1]).items()}
                backbone.module.load_state_dict({k: state[k] for k in backbone.module.state_dict()})
        self.info = replace(backbone, module=nn.Identity())
        return backbone

    def _network(self, backbone: Backbone) -> Network:
        """A network whose head starts as the spec says; random numbers do not depend on how the backbone was drawn."""
        reference = self.spec.reference
        zero_shot = reference is not None and reference.startswith(ZERO_SHOT)
        torch.manual_seed(self.spec.seed("head"))
        network = Network(backbone, len(self.dataset.classes), unit_features=zero_shot)
        if zero_shot:
            set_zero_shot_head(network, self.dataset.classes, dataset_card(self.spec.dataset).wording)
        elif reference is not None:
            past = self._stored(reference)
            probe = past.moving(checkpoint(past.steps[-1]))
            network.head.load_state_dict({"weight": probe["head.weight"], "bias": probe["head.bias"]})
        return self._placed(network)

    def _stored(self, training: str) -> StoredTrajectory:
        """Another training, that this one starts from."""
        return stored(self.store.training(training), self.store, self.device)

    def _placed(self, network: Network) -> Network:
        """On the device; convolutions are up to twice as fast with channels last, on CPUs and on tensor cores."""
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def _extractor(self) -> Network:
        """What features are stored of: never normalised, whatever the head will want."""
        return self._placed(Network(self.backbone(), len(self.dataset.classes)))

    def _whole_network(self) -> Network:
        """Backbone and head."""
        return self._network(self.backbone())

    def initial_network(self) -> Network:
        """The network before its first step; without its backbone where that is frozen."""
        if self.bank is None:
            return self._whole_network()
        return self._network(replace(self.backbone_info(), module=nn.Identity()))

    def initial(self) -> Initial:
        """The weights before the first step, on the CPU."""
        network = self.initial_network()
        attach(self.spec, self.parts, network)
        return Initial(*({name: tensor.cpu() for name, tensor in state.items()} for state in initial(network)))

    def backbone_info(self) -> Backbone:
        """Name, size and number of features of the backbone."""
        if self.info is None:
            self.backbone()
        assert self.info is not None
        return self.info

    def sources(self) -> Sources:
        """The source domains, as images or as features."""
        return Sources(self.spec, self.dataset, self._source_inputs(), self.device)

    def _source_inputs(self) -> dict[str, Inputs]:
        domains = [self.dataset.domain(name) for name in self.spec.sources]
        if self.bank is None:
            return {d.name: Pixels(d.inputs, self.backbone_info(), self.device, resident=True) for d in domains}
        found = self.bank.all({d.name: lambda d=d: d.inputs for d in domains})  # type: ignore[misc]
        return {name: Features(values) for name, values in found.items()}

    def inputs(self, domain: str, view: str, images: Callable[[], Images], rows: Rows | None = None) -> Inputs:
        """Images to predict, as the network sees them; ``rows`` says which of the domain's they are, if not all."""
        if self.bank is None:
            return Pixels(images(), self.backbone_info(), self.device, resident=False)
        return Features(self.bank.get(domain, view, images, rows))


def stored(spec: TrainingSpec, store: Store, device: torch.device) -> StoredTrajectory:
    """A finished training, for averaging parts.

    Raises:
        DamagedError: it is not there, or not what was written.
    """
    return StoredTrajectory(
        store.folder("training", spec.id), lambda: Setting(spec, parts_of(spec), store, device).initial()
    )


def do_runs(training: TrainingSpec, runs: Sequence[RunSpec], store: Store, device: torch.device) -> int:
    """Do those runs of a finished training that are not finished; how many there were.

    Runs that predict with the same weights share their features.

    Raises:
        BusyError: another process is doing one of them.
        DamagedError: weights or features that they need are not what was written.
        StoreError: what they predict is no number.
    """
    done = 0
    targets = {run.target for run in runs}
    if targets & set(training.sources):
        raise RecipeError(f"a target domain of training {training.id} is among its sources: {targets}")
    bench = Bench(training, store, device)
    for run in sorted(runs, key=lambda run: canonical(run.averaging)):
        with store.claim("run", run.spec()) as folder:
            if folder is None:
                continue
            clock = time.perf_counter()
            table = bench.predict(run)
            with whole(folder / "predictions.parquet") as temporary:
                table.write_parquet(temporary, compression="zstd")
            write_json(folder / "result.json", RESULT.dump(Result.measured(summarise(table).to_dicts())))
            seconds = round(time.perf_counter() - clock, 3)
            note = {"seconds": seconds, "device": device.type, "torch": torch.__version__, "dgbench": revision()}
            seal(folder, note)
            done += 1
    return done


@dataclass(frozen=True)
class _Stream:
    """One set of labelled examples that is predicted in one go: what they are, and where to find each."""

    split: str
    domain: str
    view: str
    examples: pl.DataFrame
    inputs: Inputs
    places: Tensor
    labels: Tensor


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
        self.streams: dict[str, list[_Stream]] = {}
        self.averaging = ""
        self.loaded: tuple[str, int] | None = None
        self.seen: dict[tuple[int, str, str, str], Tensor] = {}

    def _streams(self, target: str) -> list[_Stream]:
        """Validation images of every source, clean and under every shift family, and the target, if there is one."""
        if target in self.streams:
            return self.streams[target]
        streams = []
        for held in self.sources.domains:
            rows = held.validation.numpy()
            labels = held.labels[held.validation.to(self.device)]
            shown = examples(self.dataset, held.name, rows)
            streams.append(_Stream("validation", held.name, "clean", shown, held.inputs, held.validation, labels))
            for family in FAMILIES:

                def images(name: str = held.name, rows: Rows = rows, family: str = family) -> Images:
                    return shifted(self.dataset, name, rows, family)

                inputs = self.setting.inputs(held.name, family, images, rows)
                places = torch.arange(len(rows))
                streams.append(_Stream("validation", held.name, family, shown, inputs, places, labels))
        self.streams[target] = streams
        if not target:
            return streams
        domain = self.dataset.domain(target)
        spec = self.training
        rows = tested(self.dataset, target, spec.trial, spec.validation, spec.test, spec.official)
        labels = torch.from_numpy(domain.labels[rows]).to(self.device)
        inputs = self.setting.inputs(target, "clean", lambda: domain.inputs)
        shown = examples(self.dataset, target, rows)
        streams.append(_Stream("target", target, "clean", shown, inputs, torch.from_numpy(rows), labels))
        return streams

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
                streams = self._streams(run.target)
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
        for step in range(steps, steps + batches_for(steps)):
            yield self.sources.batch(sampler, step).x

    def _features(self, step: int, split: str, domain: str, view: str, inputs: Inputs, places: Tensor) -> Tensor:
        """Features of a set of images, computed once for all predictors that share the weights."""
        key = (step, split, domain, view)
        if key not in self.seen:
            self.seen[key] = features(self.network, inputs, places)
        return self.seen[key]

    def _source(self, step: int) -> Source:
        parts, labels, numbers = [], [], []
        for number, held in enumerate(self.sources.domains):
            parts.append(self._features(step, "train", held.name, "clean", held.inputs, held.train))
            labels.append(held.labels[held.train.to(self.device)])
            numbers.append(torch.full_like(labels[-1], number))
        return Source(torch.cat(parts), torch.cat(labels), torch.cat(numbers))

    def _observe(self, predictor: Predictor, at_work: Stream, stream: _Stream, step: int) -> pl.DataFrame:
        """Show one stream, in an order that depends on sources and trial alone, and note what is predicted."""
        seed = self.training.seed("stream", stream.domain, stream.view)
        order = torch.randperm(len(stream.labels), generator=torch.Generator().manual_seed(seed)).to(self.device)
        inputs = self._features(step, stream.split, stream.domain, stream.view, stream.inputs, stream.places)[order]
        at_work.reset(seed)
        scores = torch.cat([at_work.observe(batch) for batch in torch.split(inputs, STREAM_BATCH)])
        scores = scores[order.argsort()]  # as the domain has its rows
        name = (step, stream.split, stream.domain, stream.view)
        return observed(name, stream.examples, scores, stream.labels, predictor.scores)
