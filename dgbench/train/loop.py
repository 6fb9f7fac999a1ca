"""The one loop that trains every recipe. It knows no algorithm.

A step depends on the weights before it and on its own number: batches, augmentation and dropout draw from seeds named
after the step. A training that is killed goes on from its last checkpoint and ends with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from dgbench.algorithms.earlier import Said
from dgbench.core.pieces import every, pieces
from dgbench.core.seals import MIDWAY, sealed
from dgbench.models.elsewhere import Elsewhere
from dgbench.models.network import Network
from dgbench.train.auxiliary import attach_auxiliary
from dgbench.train.elsewhere import ItsOwnTraining
from dgbench.train.ending import History
from dgbench.train.parts import Parts, attach
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

    Raises:
        DivergedError: the loss is not finite at a checkpoint.
        ValueError: the network computes in another precision than the spec says.
    """
    run = begun(spec, parts, network, sources, folder, keep, said=said)
    on_history(run.step, run.history)
    steps = range(run.step, spec.steps)
    with sources.batches(parts.sampler, steps) as batches:
        for step, batch in zip(steps, batches, strict=True):
            rows = run.advance(step, batch)
            if rows:
                on_history(step + 1, rows)
            on_step(step + 1)
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
) -> Training:
    """A training before its first step, or where an earlier attempt left it; all but ``pause`` as for :func:`train`.

    Args:
        pause: Seconds of work that may be lost: a checkpoint that comes sooner after the one before is not resumed at.

    Raises:
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
    kind = ItsOwnTraining if isinstance(network, Elsewhere) else Training
    run = kind(spec, parts, network, sources, folder, stopped["keep"] if stopped else wanted, before, pause)
    if stopped is None:
        run.start()
    else:
        run.resume(stopped)
    return run
