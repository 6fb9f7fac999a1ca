"""What ``conftest.py`` promises: a test sees nothing of the user's."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import huggingface_hub.constants
import pytest

from dgbench.core.paths import cache_root, store_root
from dgbench.data.disk.locate import data_roots, hub_home

HERE = Path(__file__)
FOREIGN = {
    "DGBENCH_STORE": "/nonexistent",
    "DGBENCH_CACHE": "/nonexistent",
    "DGBENCH_DATA": "/nonexistent",
    "DGBENCH_EMOJI_PACKS": "/nonexistent",
    "DGBENCH_STREAM": "1",
    "HF_HOME": "/nonexistent",
    "HF_HUB_CACHE": "/nonexistent",
    "HF_HUB_OFFLINE": "0",
    "HF_DATASETS_CACHE": "/nonexistent",
    "XDG_CACHE_HOME": "/nonexistent",
    "HOME": "/nonexistent",
    "FORCE_COLOR": "1",
}


def test_every_place_is_a_temporary_one() -> None:
    places = [store_root(), cache_root(), hub_home(), *data_roots(), Path.home()]
    places += [Path(huggingface_hub.constants.HF_HUB_CACHE)]
    for place in places:
        assert place.resolve().is_relative_to(Path(tempfile.gettempdir()).resolve()), place
        assert not place.resolve().is_relative_to(HERE.parents[1])


def test_nothing_lies_in_the_working_directory_and_what_is_left_there_goes() -> None:
    assert not list(Path.cwd().iterdir())
    Path("store").mkdir()
    Path("store", "mine").touch()


def test_nothing_lies_in_the_working_directory_after_another_test() -> None:
    assert not list(Path.cwd().iterdir())


def test_the_network_is_not_asked_and_nothing_else_is_set() -> None:
    assert huggingface_hub.constants.HF_HUB_OFFLINE
    set_ = {name for name in os.environ if name.startswith(("DGBENCH_", "HF_"))}
    assert set_ == {"DGBENCH_CACHE", "HF_HOME", "HF_HUB_OFFLINE"}
    assert "FORCE_COLOR" not in os.environ


@pytest.mark.parametrize("processes", [[], ["-n", "1"]], ids=["alone", "in a process of xdist"])
def test_the_users_environment_changes_nothing(processes: list[str]) -> None:
    command = [sys.executable, "-m", "pytest", str(HERE), "-k", "not users_environment", "-p", "no:cacheprovider"]
    session = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST_")}
    done = subprocess.run(
        [*command, *processes], cwd=HERE.parents[1], env=session | FOREIGN, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "...." in done.stdout
