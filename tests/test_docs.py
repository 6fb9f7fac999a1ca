"""The code on the page *Add an algorithm* runs as it stands there."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from nursery import python
from submissions.boards import write_board

PAGE = Path(__file__).parents[1] / "docs" / "add-an-algorithm.md"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's own package, installed as pip would leave it: modules beside a folder of metadata."""
    site = tmp_path_factory.mktemp("site")
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    part, script = (text for kind, text in blocks if kind == "python")
    project, card = (text for kind, text in blocks if kind == "toml")
    (site / "focal").mkdir()
    (site / "focal" / "__init__.py").touch()
    (site / "focal" / "part.py").write_text(part)
    (site / "focal_loss.toml").write_text(card)
    entry_points = project.split('[project.entry-points."dgbench.parts"]')[1].replace('"', "")
    (site / "focal-1.0.dist-info").mkdir()
    (site / "focal-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: focal\nVersion: 1.0\n")
    (site / "focal-1.0.dist-info" / "entry_points.txt").write_text(f"[dgbench.parts]\n{entry_points}")
    # The page's script on a smaller board: the same calls, one target, fewer steps.
    write_board(site / "small", "erm", targets=("print",))
    assert '"quick"' in script
    (site / "script.py").write_text(script.replace('"quick"', '"small/board.toml"'))
    return site


def _run(package: Path, *command: str) -> str:
    environment = os.environ | {
        "PYTHONPATH": str(package),
        "DGBENCH_STORE": str(package / "store"),
    }
    done = subprocess.run([python(), *command], cwd=package, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_card_of_the_page_is_shown_with_its_part(package: Path) -> None:
    printed = _run(package, "-m", "dgbench.cli", "show", "focal_loss.toml")
    assert "Focal Loss for Dense Object Detection" in printed
    assert "gamma" in printed
    assert ">= 0" in printed


def test_the_script_of_the_page_trains_and_selects(package: Path) -> None:
    printed = _run(package, "script.py")
    assert "focal_loss" in printed
    assert (package / "store" / "runs").is_dir()
