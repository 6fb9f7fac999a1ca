"""What a step needs, made while the step before it is at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")


@contextmanager
def ahead(make: Callable[[int], T], numbers: range) -> Iterator[Iterator[T]]:
    """Make something for each number in a thread of its own, one ahead of what was asked for.

    What is made must depend on the number alone: then it is the same as without the thread. Whatever ``make`` raises is
    raised where its result is asked for. One result is in memory besides the one at work. After the block the thread
    has ended, and what it was making is dropped.

    Args:
        make: Uses as many threads in torch's operations as its caller does.
        numbers: In this order.
    """
    with ThreadPoolExecutor(1, "ahead", torch.set_num_threads, (torch.get_num_threads(),)) as pool:
        yield _one_ahead(pool, make, numbers)


def _one_ahead(pool: ThreadPoolExecutor, make: Callable[[int], T], numbers: range) -> Iterator[T]:
    at_work = (pool.submit(make, number) for number in numbers)
    following = next(at_work, None)
    while following is not None:
        made = following.result()
        following = next(at_work, None)
        yield made
