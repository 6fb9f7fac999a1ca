"""Importing timm without torch's compiler, which takes longer to import than all that this library computes with.

timm marks a function as none to compile, and torchvision, which it imports, asks whether a device has a compiler. Both
ask the compiler itself, so whatever built a network had imported it, for three seconds of a core, and called nothing of
it. Here the mark asks once the compiler is there, and torchvision once it is called. Whoever else imports the compiler
has it; where that came first, as by another library, nothing is left to do.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from dgbench.models.stand_in import COMPILER, StandIn, passed_over, withdraw

_ASKED = f"{COMPILER}.utils"
_MARKING: Any = torch.compiler
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def uncompiled() -> Iterator[None]:
    """Inside, libraries that only mark what they have for the compiler do not import it.

    Within another one it does nothing, and threads wait for each other.
    """
    with _ONE_AT_A_TIME:
        if COMPILER in sys.modules or _ASKED in sys.modules:
            yield
            return
        before, watch = _MARKING.disable, _Watch()
        sys.modules[_ASKED] = _Utilities(_ASKED)
        sys.meta_path.insert(0, watch)
        _MARKING.disable = passed_over
        try:
            yield
        finally:
            _MARKING.disable = before
            sys.meta_path.remove(watch)
            withdraw(_ASKED)


class _Utilities(StandIn):
    """What torchvision asks."""

    def is_compile_supported(self, device: str) -> bool:
        """What the function of this name says."""
        from torch._dynamo import utils

        answer: bool = utils.is_compile_supported(device)
        return answer


class _Watch:
    """Sees that the compiler itself is imported."""

    def find_spec(self, name: str, *place: object) -> None:
        if name == COMPILER:
            withdraw(_ASKED)
