"""Networks as shapes: their tensors have no memory.

What most functions give on torch's device ``meta`` is said in Python, by functions with a mark for the compiler, which
is to pass over them. A mark asks the compiler when its function is first called, and so imports it, for three seconds
of a core. In here it asks once the compiler is there for another reason.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from dgbench.models.stand_in import COMPILER, StandIn, passed_over, withdraw


@contextmanager
def weightless() -> Iterator[None]:
    """Inside, tensors that are made have a shape and no memory."""
    with torch.device("meta"), _Unasked():
        yield


class _Unasked(TorchFunctionMode):
    """While a function of torch is at work, what it asks of the compiler is answered without it."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if COMPILER in sys.modules:
            return function(*args, **(kwargs or {}))
        sys.modules[COMPILER] = _Compiler(COMPILER)
        try:
            return function(*args, **(kwargs or {}))
        finally:
            withdraw(COMPILER)


class _Compiler(StandIn):
    """Is told to pass over something."""

    disable = staticmethod(passed_over)
