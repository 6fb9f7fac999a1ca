"""Networks as shapes: their tensors have no memory.

What most functions give on torch's device ``meta`` is said in Python, by functions with a mark for the compiler, which
is to pass over them. A mark asks the compiler when its function is first called, and so imports it, for three seconds
of a core. In here it asks once the compiler is there for another reason.

A network that is made is filled with random numbers, which is most of the time that its making takes on ``meta`` as
well, where nothing is filled. In here nothing is computed of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from dgbench.models.stand_in import COMPILER, StandIn, passed_over, withdraw

_FILLS = frozenset({"add_", "clamp_", "erfinv_", "fill_", "mul_", "normal_", "uniform_", "zero_"})
"""Methods by which tensors are given their first values, beside the functions of ``torch.nn.init``."""


@contextmanager
def weightless() -> Iterator[None]:
    """Inside, tensors that are made have a shape and no memory."""
    with torch.device("meta"), _Unasked():
        yield


class _Unasked(TorchFunctionMode):
    """While a function of torch is at work, what it asks of the compiler is answered without it; what only fills a
    tensor without memory does nothing."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        filled = _filled(function, args, kwargs or {})
        if filled is not None:
            return filled
        if COMPILER in sys.modules:
            return function(*args, **(kwargs or {}))
        sys.modules[COMPILER] = _Compiler(COMPILER)
        try:
            return function(*args, **(kwargs or {}))
        finally:
            withdraw(COMPILER)


def _filled(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor | None:
    """The tensor without memory that a function would fill, which is as it was; None of any other function.

    Where gradients are asked for, such methods are steps of a computation.
    """
    name, initialises = getattr(function, "__name__", ""), getattr(function, "__module__", "") == "torch.nn.init"
    if not initialises and (name not in _FILLS or torch.is_grad_enabled()):
        return None
    tensor = args[0] if args else kwargs.get("tensor")
    return tensor if isinstance(tensor, torch.Tensor) and tensor.is_meta else None


class _Compiler(StandIn):
    """Is told to pass over something."""

    disable = staticmethod(passed_over)
