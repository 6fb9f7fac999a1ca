"""Marks for torch's compiler without it: to import it takes longer than all that this library computes with."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


class StandIn(ModuleType):
    """In place of the compiler, or of a part of it; once somebody wants more of it than is here, it is imported."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and (self.__name__, name) != (COMPILER, "__path__"):
            raise AttributeError(name)  # ``inspect`` looks for such in every module; of a package its parts are wanted
        withdraw(self.__name__)
        from torch import _dynamo

        return getattr(_dynamo if self.__name__ == COMPILER else _dynamo.utils, name)


def withdraw(name: str) -> None:
    """Take the stand-in for a module away, if there is one."""
    if isinstance(sys.modules.get(name), StandIn):
        sys.modules.pop(name, None)


def passed_over(fn: Callable[..., Any] | None = None, recursive: bool = True, **further: Any) -> Any:
    """What ``disable`` of the compiler gives, which it is asked for once the compiler is there."""
    if fn is None:
        return functools.partial(passed_over, recursive=recursive, **further)

    @functools.cache
    def disabled() -> Any:
        return sys.modules[COMPILER].disable(fn, recursive, **further)

    @functools.wraps(fn)
    def called(*arguments: Any, **named: Any) -> Any:
        there = COMPILER in sys.modules and not isinstance(sys.modules[COMPILER], StandIn)
        return (disabled() if there else fn)(*arguments, **named)

    return called
