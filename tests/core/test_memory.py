"""What is freed stays with a worker."""

from __future__ import annotations

import os
import platform

import called
import pytest

from dgbench.core.memory import keep_freed_memory
from dgbench.core.processes import Pool


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep what they keep")
def test_freed_memory_is_used_again() -> None:
    with Pool(1, os.getpid) as plain, Pool(1, keep_freed_memory) as keeping:
        assert plain.submit(called.fresh_pages, 64, 4).result() > 4 * 1000
        assert keeping.submit(called.fresh_pages, 64, 4).result() < 1000
