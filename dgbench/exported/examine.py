"""Examining the model that a board's criterion chose in one cell.

Its weights are those that its run predicted with: merged, averaged, with statistics of batch normalisation that were
estimated again where its average does that. What is looked at along the way is the plain prediction, so recipes with a
predictor of their own are refused (:data:`EXAMINED`): at a = 1 they would not be the model of the board.
"""

from __future__ import annotations

import torch

from dgbench.diagnostics.examined import Examined
from dgbench.exported.choose import Choice, Limits
from dgbench.models.effective import effective_state
from dgbench.runs.deterministic import as_worker
from dgbench.runs.examining import along, by_layer, calibrated, sharp, some
from dgbench.runs.parts import parts_of
from dgbench.runs.predict import Bench
from dgbench.runs.store import Store

EXAMINED = Limits(
    "nothing is known of its layers, so it is not examined; a recipe of dgbench's own parts is",
    "an examination counts images whose class is right",
    "an examination looks at one",
    "an examination looks at weights by the plain prediction, the largest logit of the shared head among all classes",
)


def examine(choice: Choice, store: Store, device: str, images: int, radius: float) -> Examined:
    """What is found of a chosen model.

    Args:
        choice: Which.
        store: Holds its weights.
        device: Where it is looked at.
        images: Of each source domain, that sharpness and stragglers are measured on, at most.
        radius: Of the ball in which sharpness is measured.

    Raises:
        StoreError: its weights were not kept.
        DamagedError: they are not what was written.
    """
    entry = choice.entry
    training, run = choice.plan.trainings[entry.training], choice.plan.runs[entry.run]
    with as_worker(device):
        bench = Bench(training, store, torch.device(device))
        before, after = bench.trajectory.initial(), effective_state(bench.recall(run, choice.step)[0])
        shown, held = bench.sets(run), some(bench.sources.validating, images, training.seed("examined"))
        curve, mixed, said = along(bench, shown, before, after)
        return Examined(
            board=choice.board.name,
            algorithm=entry.algorithm,
            target=entry.target,
            trial=entry.trial,
            draw=entry.draw,
            step=choice.step,
            classified=parts_of(training).adapter.initial_head() != "random",
            radius=radius,
            images=images,
            curve=tuple(curve),
            mixed=tuple(mixed),
            bins=tuple(calibrated(said)),
            sharpness=tuple(sharp(bench, held, after, radius)),
            layers=tuple(by_layer(bench, held, before, after, radius)),
        )
