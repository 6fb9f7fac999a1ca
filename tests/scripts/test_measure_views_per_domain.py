"""What the script measures, on candidates whose order is known, and from a real store."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from nursery import python
from scripts_loaded import load_script

from dgbench.api import boards
from dgbench.data.disk.look.toml import as_toml
from in_process import carry_out
from small import FEW, small_board

SCRIPT = Path(__file__).parents[2] / "scripts" / "measure_views_per_domain.py"
script = load_script("measure_views_per_domain")


def made(skills: list[float], images: int, seed: int = 0) -> "script.Cell":
    """Candidates that are right as often as their skill, on two domains and the target."""
    random = np.random.default_rng(seed)
    hits = {name: random.random((len(skills), 10, images)) < np.array(skills)[:, None, None] for name in "ab"}
    return script.Cell("t", 0, hits, {name: np.arange(images) % 5 for name in "ab"}, np.array(skills))


def test_rank_correlation_of_few_numbers() -> None:
    assert script.spearman(np.array([1.0, 2, 3]), np.array([10.0, 20, 30])) == pytest.approx(1)
    assert script.spearman(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == pytest.approx(-1)
    assert script.spearman(np.array([1.0, 1, 3]), np.array([1.0, 2, 3])) == pytest.approx(np.sqrt(3) / 2)
    assert script.spearman(np.array([1.0, 1, 1]), np.array([1.0, 2, 3])) == 0


def test_the_score_is_the_mean_over_domains_of_means_over_families() -> None:
    cell = made([0.2, 0.9], 20)
    by_hand = [np.mean([cell.hits[name][one].mean() for name in "ab"]) for one in (0, 1)]
    assert cell.scores() == pytest.approx(by_hand)
    chosen = {"a": np.array([0, 3]), "b": np.array([1])}
    by_hand = [(cell.hits["a"][one][:, [0, 3]].mean() + cell.hits["b"][one][:, 1].mean()) / 2 for one in (0, 1)]
    assert cell.scores(chosen) == pytest.approx(by_hand)


def test_fewer_images_lose_more_and_all_lose_nothing() -> None:
    """Candidates a few hundredths apart: many images order them, few do not."""
    cell = made([0.5 + 0.02 * n for n in range(12)], 400)
    few, some, everything = (script.correlations(cell, most, 10) for most in (5, 100, 400))
    assert few[0] < some[0] < everything[0] == pytest.approx(1)
    assert few[1] < some[1] < 1
    assert everything[1] == pytest.approx(script.spearman(cell.scores(), cell.reached))


def test_the_script_measures_a_board(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    path = tmp_path / "small" / "board.toml"

    def written(most: int | str) -> None:
        content = small_board("erm", "t3a", split=FEW).model_dump(mode="json", exclude_none=True)
        content |= {"selection": {"views_per_domain": most}, "cases": {"digits": {"targets": ["print"]}}}
        path.write_text(as_toml({name: value for name, value in content.items() if value not in ({}, None)}))

    def measured() -> "subprocess.CompletedProcess[str]":
        command = [python(), str(SCRIPT), "--board", str(path), "--store", str(tmp_path / "store")]
        return subprocess.run([*command, "--draws", "2"], capture_output=True, text=True)

    written("all")
    carry_out(boards.rules(str(path)), tmp_path / "store")
    done = measured()
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"1 targets and trials of 4 candidates; [4-9]\d to [4-9]\d validation images a domain", done.stdout
    )
    assert (
        len(re.findall(r"^\| (?:25|50|100|200|all) \| -?\d\.\d{3} \| -?\d\.\d{3} \| ", done.stdout, re.MULTILINE)) == 5
    )
    written(20)
    carry_out(boards.rules(str(path)), tmp_path / "store")
    refused = measured()
    assert refused.returncode == 1
    assert re.search(r"looks at 20 of [4-9]\d images of '[\w-]+': set views_per_domain = 'all'", refused.stderr)
