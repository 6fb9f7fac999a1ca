"""As much of ``ray`` as the launcher uses, on processes of this machine: for what dgbench makes of it, without Ray.

``scripts/check_launchers.py`` tries the same with Ray itself.
"""

import types
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

from dgbench.core.processes import Pool, WorkerDiedError


class RayError(Exception):
    """Ray's base of all errors."""


class _Ear:
    """An actor of which nobody hears anything, as where its node is gone; it travels to workers."""

    def __getattr__(self, name: str) -> "_Ear":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def remote(self, *arguments: Any) -> None:
        return None


class _Ref:
    def __init__(self, future: "Future[Any]") -> None:
        self._future = future

    def future(self) -> "Future[Any]":
        told: Future[Any] = Future()

        def over(done: "Future[Any]") -> None:
            error = done.exception()
            if isinstance(error, WorkerDiedError):
                error = RayError(f"the worker crashed\n{error}")
            told.set_exception(error) if error else told.set_result(done.result())

        self._future.add_done_callback(over)
        return told


class _Remote:
    def __init__(self, pool: Pool, function: Any) -> None:
        self._pool, self._function = pool, function

    def options(self, **takes: Any) -> "_Remote":
        assert takes.keys() <= {"num_cpus", "num_gpus", "max_retries", "memory"}
        return self

    def remote(self, *arguments: Any) -> Any:
        if isinstance(self._function, type):
            return _Ear()
        return _Ref(self._pool.submit(_in_worker, self._function.__module__, self._function.__name__, arguments))


def _in_worker(module: str, name: str, arguments: tuple[Any, ...]) -> Any:
    import importlib
    import sys

    sys.modules["ray"], sys.modules["ray.exceptions"] = modules(None)
    return getattr(importlib.import_module(module), name)(*arguments)


def modules(pool: Pool | None) -> tuple[types.ModuleType, types.ModuleType]:
    """``ray`` and ``ray.exceptions``, whose workers are a pool's."""
    ray, exceptions = types.ModuleType("ray"), types.ModuleType("ray.exceptions")
    own: dict[str, Callable[..., Any]] = {
        "is_initialized": lambda: True,
        "cluster_resources": lambda: {"CPU": 2.0},
        "nodes": lambda: [{"Alive": True, "Resources": {"CPU": 2.0, "memory": 4e9}}, {"Alive": False, "Resources": {}}],
        "remote": lambda function: _Remote(pool, function) if pool else None,
        "get": lambda ref: ref or (),
        "get_gpu_ids": list,
        "cancel": lambda ref: None,
        "wait": lambda refs, num_returns, timeout=None: wait([ref._future for ref in refs], timeout),
    }
    for name, function in own.items():
        setattr(ray, name, function)
    exceptions.RayError = RayError  # type: ignore[attr-defined]
    return ray, exceptions
