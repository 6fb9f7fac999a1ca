"""Networks as shapes: their tensors have no memory.

What most functions give on torch's device ``meta`` is said in Python, by functions with a mark for the compiler, which
is to pass over them. A mark asks the compiler when its function is first called, and so imports it, for three seconds
of a core. In here it asks once the compiler is there for another reason.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_COMPILER = "torch._dynamo"


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
        if _COMPILER in sys.modules:
            return function(*args, **(kwargs or {}))
        sys.modules[_COMPILER] = _StandsIn(_COMPILER)
        try:
            return function(*args, **(kwargs or {}))
        finally:
            _withdraw()


class _StandsIn(ModuleType):
    """For the compiler, where it is told to pass over something; for whatever else somebody wants, it is imported."""

    def disable(self, fn: Callable[..., Any] | None = None, recursive: bool = True, **further: Any) -> Any:
        """What the function of this name gives, which it is asked for once the compiler is there."""
        if fn is None:
            return functools.partial(self.disable, recursive=recursive, **further)

        @functools.cache
        def disabled() -> Any:
            return sys.modules[_COMPILER].disable(fn, recursive, **further)

        @functools.wraps(fn)
        def called(*arguments: Any, **named: Any) -> Any:
            there = not isinstance(sys.modules.get(_COMPILER, self), _StandsIn)
            return (disabled() if there else fn)(*arguments, **named)

        return called

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # as ``inspect`` looks for in every module
            raise AttributeError(name)
        _withdraw()
        import torch._dynamo

        return getattr(torch._dynamo, name)


def _withdraw() -> None:
    if isinstance(sys.modules.get(_COMPILER), _StandsIn):
        sys.modules.pop(_COMPILER, None)
