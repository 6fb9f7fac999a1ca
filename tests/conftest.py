"""No test sees the user's store, cache, data, settings or working directory, whatever was run before.

Libraries read their environment when they are imported, so it is made anew here, before any of them is. Programs that
tests start inherit it. Each session has one cache, so that data is built once.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_FOREIGN = ("DGBENCH_", "HF_", "HUGGINGFACE_", "HUGGING_FACE_", "TRANSFORMERS_", "WILDS_", "XDG_")
_PRESENTATION = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE")
_WORKER = "PYTEST_XDIST_WORKER" in os.environ
"""Whether this is a process of a session that has made its environment."""


def _in_memory() -> None:
    """Have temporary files lie in memory, where there is enough of it: what dgbench writes it flushes to the disk, and
    a test would wait for that more often than for anything else."""
    memory, enough = Path("/dev/shm"), 8 * 10**9
    if "TMPDIR" not in os.environ and os.access(memory, os.W_OK | os.X_OK):
        pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if min(pages, shutil.disk_usage(memory).free) > enough:
            os.environ["TMPDIR"] = tempfile.tempdir = str(memory)


def _clean_environment() -> Path:
    """Take out what is the user's, and point what is left to a home of the session's own.

    Of hundreds of processes that tests start each would compile dgbench again, where none may write bytecode.
    """
    if _WORKER:
        return Path(os.environ["HOME"])
    for name in list(os.environ):
        if name.startswith(_FOREIGN) or name in (*_PRESENTATION, "PYTHONDONTWRITEBYTECODE"):
            del os.environ[name]
    _in_memory()
    home = Path(tempfile.mkdtemp(prefix="dgbench-tests-")).resolve()
    os.environ |= {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "DGBENCH_CACHE": str(home / "cache" / "dgbench"),
        "HF_HOME": str(home / "cache" / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(home / "hypothesis"),
        # Files of tests run beside each other, one for each core. Threads of one of them would wait for a core that
        # another one has, many times in a step; and those that wait by spinning would take its time.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    Path(os.environ["DGBENCH_CACHE"]).mkdir(parents=True)
    return home


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


HOME = _clean_environment()
gc.set_threshold(20_000, 20, 50)
_STORE_BEFORE = _state(ROOT / "store")


_LONG = (
    "exported/test_export.py", "runs/test_resume.py", "train/test_pretend_accelerator.py", "test_kept_boards.py",
    "models/test_without_compiler.py", "cli/test_seen.py", "runs/test_keeping.py", "runs/test_sweep.py",
    "sites/test_site.py", "train/test_divided.py", "cli/test_cli.py", "algorithms/predictors/test_every_predictor.py",
    "test_readme.py", "test_nothing_runs.py", "sites/test_in_browser.py", "exported/test_deploy.py",
    "test_notebook_page.py", "models/backbones/test_own_weights.py", "test_own_weights.py", "test_use_a_model.py",
    "exported/test_examine.py", "board/test_selected.py", "board/test_leaderboard.py", "runs/test_remembered.py",
    "runs/test_bounds.py", "data/cache/test_prepare.py", "runs/test_damage.py", "train/test_auxiliary.py",
    "runs/test_store.py", "runs/test_many_domains.py", "kit/test_page.py",
)  # fmt: skip
"""Files of tests that take longest. They begin first: one that began last would have all cores but one wait for it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; tests marked ``gpu`` need an accelerator."""
    turns = {ROOT / "tests" / name: turn for turn, name in enumerate(_LONG)}
    items.sort(key=lambda item: turns.get(item.path, len(turns)))
    if not any(item.get_closest_marker("gpu") for item in items):
        return
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no accelerator"))


def pytest_collection_finish() -> None:
    """Tests and libraries stay until the end, a million objects: looking through them for what is garbage took a
    twentieth of a session, and a fifth of the time in which they are collected."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _untouched_store() -> Iterator[None]:
    """What a run of dgbench left in the repository stays as it is."""
    yield
    assert _state(ROOT / "store") == _STORE_BEFORE, "a test wrote to the store of the repository"


@pytest.fixture(scope="session", autouse=True)
def _copied_processes() -> Iterator[None]:
    """Workers of the session, and programs that it starts as :func:`nursery.python`, begin at once."""
    from nursery import copied_processes

    with copied_processes():
        yield


@pytest.fixture(scope="session", autouse=True)
def working_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder: ``store/``, ``data/`` and ``datasets/`` are looked for below the working directory."""
    folder = tmp_path_factory.mktemp("work")
    os.chdir(folder)
    yield folder
    os.chdir(ROOT)


@pytest.fixture(autouse=True)
def _empty_working_directory(working_directory: Path) -> Iterator[None]:
    """What a test leaves there, no other test finds."""
    yield
    os.chdir(working_directory)
    for path in working_directory.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def pytest_unconfigure() -> None:
    """The session's home goes with it."""
    if not _WORKER:
        shutil.rmtree(HOME, ignore_errors=True)
