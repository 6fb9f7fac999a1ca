"""How a worker computes, so that the same work gives the same bits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dgbench.core.elsewhere import trust
from dgbench.core.memory import keep_freed_memory


def ready(device: str, trusted: tuple[str, ...] = ()) -> None:
    """Ready a worker for a device; ``trusted`` are the classes that the user named to the process that starts it."""
    keep_freed_memory()
    _bind(device)
    for recipe in trusted:
        trust(recipe)
    _deterministic(device)
    _exact()
    _unfilled()


def _bind(device: str) -> None:
    """Have what torch does on "the" accelerator, seeds among it, done on the one of that number."""
    kind, _, number = device.partition(":")
    if kind == "cuda" and number:
        import torch

        torch.cuda.set_device(int(number))


def _unfilled() -> None:
    """Leave new memory as it is, which torch otherwise fills with NaN where kernels are deterministic.

    It would show who reads what nobody wrote, and costs 2 to 6 % of a step; the bits are the same.
    """
    import torch

    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _deterministic(device: str) -> None:
    """Take deterministic kernels where torch has them.

    On the CPU a worker has one thread, however many cores there are: the order in which torch sums depends on the
    number of threads, and results must not depend on the machine's size or on the number of workers.
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, matrix products on CUDA may vary
    cpu = device.partition(":")[0] == "cpu"
    if cpu:
        torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error" if cpu else "warn")  # the other name of it imports torch's compiler


def _exact() -> None:
    """Compute float32 in float32: no TF32, which torch lets cuDNN take unasked, nor bfloat16 on a CPU."""
    for place, name, exact in _shortcuts():
        setattr(place, name, exact)


def _shortcuts() -> list[tuple[Any, str, str | bool]]:
    """Where torch is told how roughly it may compute float32: an object, its attribute, and what says not at all."""
    import torch

    backends: Any = torch.backends
    if hasattr(backends, "fp32_precision"):  # since torch 2.9; operation by operation, as the wider settings yield
        of_cuda = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)
        of_cpu = (backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn)
        return [(place, "fp32_precision", "ieee") for place in (*of_cuda, *of_cpu)]
    return [(place, "allow_tf32", False) for place in (backends.cuda.matmul, backends.cudnn)]


@contextmanager
def as_worker(device: str) -> Iterator[None]:
    """Compute as a worker does inside the block, so that the same bits come out; this process's own way afterwards."""
    import torch

    threads, strict = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    rough = [(place, name, getattr(place, name)) for place, name, _ in _shortcuts()]
    _deterministic(device)
    _exact()
    try:
        yield
    finally:
        for place, name, value in rough:
            setattr(place, name, value)
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(strict)
