"""Importing timm without torch's compiler, which takes longer to import than all that this library computes with.

timm marks a function as none to compile, and torchvision, which it imports, asks whether a device has a compiler. Both
ask the compiler itself, so whatever built a network had imported it, for three seconds of a core, and called nothing of
it. Here each of the two asks once it is called. Whoever else imports the compiler has it; where that came first, as by
another library, nothing is left to do.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

_COMPILER = "torch._dynamo"
_ASKED = f"{_COMPILER}.utils"
_MARKING: Any = torch.compiler
_DISABLE = _MARKING.disable
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def uncompiled() -> Iterator[None]:
    """Inside, libraries that only mark what they have for the compiler do not import it.

    Within another one it does nothing, and threads wait for each other.
    """
    with _ONE_AT_A_TIME:
        if _COMPILER in sys.modules or _ASKED in sys.modules:
            yield
            return
        before, watch = _MARKING.disable, _Watch()
        sys.modules[_ASKED] = _StandsIn(_ASKED)
        sys.meta_path.insert(0, watch)
        _MARKING.disable = _disable
        try:
            yield
        finally:
            _MARKING.disable = before
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
        sys.modules.pop(_ASKED, None)


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
