"""What tests of runs have in common."""

from collections.abc import Iterator

import pytest

from dgbench.runs.deterministic import as_worker
from exported_boards import pictures  # noqa: F401 (a fixture)


@pytest.fixture(scope="module")
def computing_as_a_worker() -> Iterator[None]:
    """The same bits as a worker's come out of this process."""
    with as_worker("cpu"):
        yield
