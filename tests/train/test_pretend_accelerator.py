"""Steps of every recipe on an accelerator that is not there: nothing mixes devices, nothing reads back to the host."""

from collections.abc import Iterator
from pathlib import Path

import pretend
import pytest
from torch.utils import backend_registration

from dgbench.core.cards import card_names
from dgbench.core.errors import DGBenchError
from dgbench.core.processes import Pool

pytestmark = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch lets nobody register a device in Python",
)


@pytest.fixture(scope="module")
def process() -> Iterator[Pool]:
    """torch must know of a kind of device before it computes anything."""
    with Pool(1, pretend.register) as pool:
        yield pool


@pytest.mark.parametrize("algorithm", card_names("algorithms"))
def test_steps_stay_on_the_accelerator(algorithm: str, process: Pool, tmp_path: Path) -> None:
    assert process.submit(pretend.steps, algorithm, tmp_path).result() == pretend.PRETEND


def test_what_stays_behind_is_found(process: Pool, tmp_path: Path) -> None:
    with pytest.raises(DGBenchError, match="on the same device"):
        process.submit(pretend.a_step_with_labels_left_behind, tmp_path).result()


def test_reading_a_value_back_is_found(process: Pool) -> None:
    with pytest.raises(DGBenchError, match="DataDependentOutput"):
        process.submit(pretend.a_value_read_back).result()
