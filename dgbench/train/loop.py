"""The one loop that trains every recipe. It knows no algorithm.

A step depends on the weights before it and on its own number: batches, augmentation and dropout draw from seeds named
after the step. A training that is killed goes on from the last state that it kept, one that is asked to stop from its
last step, and ends with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from dgbench.algorithms.earlier import Said
from dgbench.core.pieces import every, pieces
from dgbench.core.seals import MIDWAY, sealed
from dgbench.core.stopping import in_steps
from dgbench.models.elsewhere import Elsewhere
from dgbench.models.network import Network
from dgbench.train.auxiliary import attach_auxiliary
from dgbench.train.division import WHOLE, Division
from dgbench.train.elsewhere import ItsOwnTraining
from dgbench.train.ending import History
from dgbench.train.parts import Parts, attach
from dgbench.train.sibling import Sibling
from dgbench.train.sources import Sources
from dgbench.train.spec import TrainingSpec
from dgbench.train.training import Training


def train(
    spec: TrainingSpec,
    parts: Parts,
    network: Network,
    sources: Sources,
    folder: Path,
    on_step: Callable[[int], None] = lambda step: None,
    keep: Collection[str] | None = None,
    on_history: Callable[[int, History], None] = lambda step, rows: None,
    said: Sequence[Said] = (),
    pause: float = 0.0,
    division: Division = WHOLE,
    company: AbstractContextManager[None] | None = None,
) -> None:
    """Train ``network`` and leave a finished training in ``folder``.

    Where the folder holds a finished training, it is done again for the pieces that it lacks; what it has stays as it
    is, since runs were predicted from it.

    Args:
        spec: What to train.
        parts: The parts named in the spec.
        network: On the device of the sources, with its initial weights, adapter not yet attached.
        sources: The source domains.
        folder: The training's own folder in the store; what an earlier attempt left there is gone on from.
        on_step: Called with the number of steps done.
        keep: The pieces of its way that are written, by the names of :mod:`dgbench.core.pieces`; by default all.
        on_history: Called before the first step with the number of steps that an earlier attempt did and all that it
            measured, and after each checkpoint with its step and its rows.
        said: What the trainings that the objective reads say of the images that train.
        pause: Seconds, at least, from one state to resume from to the next. A state is kept at the first checkpoint
            after that, and before it where a checkpoint is far: after the first step at which that is a twentieth of
            the time or less. 0: at every checkpoint, and nowhere else.
        division: What its steps are divided into.
        company: Has the other processes there that take the steps, too; entered once there is what to go on from.

    Raises:
        DivergedError: the loss is not finite at a checkpoint.
        RecipeError: its steps cannot be divided so.
        ValueError: the network computes in another precision than the spec says.
        StoppedError: a signal asked to stop; what was done is kept, to the last step.
    """
    run = begun(spec, parts, network, sources, folder, keep, pause, said, division)
    on_history(run.step, run.history)
    steps = range(run.step, spec.steps)
    with company or nullcontext(), in_steps() as stop, sources.batches(parts.sampler, steps) as batches:
        for step, batch in zip(steps, batches, strict=True):
            rows = run.advance(step, batch)
            if rows:
                on_history(step + 1, rows)
            on_step(step + 1)
            if stop():
                run.keep()
                return
        run.finish()


def begun(
    spec: TrainingSpec,
    parts: Parts,
    network: Network,
    sources: Sources,
    folder: Path,
    keep: Collection[str] | None = None,
    pause: float = 0.0,
    said: Sequence[Said] = (),
    division: Division = WHOLE,
) -> Training:
    """A training before its first step, or where an earlier attempt left it; all but ``pause`` as for :func:`train`.

    Args:
        pause: As for :func:`train`.

    Raises:
        RecipeError: its steps cannot be divided so.
        ValueError: the network computes in another precision than the spec says.
        DamagedError: what an earlier attempt left is not what it wrote.
    """
    if network.precision != spec.precision:
        raise ValueError(f"a network in {network.precision} for a training in {spec.precision}")
    attach(spec, parts, network)
    attach_auxiliary(spec, parts, network, [len(domain.labels) for domain in sources.domains])
    if said:
        rows = [domain.train for domain in sources.domains]
        labels = [domain.labels.cpu()[domain.train] for domain in sources.domains]
        parts.objective.hear(network, rows, labels, said)
    before = sealed(folder)
    wanted = every(spec.checkpoint_steps()) if keep is None else frozenset(keep)
    wanted -= pieces(before["files"]) if before else set()
    stopped = sealed(folder, MIDWAY)
    if stopped is not None and not ("keep" in stopped and wanted <= set(stopped["keep"])):
        stopped = None  # it did not keep what is wanted now
    kind = ItsOwnTraining if isinstance(network, Elsewhere) else Sibling if division.rank else Training
    kept = () if division.rank else stopped["keep"] if stopped else wanted
    run = kind(spec, parts, network, sources, folder, kept, before, pause, division)
    if stopped is None:
        run.start()
    else:
        run.resume(stopped)
    return run
