"""Importing timm without torch's compiler, which takes longer to import than all that this library computes with.

timm marks a function as none to compile, and torchvision, which it imports, asks whether a device has a compiler. Both
ask the compiler itself, so whatever built a network had imported it, for three seconds of a core, and called nothing of
it. Here each of the two asks once it is called. Whoever else imports the compiler has it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

_COMPILER = "torch._dynamo"
_ASKED = f"{_COMPILER}.utils"
_MARKING: Any = torch.compiler
_DISABLE = _MARKING.disable


@contextmanager
def uncompiled() -> Iterator[None]:
    """Inside, libraries that only mark what they have for the compiler do not import it."""
    if _COMPILER in sys.modules:
        yield
        return
    stands_in, watch = _StandsIn(_ASKED), _Watch()
    sys.modules[_ASKED] = stands_in
    sys.meta_path.insert(0, watch)
    _MARKING.disable = _disable
    try:
        yield
    finally:
        _MARKING.disable = _DISABLE
        sys.meta_path.remove(watch)
        _withdraw()


class _StandsIn(ModuleType):
    """For the module that torchvision asks; whatever else somebody looks for in it is the module's own."""

    def is_compile_supported(self, device: str) -> bool:
        """What the function of this name says."""
        from torch._dynamo import utils

        answer: bool = utils.is_compile_supported(device)
        return answer

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # as ``inspect`` looks for in every module
            raise AttributeError(name)
        _withdraw()
        from torch._dynamo import utils

        return getattr(utils, name)


class _Watch:
    """Sees that the compiler itself is imported."""

    def find_spec(self, name: str, *place: object) -> None:
        if name == _COMPILER:
            _withdraw()


def _withdraw() -> None:
    if isinstance(sys.modules.get(_ASKED), _StandsIn):
        del sys.modules[_ASKED]


def _disable(function: Any = None, recursive: Any = True, **why: Any) -> Any:
    """``torch.compiler.disable`` that is asked when the function is called first."""
    if function is None:
        return functools.partial(_disable, recursive=recursive, **why)

    @functools.cache
    def disabled() -> Any:
        return _DISABLE(function, recursive, **why)

    @functools.wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        return disabled()(*arguments, **named)

    return called
