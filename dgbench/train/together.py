"""Trainings side by side that see the same batches: a batch is made once for all of them.

Each takes its own steps, with the very operations that it takes alone, on tensors of the same shapes. So its weights
are the same to the bit, whoever is beside it, and its files, its seal and where it resumes are its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from dgbench.core.disk import DiskError
from dgbench.core.errors import DGBenchError
from dgbench.core.stopping import in_steps
from dgbench.train.ending import History
from dgbench.train.training import Training

STATE_EVERY = "DGBENCH_STATE_EVERY"
PAUSE = 10.0
"""Seconds between two states to resume from in a sweep, where nobody says otherwise: small networks and heads are at a
checkpoint every moment, large ones seldom."""


def pause() -> float:
    """Seconds between two states to resume from in a sweep: ``$DGBENCH_STATE_EVERY``, or ten; 0 is every checkpoint.

    Raises:
        DGBenchError: the environment says something else than a number of seconds.
    """
    said = os.environ.get(STATE_EVERY)
    if said is None:
        return PAUSE
    with suppress(ValueError):
        if (seconds := float(said)) >= 0:
            return seconds
    raise DGBenchError(f"{STATE_EVERY}: '{said}' is no number of seconds, such as 60; 0 is every checkpoint")


def train_together(
    trainings: Sequence[Training],
    on_step: Callable[[int], None] = lambda step: None,
    on_history: Callable[[str, int, History], None] = lambda training, step, rows: None,
) -> dict[str, Exception]:
    """Carry on trainings to their end, step by step; why some did not come to it, by their ids.

    Args:
        trainings: Begun, some perhaps resumed; alike in their data, sampler, seeds and number of steps.
        on_step: Called with the number of steps that all have done.
        on_history: As for :func:`dgbench.train.loop.train`, with the id of the training first.

    Raises:
        DiskError: nothing more can be written.
        StoppedError: a signal asked to stop; what was done is kept, to the last step.
    """
    failed: dict[str, Exception] = {}
    for one in trainings:
        on_history(one.spec.id, one.step, one.history)
    first = trainings[0]
    clock = first.clock
    steps = range(min(one.step for one in trainings), first.spec.steps)
    with in_steps() as stop, first.sources.batches(first.parts.sampler, steps) as batches:
        for step, batch in zip(steps, batches, strict=True):
            for one in trainings:
                if one.spec.id in failed or one.step > step:
                    continue
                one.clock = clock
                try:
                    rows = one.advance(step, batch)
                except DiskError:
                    raise
                except Exception as error:  # noqa: BLE001 (whatever ends one training, the others go on)
                    failed[one.spec.id] = error
                    continue
                finally:
                    clock = one.lap()
                if rows:
                    on_history(one.spec.id, step + 1, rows)
            on_step(step + 1)
            if stop():
                for one in trainings:
                    if one.spec.id not in failed:
                        one.keep()
                return failed
        for one in trainings:
            if one.spec.id not in failed:
                one.clock = clock
                one.finish()
                clock = one.clock
    return failed
