import pytest

from dgbench.data.catalogue import load
from dgbench.data.domain import Dataset


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load("digits")
