"""How a worker computes, so that the same work gives the same bits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dgbench.core.memory import keep_freed_memory


def ready(device: str) -> None:
    """Ready a worker, which looks at batch after batch of one size."""
    keep_freed_memory()
    _deterministic(device)


def _deterministic(device: str) -> None:
    """Take deterministic kernels where torch has them.

    On the CPU a worker has one thread, however many cores there are: the order in which torch sums depends on the
    number of threads, and results must not depend on the machine's size or on the number of workers.
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, matrix products on CUDA may vary
    if device == "cpu":
        torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=device != "cpu")


@contextmanager
def as_worker(device: str) -> Iterator[None]:
    """Compute as a worker does inside the block, so that the same bits come out; this process's own way afterwards."""
    import torch

    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    _deterministic(device)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warns)
