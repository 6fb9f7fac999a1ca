"""The README's Python lines run as they stand there, however they are run; only the board is a smaller one."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from nursery import python

from dgbench.api.boards import rules
from dgbench.core.paths import shipped
from dgbench.runs.deterministic import as_worker
from in_process import carry_out

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small board, and a store that holds its runs of ERM."""
    home = tmp_path_factory.mktemp("home")
    text = (shipped("leaderboards") / "quick" / "board.toml").read_text(encoding="utf-8")
    for old, new in [
        ('name = "quick"', 'name = "tiny"'),
        ("steps = 100", "steps = 4"),
        ("checkpoints = 10", "checkpoints = 2"),
        ("trials = 3", "trials = 1"),
        ("validation = 0.1", "validation = 0.02\ntest = 0.02\n\n[selection]\nviews_per_domain = 2"),
        ("@letters", ""),
    ]:
        assert old in text
        text = text.replace(old, new)
    (home / "tiny.toml").write_text(text + '\n[cases.digits]\ntargets = ["print"]\n', encoding="utf-8")
    with as_worker("cpu"):
        carry_out(rules(home / "tiny.toml", algorithms=["erm"]), home / "store")
    return home


def program() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert '"quick"' in code
    return str(code).replace('"quick"', '"tiny.toml"')


def as_a_file(home: Path) -> tuple[list[str], str | None]:
    (home / "script.py").write_text(program(), encoding="utf-8")
    return ["script.py"], None


def from_standard_input(home: Path) -> tuple[list[str], str | None]:
    return ["-"], program()


def line_by_line(home: Path) -> tuple[list[str], str | None]:
    """As a console or a notebook does: what runs is no file."""
    return ["-i", "-q"], program().replace("\n\n", "\n") + "\nprint(board)\n"


@pytest.mark.parametrize("way", [as_a_file, from_standard_input, line_by_line])
def test_the_lines_of_the_readme_run(way: Callable[[Path], tuple[list[str], str | None]], home: Path) -> None:
    """The first on an empty store, as it is read; the others have a worker train what is left."""
    store = home / way.__name__
    if way is not as_a_file:
        shutil.copytree(home / "store", store)
    arguments, given = way(home)
    done = subprocess.run(
        [python(), *arguments],
        input=given,
        cwd=home,
        env=os.environ | {"DGBENCH_STORE": str(store)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert len(list(store.glob("trainings/*/done.json"))) == 2, "ERM's, and SAM's, which SAM + SWAD shares"
    assert len(list(store.glob("runs/*/done.json"))) == 3
