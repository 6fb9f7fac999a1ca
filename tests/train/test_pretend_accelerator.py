"""Steps of every recipe on an accelerator that is not there: nothing mixes devices, nothing reads back to the host."""

from collections.abc import Iterator
from pathlib import Path

import pretend
import pytest
from torch.utils import backend_registration

from dgbench.core import registry
from dgbench.core.cards import card_names
from dgbench.core.errors import DGBenchError
from dgbench.core.processes import Pool
from dgbench.core.recipe import compose
from dgbench.core.registry import load

pytestmark = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch lets nobody register a device in Python",
)


@pytest.fixture(scope="module")
def process() -> Iterator[Pool]:
    """torch must know of a kind of device before it computes anything."""
    with Pool(1, pretend.register) as pool:
        yield pool


def takes_steps(algorithm: str) -> bool:
    slots = compose(algorithm).slots
    return "adapter" not in slots or load("adapter", slots["adapter"].part).takes_steps


@pytest.mark.parametrize("algorithm", [name for name in card_names("algorithms") if takes_steps(name)])
def test_steps_stay_on_the_accelerator(algorithm: str, process: Pool, tmp_path: Path) -> None:
    assert process.submit(pretend.steps, algorithm, tmp_path).result() == pretend.PRETEND


READS_BACK = {
    "t3a": "which classes a batch falls into",
    "tast": "which classes a batch falls into",
    "tast_bn": "where the nearest supports lie, of which there are k",
    "adanpc": "where the nearest rows lie, of which there are k, and how many examples join the memory",
    "adanpc_bn": "where the nearest rows lie, of which there are k, and how many examples join the memory",
    "divdis": "how many source domains there are, and which head is best on them: once, as it is prepared",
    "mtl": "how many source domains there are: once, as it is prepared",
    "edge_branch": "which pixels of an edge map hang together, which is found out on the CPU",
    "lame": "where the nearest examples lie, of which there are k",
}
"""Predictors whose streams ask the accelerator for numbers, and which."""


@pytest.mark.parametrize("name", sorted(registry.BUILT_IN["predictor"]))
def test_streams_stay_on_the_accelerator(name: str, process: Pool) -> None:
    if name in READS_BACK:
        with pytest.raises(DGBenchError, match=r"DataDependentOutput|DynamicOutputShape"):
            process.submit(pretend.stream, name).result()
    else:
        assert process.submit(pretend.stream, name).result() == pretend.PRETEND


def test_what_stays_behind_is_found(process: Pool, tmp_path: Path) -> None:
    with pytest.raises(DGBenchError, match="on the same device"):
        process.submit(pretend.a_step_with_labels_left_behind, tmp_path).result()


def test_reading_a_value_back_is_found(process: Pool) -> None:
    with pytest.raises(DGBenchError, match="DataDependentOutput"):
        process.submit(pretend.a_value_read_back).result()
