"""What is freed stays with a worker: small blocks always, large ones while it only looks."""

from __future__ import annotations

import platform
from collections.abc import Iterator

import called
import pytest

from dgbench.core.memory import keep_freed_memory
from dgbench.core.processes import Pool

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep what they keep")
PAGES = 256
"""In a megabyte."""


@pytest.fixture(scope="module")
def worker() -> Iterator[Pool]:
    with Pool(1, keep_freed_memory) as pool:
        yield pool


def test_small_blocks_are_used_again(worker: Pool) -> None:
    assert worker.submit(called.fresh_pages, 24, 4).result() < 24 * PAGES


def test_large_blocks_go_back_unless_the_worker_only_looks(worker: Pool) -> None:
    assert worker.submit(called.fresh_pages, 64, 4).result() >= 4 * 64 * PAGES
    assert worker.submit(called.fresh_pages_looking, 64, 4).result() < 64 * PAGES
    assert worker.submit(called.fresh_pages, 64, 4).result() >= 4 * 64 * PAGES


def test_what_was_kept_goes_back_when_the_looking_is_over(worker: Pool) -> None:
    inside, afterwards = worker.submit(called.grown, 400).result()
    assert inside > 300
    assert afterwards < 100
