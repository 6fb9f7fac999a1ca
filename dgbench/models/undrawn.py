"""Networks that are given weights: the random numbers that they would begin with are not drawn.

They would take longer than the weights do to be read. Whoever makes a network in here puts a number in the place of
each of them: what was not drawn is whatever lay in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.overrides import TorchFunctionMode

_DRAWS = frozenset({"normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_", "xavier_normal_",
                    "xavier_uniform_"})  # fmt: skip
"""Functions of ``torch.nn.init`` and methods of tensors."""


class Undrawn(TorchFunctionMode):
    """Inside, what would draw numbers into a tensor leaves it as it is."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if getattr(function, "__name__", "") in _DRAWS:
            return args[0] if args else named["tensor"]
        return function(*args, **named)
