"""What is found out when somebody asks, and once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Once(Generic[T]):
    """A function without arguments that finds its answer once.

    Unlike that of ``functools.cache`` it can be sent to another process, with its answer where that is known, wherever
    ``find`` can: so results that hold one can be pickled.
    """

    find: Callable[[], T]

    def __call__(self) -> T:
        """The answer."""
        return self._found

    @cached_property
    def _found(self) -> T:
        return self.find()
