"""How many images the work of a plan looks at, from what is known of its data: found here, or told by its card."""

from __future__ import annotations

from collections.abc import Sequence

from dgbench.core.shift_families import FAMILIES
from dgbench.core.spec import canonical
from dgbench.runs.pace import LEARN
from dgbench.runs.parts import networks, part_of
from dgbench.runs.plan import Plan, RunSpec
from dgbench.train.spec import TrainingSpec

WEIGHED = LEARN + 2
"""Looks at an image that its weights being looked at is worth: at the weights, forth and back, and beside them."""


class Counts:
    """How many images the trainings and runs of a plan look at.

    Attributes:
        unknown: Datasets that were asked for and whose size nobody has told.
    """

    def __init__(self, plan: Plan) -> None:
        self.counts = {(name, d.name): d.count for name, known in plan.datasets.items() for d in known.domains}
        self.selection = plan.board.selection
        self.trials = plan.board.trials
        self.unknown: set[str] = set()

    def domain(self, dataset: str, name: str) -> int:
        """Images of a domain; 0 where nobody knows."""
        count = self.counts.get((dataset, name))
        if count is None and (dataset, name) in self.counts:
            self.unknown.add(dataset)
        return count or 0

    def dataset(self, dataset: str) -> int:
        """Images of all its domains."""
        return sum(self.domain(dataset, name) for of, name in self.counts if of == dataset)

    def validation(self, training: TrainingSpec) -> float:
        """Validation images of all sources."""
        return training.validation * sum(self.domain(training.dataset, name) for name in training.sources)

    def heard(self, training: TrainingSpec) -> float:
        """Images that are looked at with the weights of a training that another reads."""
        share = training.validation if training.merged else 1 - training.validation
        return share * sum(self.domain(training.dataset, name) for name in training.sources)

    def viewed(self, training: TrainingSpec, name: str) -> float:
        """Validation images of a source that are looked at under each shift."""
        return self.selection.views(training.validation * self.domain(training.dataset, name))

    def views(self, training: TrainingSpec) -> dict[tuple[str, ...], float]:
        """Shifted images of each source domain that no earlier trial looks at, on average, by what identifies them."""
        of = ("views", training.dataset, str(training.size), f"trial {training.trial}")
        return {
            (*of, name): len(FAMILIES)
            * self.viewed(training, name)
            * (1 - self._share(training, name)) ** training.trial
            for name in training.sources
        }

    def shared(self, training: TrainingSpec, name: str) -> float:
        """Share of the shifted images of a source that several trials look at, on average."""
        share = self._share(training, name)
        once = self.trials * share * (1 - share) ** (self.trials - 1)
        return 1 - once / (1 - (1 - share) ** self.trials) if share else 0.0

    def _share(self, training: TrainingSpec, name: str) -> float:
        count = self.domain(training.dataset, name)
        return self.viewed(training, name) / count if count else 0.0

    def shifted(self, training: TrainingSpec) -> float:
        """Shifted images of all sources."""
        return len(FAMILIES) * sum(self.viewed(training, name) for name in training.sources)

    def tested(self, training: TrainingSpec, run: RunSpec) -> float:
        """Images of its target that a run predicts."""
        share = training.validation if run.part == "validation" else training.test or 1.0
        return share * self.domain(training.dataset, run.target)

    def looked_at(self, training: TrainingSpec, runs: Sequence[RunSpec]) -> list[float]:
        """Images that are evaluated: with each set of weights once, whatever number of predictors share them."""
        views = self.validation(training) + self.shifted(training)
        on_features = [run for run in runs if _sees(run) == "features"]
        distinct = {(canonical(run.averaging), run.target, run.part, run.weighs): run for run in on_features}
        return [
            (WEIGHED * self.validation(training) if run.weighs else views + self.tested(training, run))
            * part_of("averaging", run.averaging, run.id).count(training.checkpoints)
            * networks(training)
            for run in distinct.values()
        ]

    def seen(self, training: TrainingSpec, runs: Sequence[RunSpec]) -> float:
        """Images that go through networks of predictors that see them, by how many forward passes each costs."""
        views, looks = self.validation(training) + self.shifted(training), 0.0
        for run in (run for run in runs if _sees(run) == "images"):
            candidates = part_of("averaging", run.averaging, run.id).count(training.checkpoints)
            passes = part_of("predictor", run.predictor, run.id).passes
            looks += (views + self.tested(training, run)) * candidates * passes * networks(training)
        return looks

    def feature_sets(self, training: TrainingSpec, runs: Sequence[RunSpec]) -> dict[tuple[str, ...], float]:
        """Images of each set of features that a head needs, by what identifies the set."""
        dataset = training.dataset
        wanted: dict[tuple[str, ...], float] = {}
        for name in {*training.shown, *(run.target for run in runs)}:
            wanted[dataset, name, "clean"] = self.domain(dataset, name)
        for name in training.sources if any(not run.weighs for run in runs) else ():
            wanted[dataset, name, f"trial {training.trial}"] = len(FAMILIES) * self.viewed(training, name)
        return wanted


def _sees(run: RunSpec) -> str:
    """What the predictor of a run is shown."""
    return str(part_of("predictor", run.predictor, run.id).sees)
