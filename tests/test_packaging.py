import importlib.metadata
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_folder_of_cards_hides_no_library() -> None:
    """Hugging Face's `datasets` is a library; the folder of that name here holds cards only."""
    spec = importlib.util.find_spec("datasets")
    assert spec is not None
    assert spec.origin is not None
    assert not Path(spec.origin).is_relative_to(ROOT / "datasets")
    for folder in ("algorithms", "datasets", "leaderboards"):
        assert not list((ROOT / folder).rglob("*.py"))


def test_importing_dgbench_costs_nothing() -> None:
    code = "import sys, dgbench; print(len([m for m in ('torch', 'polars', 'pydantic') if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_the_constraints_name_every_dependency_by_its_exact_version() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = dict(line.lower().replace("_", "-").split("==") for line in lines)
    required = importlib.metadata.requires("dgbench")
    assert required
    for requirement in required:
        name = requirement.split(";")[0]
        for sign in "<>=![ ":
            name = name.split(sign)[0]
        if name.strip() != "dgbench":
            assert name.strip().lower().replace("_", "-") in pinned, requirement


def test_a_wheel_carries_the_cards(tmp_path: Path) -> None:
    hatchling = pytest.importorskip("hatchling.build")
    import os

    before = Path.cwd()
    os.chdir(ROOT)
    try:
        name = hatchling.build_wheel(str(tmp_path))
    finally:
        os.chdir(before)
    names = set(zipfile.ZipFile(tmp_path / name).namelist())
    for file in ("algorithms/sam.toml", "datasets/digits.toml", "leaderboards/quick/board.toml"):
        assert f"dgbench/_shipped/{file}" in names
    assert "dgbench/py.typed" in names
    assert not any(name.startswith(("algorithms/", "datasets/", "tests/")) for name in names)
    # The cards are found where the wheel puts them.
    site = tmp_path / "site"
    zipfile.ZipFile(tmp_path / name).extractall(site)
    code = (
        "from dgbench.core.cards import board_names, algorithm_card; print(board_names(), algorithm_card('sam').title)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
    )
    assert "quick" in done.stdout, done.stderr
