"""How much memory a process has taken; what is freed stays with a worker, large blocks while it only looks."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator

import called
import pytest
from nursery import fresh_workers

from dgbench.core.memory import keep_freed_memory
from dgbench.core.processes import Pool

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep what they keep")
PAGES = 256
"""In a megabyte."""


@pytest.fixture(scope="module")
def worker() -> Iterator[Pool]:
    with fresh_workers(), Pool(1, keep_freed_memory) as pool:  # copies share pages that they have yet to write to
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


def test_a_process_has_taken_what_it_took_and_not_what_its_parent_did() -> None:
    mine = b"x" * (300 << 20)
    ask = "from dgbench.core.memory import most_resident as m; a = m(); x = b'x' * (200 << 20); del x; print(a, m())"
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    del mine
    before, after = map(int, said)
    assert 4 << 20 < before < 100 << 20
    assert 190 << 20 <= after - before < 220 << 20
