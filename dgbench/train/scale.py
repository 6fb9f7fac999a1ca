"""Values as networks learn them: standardised by what the source domains train on, so that no unit matters.

It follows from the identity of a training (its sources, its splits), so it is found again wherever it is wanted, and
nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of values, over the training examples of all source domains.

    Attributes:
        mean, deviation: In the unit of the data; a deviation of 0 counts as 1.
    """

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Iterable[NDArray[Any]]) -> Scale:
        """That of the values of some domains, float64 ``[n]`` each."""
        every = np.concatenate([*values])
        return cls(float(every.mean()), float(every.std()) or 1.0)

    def standard(self, values: NDArray[Any]) -> Tensor:
        """Values as they are learnt, float32 ``[n]``, on the CPU."""
        return torch.from_numpy(((values - self.mean) / self.deviation).astype(np.float32))

    def back(self, outputs: Tensor) -> NDArray[np.float64]:
        """What a head gives out, ``[n, 1]``, in the unit of the data, ``[n]``."""
        return self.mean + self.deviation * outputs.squeeze(1).double().cpu().numpy()
