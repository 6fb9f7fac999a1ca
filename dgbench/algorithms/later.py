"""torch, as the files of parts name it: imported when something of it is first used.

A plan asks parts for their hyperparameters and for what they need, and computes nothing, so it can do without torch,
which takes seconds to import. What is made of torch, a method imports where it calls it; of types the name is enough.
A part in a package of your own imports torch like any module, and so does a plan with it.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["F", "Network", "Normal", "Role", "Tensor", "nn", "torch"]


class _Later(ModuleType):
    """Stands for the module of its name."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_module(self.__name__), name)


@cache
def _module(name: str) -> ModuleType:
    """Asked for several times in every step: to find it anew was a twentieth of the step of a head."""
    return importlib.import_module(name)


if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn

    from dgbench.data.pixels.normal import Normal
    from dgbench.models.network import Network, Role
else:
    torch, nn, F = _Later("torch"), _Later("torch.nn"), _Later("torch.nn.functional")
    Network = Normal = Role = Tensor = Any  # they stand in annotations, which nothing reads
