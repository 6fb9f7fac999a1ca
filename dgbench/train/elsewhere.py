"""The training of a whole algorithm from elsewhere: the loop's batches, seeds and checkpoints, and its own updates."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgbench.algorithms.slots import State
from dgbench.algorithms.step import Batch
from dgbench.core.errors import RecipeError
from dgbench.models.effective import load_effective
from dgbench.models.elsewhere import Elsewhere, sow
from dgbench.train.attributes import Attributes, Plain, UnkeepableError, restore
from dgbench.train.evaluate import CHUNK, evaluating
from dgbench.train.training import Training

log = logging.getLogger(__name__)

_ROUNDING = 1e-3
"""What logits may differ by, of the largest, where batches of other sizes round otherwise."""


UNDIVIDED = (
    "'{}' is a whole algorithm from elsewhere: its own update runs its networks, so its steps can be divided neither "
    "among processes (--processes-per-training) nor into micro-batches (--micro-batch)"
)


class ItsOwnTraining(Training):
    """The state of one training between steps. What the class keeps beside weights is found in its attributes."""

    network: Elsewhere

    def _equip(self) -> None:
        if self.division:
            raise RecipeError(UNDIVIDED.format(self.network.called))
        self.plain: Plain = None
        self.unkept = ""
        try:
            self.fresh = Attributes(self.network.algorithm).needs
        except UnkeepableError as error:
            self._starts_again(str(error))

    def take(self, step: int, batch: Batch) -> None:
        """One update of the class, on the minibatch of each source domain as DomainBed hands them over."""
        sow(self.spec.seed("step", step))
        pictures, labels = (torch.split(each, list(batch.sizes)) for each in (batch.x, batch.y))
        minibatches = [(x.contiguous(), y) for x, y in zip(pictures, labels, strict=True)]
        readings = self.network.algorithm.update(minibatches, None)
        if not isinstance(readings, Mapping):
            raise RecipeError(
                f"'{self.network.called}': update gave a {type(readings).__name__}, not a dictionary of numbers"
            )
        self.loss = self._loss_of(readings)
        self.recorder.after_step()

    def _loss_of(self, readings: Mapping[str, Any]) -> Tensor:
        """What is told of a step: ``loss``, or where there is none what comes first."""
        key = "loss" if "loss" in readings else next(iter(readings), None)
        value = 0.0 if key is None else readings[key]
        if isinstance(value, Tensor | np.ndarray | np.generic) and math.prod(value.shape) == 1:
            return torch.as_tensor(value.detach() if isinstance(value, Tensor) else value).reshape(())
        if isinstance(value, int | float):
            return torch.tensor(value, dtype=torch.float64)
        raise RecipeError(
            f"'{self.network.called}': update gave no single number as '{key}', by which its loss is known, but "
            f"{_shape_of(value)}; give the loss as 'loss'"
        )

    def _check(self, step: int) -> None:
        """That weights say all of what is predicted, at the first and the last look."""
        if step not in (min(self.checkpoints), self.spec.steps):
            return
        fresh = self.network.again()
        load_effective(fresh, {name: tensor.detach().float() for name, tensor in self.network.tensors().items()})
        held = self.sources.validating[0]
        self._check_predictions(fresh, held.inputs.ready(held.validation[:CHUNK]))

    def _check_predictions(self, fresh: Elsewhere, x: Tensor) -> None:
        """What is stored of a training is its weights, and a board asks of one image at a time."""
        with evaluating(self.network), evaluating(fresh):
            logits = self.network.features(x)
            others = {
                "chance, or by what it predicted before": self.network.features(x),
                "the other images that it is shown": torch.cat(
                    [self.network.features(half) for half in torch.split(x, -(-len(x) // 2))]
                ),
                "what is neither a parameter nor a buffer (register it as a buffer)": fresh.features(x),
            }
        for what, other in others.items():
            if not bool(((logits - other).abs() <= _ROUNDING * logits.abs().max().clamp(min=1)).all()):
                raise RecipeError(f"'{self.network.called}' predicts by {what}, and not by its weights alone")

    def _starts_again(self, why: str) -> None:
        """Say why nothing is kept to resume from; once."""
        if not self.unkept:
            log.warning(
                "'%s': %s, which cannot be kept; where this training is stopped, it starts again from step 0",
                self.network.called,
                why,
            )
        self.unkept = why

    def _save(self, step: int) -> None:
        if self.unkept:
            return
        try:
            found = Attributes(self.network.algorithm)
        except UnkeepableError as error:
            self._starts_again(str(error))
            return
        if changed := [place for place, what in (found.needs | self.fresh).items() if found.needs.get(place) != what]:
            self._starts_again(f"'{changed[0]}' is not what it was when the object was made")
            return
        self._found = found
        super()._save(step)
        del self._found

    def _state(self) -> State:
        return {f"net/{name}": tensor for name, tensor in self._found.tensors.items()}

    def _noted(self) -> dict[str, Any]:
        return {"elsewhere": self._found.plain}

    def resume(self, progress: dict[str, Any]) -> None:
        """Go on from the last checkpoint."""
        self.plain = progress["elsewhere"]
        super().resume(progress)

    def _load(self, tensors: State) -> None:
        kept = {name.removeprefix("net/"): t for name, t in tensors.items() if name.startswith("net/")}
        restore(self.network.algorithm, kept, self.plain)


def _shape_of(value: Any) -> str:
    kind = type(value).__name__
    return f"a {kind} of the shape {list(value.shape)}" if isinstance(value, Tensor | np.ndarray) else f"a {kind}"
