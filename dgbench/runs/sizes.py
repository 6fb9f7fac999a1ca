"""How much room a plan takes, once it is carried out: weights, predictions, features, images.

Networks are built without memory for their weights, and images are counted, so neither weights nor data need be here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dgbench.algorithms.slots import Averaging
from dgbench.core.cards import Keep
from dgbench.core.dataset_card import dataset_card
from dgbench.core.pieces import candidate, checkpoint, is_segment
from dgbench.core.reader_cards import BuiltIn
from dgbench.core.shift_families import FAMILIES
from dgbench.core.spec import Spec, canonical
from dgbench.runs.counts import Counts
from dgbench.runs.parts import networks, on_features, part_of, parts_of
from dgbench.runs.plan import Plan, RunSpec
from dgbench.runs.shapes import Shape, shapes
from dgbench.runs.store import Kind, Store
from dgbench.selection.criteria import FROM_RECORDS
from dgbench.selection.predictions import bytes_per_row
from dgbench.train.spec import TrainingSpec

_FLOAT = 4
_TRAININGS = "trainings"
_RUN, _STREAM = 12_000, 300
"""Bytes of a run beside its predictions: of its files as such, and of the metrics of each stream."""
_TRAINING, _CHECKPOINT = 4_000, 90
"""Bytes of a training beside its weights: of its files as such, and of the losses of each domain at a checkpoint."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of a plan that is carried out, from an empty store and cache.

    Attributes:
        weights: What stays of them.
        weights_at_most: What there is of them at most on the way, with the states that trainings resume from.
        predictions: Runs, with what they measured.
        notes: What trainings tell of themselves.
        features: Of frozen backbones, in the store.
        views: Shifted validation images that are kept, in the cache.
        decoded: Images of datasets on disk as networks see them, in the cache.
        unknown: Datasets whose size nobody has told; what is made of them is not counted.
    """

    weights: int
    weights_at_most: int
    predictions: int
    notes: int
    features: int
    views: int
    decoded: int
    unknown: tuple[str, ...]


def sizes(plan: Plan, keep: Keep, workers: int = 1) -> Sizes:
    """How much room a plan takes.

    Args:
        plan: What is to be there.
        keep: Which weights stay.
        workers: How many trainings are at work at a time.
    """
    counts = Counts(plan)
    runs: dict[str, list[RunSpec]] = {id_: [] for id_ in plan.trainings}
    for run in plan.runs.values():
        runs[run.training].append(run)
    judging = plan.only_judging()[1]
    started = {start for training in plan.trainings.values() for start in training.starts_from()}
    read = {one for training in plan.trainings.values() for one in training.follows()}
    pretrained = {one.weights for one in plan.trainings.values() if one.weights != one.reference}
    kept, passing = 0.0, [0.0]
    images: dict[tuple[str, ...], float] = {}
    shared: dict[tuple[str, ...], float] = {}
    lookers: dict[tuple[str, ...], set[str]] = {}
    features: dict[tuple[str, ...], float] = {}
    decoded: dict[tuple[str, int], float] = {}
    names = {training.dataset for training in plan.trainings.values()}
    classes = {name: dataset_card(name).outputs for name in names}
    shape_of = shapes(plan.trainings, classes, counts.domain)
    for id_, training in plan.trainings.items():
        shape = shape_of[id_]
        last = id_ in pretrained or (id_ in started and keep != "none")
        chosen_of = [run for run in runs[id_] if keep == "all" or run.id not in judging]
        several = networks(training)
        stays = several * shape.moving * _stays(training, chosen_of, keep, plan.board.draws, last=last)
        kept += stays
        passing.append(several * _passing(training, runs[id_], shape, last=id_ in read) - stays)
        if (training.dataset, training.size) not in decoded:
            decoded[training.dataset, training.size] = _decoded(counts, training)
        looker = _looker(training)
        for name, count in counts.views(training).items() if runs[id_] else ():
            images[name] = 3 * training.size**2 * count
            shared[name] = counts.shared(training, name[-1])
            lookers.setdefault(name, set()).add(looker)
        if on_features(parts_of(training)):
            for name, count in counts.feature_sets(training, runs[id_]).items():
                features[training.backbone, training.weights or "", *name] = _FLOAT * shape.features * count
    return Sizes(
        weights=round(kept),
        weights_at_most=round(kept + sum(sorted(passing)[-workers:])),
        predictions=round(sum(_predicted(plan, counts, run) for run in plan.runs.values())),
        notes=sum(_TRAINING + _CHECKPOINT * t.checkpoints * len(t.sources) for t in plan.trainings.values()),
        features=round(sum(features.values())),
        views=round(sum(images[name] * _kept(who, shared[name]) for name, who in lookers.items())),
        decoded=round(sum(decoded.values())),
        unknown=tuple(sorted(counts.unknown)),
    )


def to_be_written(plan: Plan, store: Store, workers: int) -> int:
    """About how many bytes the store of a plan will grow by, at most, beside the features that it bounds by itself."""
    of = sizes(plan, store.keep(plan.board), workers)
    pieces: list[tuple[Kind, str]] = [("training", id_) for id_ in plan.trainings]
    pieces += [("run", id_) for id_ in plan.runs]
    notes = (store.done(*piece) for piece in pieces)
    there: int = sum(size for note in notes if note is not None for size, _ in note["files"].values())
    return max(0, of.weights_at_most + of.predictions + of.notes - there)


def _kept(lookers: set[str], shared: float) -> float:
    """Share of shifted images that is kept: all, but where one network takes features of each, in one trial alone."""
    return 1.0 if len(lookers) > 1 or _TRAININGS in lookers else shared


def _looker(training: TrainingSpec) -> str:
    """Who looks at shifted images: trainings, or the network that takes features of them."""
    if not on_features(parts_of(training)):
        return _TRAININGS
    return f"{training.backbone}, {training.weights or (training.sources, training.trial)}"


def _stays(training: TrainingSpec, runs: Sequence[RunSpec], keep: Keep, draws: int, *, last: bool) -> float:
    """How many pieces stay of a training. Of several draws one is chosen in each cell."""
    steps = training.checkpoint_steps()
    ends = {checkpoint(steps[-1])} if last else set()
    if keep == "all":
        return len(training.pieces() if runs else ends)
    if keep == "none":
        return len(ends)
    choices = 1 if keep == "chosen" else len(FROM_RECORDS)
    stays, others = set(ends), 0.0
    for part, spec, predictors in _averagings(runs):
        stays.add(_last_candidate(part, spec, steps))
        # What was chosen first is mostly the last; of further choices every second falls on another candidate.
        others += (min(part.count(len(steps)), choices * predictors) - 1) * (0.5 if keep == "chosen" else 1.0)
    return max(len(ends), (len(stays) + others) / (draws if keep == "chosen" else max(1.0, draws / choices)))


def _averagings(runs: Sequence[RunSpec]) -> Iterator[tuple[Averaging, Spec, int]]:
    """The averaging parts of runs, with how many predictors each has: targets of one training choose alike."""
    found: dict[str, tuple[Spec, set[str]]] = {}
    for run in runs:
        found.setdefault(canonical(run.averaging), (run.averaging, set()))[1].add(canonical(run.predictor))
    for spec, predictors in found.values():
        yield part_of("averaging", spec, "a plan"), spec, len(predictors)


def _last_candidate(part: Averaging, spec: Spec, steps: Sequence[int]) -> str:
    """What stays where the last candidate is chosen."""
    made = part.reads(steps, steps[-1])
    return next(iter(made)) if len(made) == 1 else candidate(spec, steps[-1])


def _passing(training: TrainingSpec, runs: Sequence[RunSpec], shape: Shape, *, last: bool) -> float:
    """Bytes of a training at work: what it writes, and two states, since a new one is there before the old goes."""
    steps = training.checkpoint_steps()
    writes = {checkpoint(steps[-1])} if last else set()
    for part, _, _ in _averagings(runs):
        writes |= part.reads(steps)
    averages = sum(not is_segment(name) and not name.isdecimal() for name in writes)
    snapshot = 2 if parts_of(training).optimizer.restart(training.steps) is not None else 1
    return len(writes) * shape.moving + 2 * (snapshot * shape.state + averages * shape.moving)


def _predicted(plan: Plan, counts: Counts, run: RunSpec) -> float:
    """Bytes of a run."""
    training = plan.trainings[run.training]
    classes = plan.cards[training.dataset].class_count
    clean = counts.validation(training) + counts.tested(training, run)
    rows = clean * bytes_per_row(classes, logits=True)
    families = 0 if run.weighs else len(FAMILIES)
    rows += counts.shifted(training) * bytes_per_row(classes, logits=False) if families else 0.0
    streams = len(training.sources) * (1 + families) + 1
    candidates: int = part_of("averaging", run.averaging, run.id).count(training.checkpoints)
    return _RUN + candidates * (rows + _STREAM * streams)


def _decoded(counts: Counts, training: TrainingSpec) -> float:
    """Bytes of a dataset's images in the cache; what dgbench builds itself is small."""
    if isinstance(dataset_card(training.dataset).reader, BuiltIn):
        return 0.0
    return 3 * training.size**2 * counts.dataset(training.dataset)
