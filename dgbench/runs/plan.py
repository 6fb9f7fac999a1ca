"""The plan of a board: which runs it consists of, and the fewest trainings that serve them.

A training is identified by the slots that shape it. ERM, EMA, SWAD, T3A and AdaNPC on one cell differ only in what
comes after training, so their runs name the same training, and it is done once.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

from dgbench.core.cards import STREAM_BATCH, BoardCard, PerDomain
from dgbench.core.cases import Case
from dgbench.core.composition import passes_of
from dgbench.core.dataset_card import DatasetCard
from dgbench.core.registry import Slot, StreamMode
from dgbench.core.shift_families import VIEWS_VERSION
from dgbench.core.spec import Spec, identity
from dgbench.data.catalogue import Outline
from dgbench.runs.judges import Judge, OfCandidate
from dgbench.runs.parts import part_of
from dgbench.runs.pretraining import Start
from dgbench.train.spec import TrainingSpec

Part = Literal["tested", "validation"]
"""Which images of a target are predicted."""


@dataclass(frozen=True)
class RunSpec:
    """What identifies a run: a training, which of its weights, how predictions are made, and on which target.

    Attributes:
        training: The training's id.
        averaging, predictor: Name, version and all hyperparameters of the parts.
        target: The target domain; empty where nothing is left out, and predictions serve selection alone.
        views_per_domain: How many validation images of a source domain are predicted under each shift.
        part: Of the target: ``tested``, or its ``validation`` images, where it is the target of a judge alone and the
            board keeps a part of each domain for testing.
        among: Among which classes the target is predicted: ``all``, or those ``present`` in it.
        weighs: Whether it looks at weights (:mod:`dgbench.runs.weighed`). It predicts clean validation images alone
            then, by the shared head.
        stream_batch: How many images the predictor is shown at once.
        stream_mode: In which order, and when it is reset.
    """

    training: str
    averaging: Spec
    predictor: Spec
    target: str
    views_per_domain: PerDomain
    part: Part = "tested"
    weighs: bool = False
    stream_batch: int = STREAM_BATCH
    among: Literal["all", "present"] = "all"
    stream_mode: StreamMode = "per_target"

    def spec(self) -> Spec:
        """As plain JSON."""
        said = {one.name: value for one in fields(self) if (value := getattr(self, one.name)) != one.default}
        said.pop("stream_batch", None)
        mode = {"mode": said.pop("stream_mode")} if "stream_mode" in said else {}
        return {
            "schema": "dgbench.run/4",
            **said,
            "stream": {"batch": self.stream_batch, "order": "permuted by sources and trial", **mode},
            "views": VIEWS_VERSION,
        }

    @classmethod
    def of(cls, content: Spec) -> RunSpec:
        """The run that :meth:`spec` wrote; what another version wrote makes one that says something else."""
        said: dict[str, Any] = {
            one.name: content.get(one.name, None if one.default is MISSING else one.default) for one in fields(cls)
        }
        stream = content.get("stream", {})
        said |= {"stream_batch": stream.get("batch", STREAM_BATCH), "stream_mode": stream.get("mode", "per_target")}
        return cls(**said)

    @cached_property
    def id(self) -> str:
        """The run's name in the store."""
        return identity(self.spec())


@dataclass(frozen=True)
class Entry(OfCandidate):
    """One candidate in one cell of the board: an algorithm with one draw, in one case and one trial.

    ``target`` names the case; ``domain`` is the domain of ``dataset`` that is tested in it, by models that learnt from
    ``sources``. ``pretrained_on`` is what the backbone learnt from before, in words. ``without_effect`` says which
    parts of the recipe act on nothing here; the training and the run are those of the recipe without them.
    """

    algorithm: str
    title: str
    track: str
    backbone: str
    pretrained_on: str
    target: str
    dataset: str
    sources: tuple[str, ...]
    domain: str
    trial: int
    draw: int
    training: str
    run: str
    families: tuple[str, ...]
    passes: float
    hyperparameters: dict[Slot, Spec]
    without_effect: str = ""

    def row(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**self.__dict__, "sources": list(self.sources), "families": list(self.families)}


@dataclass(repr=False)
class Plan:
    """Everything a board needs, each piece of work once.

    Attributes:
        board: The rules.
        cards: Of the board's datasets, by name.
        datasets: What is known of each of them.
        cases: The board's cases, in its order.
        entries: Every candidate in every cell.
        trainings: By id, each after those it starts from.
        runs: By id.
        judges: What judges candidates where the board's criterion has judges.
        starts: What trainings start from, by the backbone's name on the board.
        specs: Of parts, each once, by what it says: most trainings have parts in common.
    """

    board: BoardCard
    cards: dict[str, DatasetCard]
    datasets: dict[str, Outline]
    cases: list[Case]
    entries: list[Entry] = field(default_factory=list)
    trainings: dict[str, TrainingSpec] = field(default_factory=dict)
    runs: dict[str, RunSpec] = field(default_factory=dict)
    judges: list[Judge] = field(default_factory=list)
    starts: dict[str, Start] = field(default_factory=dict)
    specs: dict[str, Spec] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"<Plan of '{self.board.name}': {len(self.runs)} runs of {len(self.board.algorithms)} algorithms in "
            f"{len(self.cases)} cases, from {len(self.trainings)} trainings>"
        )

    @property
    def absent(self) -> tuple[str, ...]:
        """Datasets that are not on this machine: what they make of the plan can be counted, not run."""
        return tuple(name for name, outline in self.datasets.items() if outline.manifest is None)

    def passes(self) -> dict[str, float]:
        """Of a step of each training, as :func:`passes_of` counts them; merges take none."""

        def passes(id_: str, spec: TrainingSpec) -> float:
            return passes_of({slot: part_of(slot, part, id_) for slot, part in spec.parts.items()})

        return {id_: 0.0 if spec.merged else passes(id_, spec) for id_, spec in self.trainings.items()}

    def only_judging(self) -> tuple[set[str], set[str]]:
        """The trainings and the runs that judge others, and are none of the board's own."""
        trainings = {judge.training for judge in self.judges} - {entry.training for entry in self.entries}
        return trainings, {judge.run for judge in self.judges} - {entry.run for entry in self.entries}

    def shared(self, spec: Spec) -> Spec:
        """The first spec of a part that says the same. Of a hundred thousand runs they are most of a plan's memory."""
        return self.specs.setdefault(repr(spec), spec)

    def add(self, training: TrainingSpec) -> str:
        """Add a training that may be there already; its id."""
        self.trainings.setdefault(training.id, training)
        return training.id
