"""Who does jobs, by name: processes of this machine, a Ray cluster, or Slurm.

``local``, ``ray`` and ``slurm`` are files beside this one. Each has a class :class:`Options` of what can be said to it,
and a class that fills :class:`Launcher`. Whoever has jobs says which of them come before others; the engine decides
where each is done, and when. A worker needs the store and the data, and nothing of the process that plans.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import fields
from types import TracebackType
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from dgbench.core.errors import DGBenchError, UnknownNameError
from dgbench.core.extras import require
from dgbench.launchers.local import Local

T = TypeVar("T")
ENGINES = {"ray": ("ray", "RayCluster"), "slurm": ("submitit", "Slurm")}
"""By the launcher's name, the package that it needs and the class that fills :class:`Launcher`."""
NAMES = ("local", *ENGINES)


class Launcher(Protocol):
    """Has functions called in processes elsewhere; use it as a context.

    Where the block is left by an exception, calls are asked to stop at once; else they come to their end.

    Attributes:
        far: Whether its workers may be other machines, with caches of their own.
        kind: What they compute on: ``cpu``, ``cuda`` or ``mps``.
        workers: How many calls it wants at a time.
    """

    far: ClassVar[bool]
    kind: str
    workers: int

    def admits(self, share: float) -> bool:
        """Whether a call that takes such a share of an accelerator, in [0, 1], can be handed over now."""

    def submit(
        self,
        function: Callable[..., T],
        *arguments: Any,
        share: float = 0.0,
        tell: Callable[[Any], None] | None = None,
    ) -> Future[T]:
        """Have a worker call a function of some module.

        Args:
            function: What is called, with the name of the worker's device first. Its exceptions become the future's,
                as they are.
            arguments: For the function.
            share: Of an accelerator's memory, in [0, 1].
            tell: Is called, in some thread, with everything that the function gives to its argument of the same name,
                which it has only then; at the latest before the future has its result.

        Returns:
            What the function returns; or ``WorkerDiedError``, where the worker, or its machine, is gone.
        """

    def __enter__(self) -> Launcher: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def opened(
    name: str,
    devices: Sequence[str],
    workers: int | None,
    options: Mapping[str, Any],
    ready: Callable[..., object],
    *arguments: Any,
) -> Launcher:
    """A launcher by name.

    Args:
        name: One of :data:`NAMES`.
        devices: Where calls are made: of this machine those that there are, else the one kind that is asked for.
        workers: How many calls at a time, at most; None for what the engine has.
        options: What is said to it, by the names of its ``Options``; texts are read as what they stand for.
        ready: What a worker calls before anything else, with its device first.
        arguments: For ``ready``, after the device.

    Raises:
        UnknownNameError: there is no such launcher, or it has no such option.
        DGBenchError: the package that it needs is not here, and the message says how to get it; or an option is no
            value, or the engine cannot be reached.
    """
    if name not in NAMES:
        raise UnknownNameError("launcher", name, NAMES)
    if name == "local":
        for option in options:
            raise DGBenchError(f"the launcher 'local' has no options, and '{option}' is given to it")
        return Local(devices, workers or len(devices), ready, *arguments)
    package, kind = ENGINES[name]
    require(package, f"the launcher '{name}'", extra=name)
    module = importlib.import_module(f"dgbench.launchers.{name}")
    launcher: Launcher = getattr(module, kind)(
        devices[0], workers, read(module.Options, options, name), ready, *arguments
    )
    return launcher


def read(kind: type[T], given: Mapping[str, Any], launcher: str) -> T:
    """Options of a launcher, from what was said by name.

    Raises:
        UnknownNameError: it has no such option.
        DGBenchError: an option is no value; the message says what was expected.
    """
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise UnknownNameError(f"option of the launcher '{launcher}'", name, known)
    try:
        return TypeAdapter(kind).validate_python(dict(given))
    except ValidationError as error:
        problem = error.errors()[0]
        raise DGBenchError(
            f"option '{'.'.join(map(str, problem['loc']))}' of the launcher '{launcher}': {problem['msg']}, and got "
            f"{problem['input']!r}"
        ) from None
