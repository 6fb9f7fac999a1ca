"""The public function that examines a trained model.

    found = dgbench.examine("digits", "wise_ft", target="print")
    print([(layer.name, layer.straggler) for layer in found.layers])

Nothing is trained, and nothing is put into a store. Nothing here imports torch before it is needed.
"""

from __future__ import annotations

import math
from pathlib import Path

from dgbench.api.boards import Board, Device, rules
from dgbench.core.errors import DataError
from dgbench.core.judges import asked_for
from dgbench.diagnostics.examined import Examined
from dgbench.runs.store import Store

IMAGES, RADIUS = 256, 0.1


def examine(
    board: Board,
    algorithm: str,
    *,
    target: str | None = None,
    trial: int = 0,
    criterion: str | None = None,
    images: int = IMAGES,
    radius: float = RADIUS,
    store: Path | str | None = None,
    device: Device = "auto",
) -> Examined:
    """Examine the model that a criterion chose: its way from the initial weights, stragglers, calibration, sharpness.

    Args:
        board, algorithm: A board, and a recipe such as ``"wise_ft"`` whose runs are finished.
        target, trial: The domain that was left out, by default the board's first, and the repetition.
        criterion: What chooses among draws and checkpoints, in place of the board's own.
        images: Of each source domain, that sharpness and stragglers are measured on, at most.
        radius: Of the ball in which sharpness is measured, finite and at least 0.
        store, device: Where the work is kept; where the model is looked at.

    Returns:
        What was found, with ``as_data()`` for programs.

    Raises:
        StoreError: runs are missing, the weights were not kept, or there is no such target or trial.
        DataError: ``images`` is below 1, ``radius`` is below 0 or not finite, or the board's data is not here.
        DGBenchError: the recipe does not fit, has a predictor of its own or several networks, or the criterion reads
            target labels.
    """
    from dgbench.exported.choose import chosen
    from dgbench.exported.examine import EXAMINED
    from dgbench.exported.examine import examine as look
    from dgbench.runs.device import resolve_device

    if images < 1 or not 0 <= radius < math.inf:
        raise DataError(
            f"images={images}, radius={radius}: expected at least one image, and a finite radius of 0 or more"
        )
    card, kept = rules(board, criterion=asked_for(criterion)), Store.at(store)
    by = criterion or card.criterion
    choice = chosen(card, algorithm, kept, criterion=by, target=target, trial=trial, limits=EXAMINED)
    return look(choice, kept, resolve_device(device), images, radius)
