"""What the workers of a sweep do: trainings with their runs, and the groundwork that many of them share.

Views (validation images under shifts) and features of frozen backbones are jobs of their own: they are spread over all
workers before trainings wait for them, and whoever watches sees them grow.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from dgbench.core.disk import writing
from dgbench.core.errors import DamagedError, StoreError
from dgbench.core.memory import keeping_large_blocks
from dgbench.core.paths import cache_root
from dgbench.core.pieces import checkpoint, pieces
from dgbench.runs.device import give_memory_back, memory_taken
from dgbench.runs.notes import Images, Measured, Note, Predicted, Stage, Steps, Tell
from dgbench.runs.plan import Plan, RunSpec
from dgbench.runs.store import Kind, Store
from dgbench.train.division import WHOLE, Division
from dgbench.train.spec import TrainingSpec

if TYPE_CHECKING:
    from dgbench.algorithms.slots import Averaging
    from dgbench.runs.wish import Wish


class Job(Protocol):
    """A piece of work for one worker."""

    @property
    def id(self) -> str:
        """What other jobs call it."""

    def needs(self) -> tuple[str, ...]:
        """Jobs that come before it, unless they were done before."""

    def amounts(self) -> dict[Stage, int]:
        """How much of each stage it is."""

    def do(self, store: Store, device: str, tell: Tell) -> None:
        """Do it in this process, and tell how it goes."""


@dataclass(frozen=True)
class Unit:
    """One training and the runs that come from it.

    Attributes:
        training: The training.
        runs: Those that are not finished.
        checkpointing: Saves memory and changes no number.
        trained: Whether the training is finished, and holds the weights that are wanted of it.
        last: Whether another job starts from its last weights, or reads them.
        asked: What is to stay of its weights, where it is done again for that.
        groundwork: Ids of the views and features that it uses, and of the job that trains it with others.
        together: Whether there is such a job, which counts it.
        division: What steps are divided into.
    """

    training: TrainingSpec
    runs: tuple[RunSpec, ...]
    checkpointing: bool = False
    trained: bool = False
    last: bool = False
    asked: Wish | None = None
    groundwork: tuple[str, ...] = ()
    together: bool = False
    division: Division = WHOLE

    @property
    def id(self) -> str:
        """The training's."""
        return self.training.id

    def needs(self) -> tuple[str, ...]:
        """Groundwork, and trainings that this one follows."""
        spec = self.training
        return (*self.groundwork, *(spec.starts_from() if self.trained else spec.follows()))

    def amounts(self) -> dict[Stage, int]:
        """Pieces that are not finished."""
        return {"trainings": int(not (self.trained or self.together)), "runs": len(self.runs)}

    def enough(self, store: Store, kept: frozenset[str]) -> bool:
        """Whether what a finished training keeps of its way is all that is wanted of it.

        Another process may have done the runs meanwhile, and what starts from it, and let go of what these read.
        """
        from dgbench.runs.candidates import lacking
        from dgbench.runs.wish import lost
        from dgbench.runs.wishes import Boards

        steps = self.training.checkpoint_steps()
        left = [run for run in self.runs if not store.finished("run", run.id)]
        if any(lacking(_averaging(run), run.averaging, steps, kept) for run in left):
            return False
        if self.last and checkpoint(steps[-1]) not in kept and Boards.of(store).wish(self.id).last:
            return False
        return self.asked is None or not lost(self.asked, self.training, kept)

    def there(self, store: Store) -> bool:
        """Whether the training is finished, with all that is wanted of it."""
        note = store.done("training", self.id)
        return note is not None and self.enough(store, pieces(note["files"]))

    def keep(self, store: Store) -> frozenset[str]:
        """What the training writes."""
        from dgbench.runs.wish import to_write
        from dgbench.runs.wishes import Boards

        steps = self.training.checkpoint_steps()
        reads = [_averaging(run).reads(steps) for run in self.runs]
        last = {checkpoint(steps[-1])} if self.last else set()
        asked = to_write(self.asked, self.training) if self.asked else ()
        return to_write(Boards.of(store).wish(self.id), self.training).union(last, asked, *reads)

    def do(self, store: Store, device: str, tell: Tell) -> None:
        """Train, predict, and let go of weights that no board wants any more."""
        import torch

        from dgbench.runs.execute import do_runs, do_training
        from dgbench.runs.keeping import let_go
        from dgbench.runs.setting import stored
        from dgbench.runs.wishes import Boards
        from dgbench.train.together import pause

        where = torch.device(device)
        steps = Steps(self.training.steps, tell)
        did = do_training(
            self.training,
            store,
            where,
            steps,
            keep=frozenset() if self.there(store) else self.keep(store),
            enough=partial(self.enough, store),
            checkpointing=self.checkpointing,
            on_history=lambda step, rows: tell(Measured(self.id, step, tuple(rows))),
            pause=pause(),
            division=self.division,
        )
        if not self.trained:
            if did or not self.together:
                tell(Note("trainings", 1 - steps.told, steps.seconds() if did else None, int(did)))
        elif did:  # it was lost meanwhile, and is no part of what there was to do
            tell(Note("trainings", -steps.told, None, 1))
        if self.runs:
            clock = time.perf_counter()
            runs = do_runs(self.training, self.runs, store, where)
            tell(Note("runs", len(self.runs), time.perf_counter() - clock if runs else None, runs))
            for run in self.runs:
                tell(Predicted(run.id, tuple(store.read("run", run.id, "result.json")["metrics"])))
        boards = Boards.of(store)
        for id_ in boards.mates(self.id):
            let_go(boards, id_, lambda spec: stored(spec, store, where))


@dataclass(frozen=True)
class Together:
    """Trainings of heads that see the same batches, done side by side before their units find them finished.

    It spares time and nothing else: what it leaves undone, units do, one by one, to the same bits.

    Attributes:
        units: Of the trainings.
        waits: Jobs that take the features which they learn from.
        id: Of the job.
    """

    units: tuple[Unit, ...]
    waits: tuple[str, ...]
    id: str

    def needs(self) -> tuple[str, ...]:
        """Features, and trainings that these follow."""
        return tuple(dict.fromkeys((*self.waits, *(id_ for one in self.units for id_ in one.training.follows()))))

    def amounts(self) -> dict[Stage, int]:
        """The trainings."""
        return {"trainings": len(self.units)}

    def do(self, store: Store, device: str, tell: Tell) -> None:
        """Train."""
        import torch

        from dgbench.runs.execute import Wanted, do_together

        wanted = [
            Wanted(one.training, one.keep(store), partial(one.enough, store))
            for one in self.units
            if not one.there(store)
        ]
        steps = Steps(self.units[0].training.steps, tell, len(wanted))
        done = do_together(
            wanted,
            store,
            torch.device(device),
            steps,
            lambda training, step, rows: tell(Measured(training, step, tuple(rows))),
        )
        there = len(self.units) - len(wanted)
        tell(Note("trainings", there + done - steps.told, steps.seconds() if done else None, done))


def _averaging(run: RunSpec) -> Averaging:
    from dgbench.runs.parts import part_of

    return part_of("averaging", run.averaging, f"run {run.id}")  # type: ignore[no-any-return]


def unit(
    plan: Plan,
    training: str,
    runs: Sequence[RunSpec] = (),
    *,
    trained: bool = False,
    last: bool = False,
    asked: Wish | None = None,
    division: Division = WHOLE,
) -> Unit:
    """The unit of a training of a plan."""
    spec = plan.trainings[training]
    lean = {start.backbone for start in plan.starts.values() if start.checkpointing}
    return Unit(spec, tuple(runs), spec.backbone in lean, trained, last, asked, division=division)


@dataclass(frozen=True)
class Drawing:
    """Some validation images of a domain under shifts.

    Attributes:
        dataset, size, domain: Where they are from.
        families: Of shifts; under each at least one of them was not drawn yet.
        rows: Which images.
        images: How many are to be drawn, under all families.
        id: Of the job.
    """

    dataset: str
    size: int
    domain: str
    families: tuple[str, ...]
    rows: NDArray[np.int64] = field(repr=False)
    images: int
    id: str

    def needs(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def amounts(self) -> dict[Stage, int]:
        """Images."""
        return {"views": self.images}

    def do(self, store: Store, device: str, tell: Tell) -> None:
        """Draw."""
        from dgbench.data.cache.views import Shifted
        from dgbench.data.catalogue import load

        told = Images("views", self.images, tell)
        for family in self.families:
            Shifted(load(self.dataset, self.size), self.domain, self.rows, family).draw(told)
        told.all()


@dataclass(frozen=True)
class Extraction:
    """Features of a domain's images as one frozen backbone sees them.

    Attributes:
        training: One of those that want them.
        domain: Its images.
        views: ``clean``, which is the whole domain, or families of shifts.
        rows: Which images are shifted.
        images: How many there are in all views.
        id: Of the job.
        waits: Jobs that draw those of the shifted images that others look at, too.
    """

    training: TrainingSpec
    domain: str
    views: tuple[str, ...]
    rows: NDArray[np.int64] | None = field(repr=False)
    images: int
    id: str
    waits: tuple[str, ...] = ()

    def needs(self) -> tuple[str, ...]:
        """Jobs that draw, and the training that the backbone's weights come from, if there is one."""
        weights = self.training.weights
        return (*self.waits, *(id_ for id_ in self.training.starts_from() if id_ == weights))

    def amounts(self) -> dict[Stage, int]:
        """Images, once for each view."""
        return {"features": self.images}

    @keeping_large_blocks()
    def do(self, store: Store, device: str, tell: Tell) -> None:
        """Extract."""
        import torch

        from dgbench.data.cache.views import Shifted
        from dgbench.runs.parts import parts_of
        from dgbench.runs.setting import Setting

        setting = Setting(self.training, parts_of(self.training), store, torch.device(device))
        dataset, rows = setting.dataset, self.rows
        assert setting.bank is not None
        told = Images("features", self.images, tell)
        for view in self.views:
            if rows is None:
                setting.bank.get(self.domain, view, lambda: dataset.domain(self.domain).inputs, progress=told)
            else:
                images = partial(Shifted, dataset, self.domain, rows, view, kept=False)
                setting.bank.get(self.domain, view, images, rows, progress=told)
        told.all()


class LostError(StoreError):
    """A piece of work that a job reads was damaged, and is set aside."""

    def __init__(self, kind: Kind, id_: str) -> None:
        super().__init__(kind, id_)
        self.kind, self.id = kind, id_


def do(device: str, job: Job, place: str, tell: Tell) -> float | None:
    """Do a job in this process; what :func:`memory_taken` says of the device when it is done.

    Raises:
        BusyError: another process is at it.
        LostError: a piece that it reads must be done again first.
        DiskError: nothing can be written.
    """
    store = Store.at(place)
    with writing(store.root, cache_root()):
        try:
            job.do(store, device, tell)
            return memory_taken(device)
        except DamagedError as error:
            raise LostError(*store.mend_after(error)) from error
        finally:
            give_memory_back(device)
