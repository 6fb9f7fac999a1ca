"""How much of an accelerator a job takes, so that several share one: measured, by the first of each kind.

What was not measured yet has an accelerator to itself. When it is done, the share of the memory that is taken then is
noted in the cache, for all jobs of its kind that come later. A job that finds no memory left beside others is done once
more, alone, and what it takes is noted where that is more.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.core.backbone_name import parse
from dgbench.core.known import versions, what_is_known, write_down
from dgbench.runs.jobs import Drawing, Extraction, Job, Together, Unit
from dgbench.runs.parts import on_features, parts_of
from dgbench.train.spec import SHAPING, TrainingSpec

_ALONE = 1.0
_RECORDS = "shares/1"


@dataclass(frozen=True)
class Share:
    """What a kind of job takes.

    Attributes:
        share: Of an accelerator's memory, in [0, 1].
    """

    share: float


class Shares:
    """What jobs take of the accelerators that they are done on; the cache is asked once about each kind.

    Args:
        card: What these are, as measurements name it; empty where nothing is measured, and nothing is taken.
    """

    def __init__(self, card: str) -> None:
        self.card = card
        self._known: dict[str, float | None] = {}
        self._alone: set[str] = set()

    def of(self, job: Job) -> float:
        """The share that a job takes: 0 where it needs none, 1 where that is not known."""
        if not self.card or isinstance(job, Drawing):
            return 0.0
        of = self._named(job)
        if job.id in self._alone:
            return _ALONE
        if of not in self._known:
            noted = what_is_known(_RECORDS, Share, of)
            self._known[of] = None if noted is None else noted.share
        share = self._known[of]
        return _ALONE if share is None else share

    def note(self, job: Job, taken: float | None) -> None:
        """What was taken when a job was over that had an accelerator to itself; of a kind that is known, the most."""
        if taken is not None and self.of(job) == _ALONE:
            of = self._named(job)
            share = self._known[of] = min(max(taken, self._known.get(of) or 0.0), _ALONE)
            write_down(_RECORDS, Share, of, Share(share))

    def crowded(self, job: Job) -> bool:
        """Whether a job that found no memory had shared its accelerator; if so, it is to have one to itself."""
        shared = 0 < self.of(job) < _ALONE
        if shared:
            self._alone.add(job.id)
        return shared

    def _named(self, job: Job) -> str:
        """What decides how much memory a job takes."""
        match job:
            case Unit():
                runs = sorted({str(run.predictor["part"]) for run in job.runs})
                way = [*(f"{what} {many}" for what, many in job.division.noted().items())]
                way += ["checkpointing"] if job.checkpointing else []
                return (
                    f"{', '.join([_training(job.training), *way])}, predicted by {runs}, on {self.card}, "
                    f"{versions('torch')}"
                )
            case Together():
                return f"{len(job.units)} of {_training(job.units[0].training)}, on {self.card}, {versions('torch')}"
            case Extraction():
                training = job.training
                return (
                    f"features of {_network(training)}, {job.images // len(job.views)} images, on {self.card}, "
                    f"{versions('torch')}"
                )
        raise TypeError(type(job).__name__)


def _network(training: TrainingSpec) -> str:
    name = parse(training.backbone).untrained().canonical
    return f"{name} at {training.size} px in {training.precision} on {training.dataset}"


def _training(training: TrainingSpec) -> str:
    parts = ", ".join(str(training.parts[slot]["part"]) for slot in SHAPING)
    network = "head on features of " if on_features(parts_of(training)) else ""
    return f"{network}{_network(training)}, {training.batch} images a step, {parts}"
