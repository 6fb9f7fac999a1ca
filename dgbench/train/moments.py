"""What an optimizer keeps of the steps that it took, as named tensors to resume from."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dgbench.algorithms.slots import State
from dgbench.train.layout import check_layouts, laid_out_like


def moments(optimizer: torch.optim.Optimizer, weights: Mapping[str, Tensor]) -> State:
    """The optimizer's own tensors, by the number of the weight and their name: ``3/exp_avg``."""
    return {
        f"{number}/{key}": value
        for number, weight in enumerate(weights.values())
        for key, value in optimizer.state[weight].items()
    }


def load_moments(optimizer: torch.optim.Optimizer, weights: Mapping[str, Tensor], found: State) -> None:
    """The reverse of :func:`moments`, into a fresh optimizer over the same weights.

    Raises:
        DGBenchError: a tensor lies in memory otherwise than its weight.
    """
    parameters = list(weights.values())
    state: dict[int, State] = {}
    for name, tensor in found.items():
        number, _, key = name.partition("/")
        state.setdefault(int(number), {})[key] = laid_out_like(parameters[int(number)], tensor)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    check_layouts(weights, optimizer)
