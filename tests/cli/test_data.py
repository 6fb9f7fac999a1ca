"""``dgbench data``, run as a user runs it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from comparing.called import within
from nursery import python
from PIL import Image

from dgbench.core.paths import shipped

CARD = """
name = "pets"
title = "Pets"
summary = "Cats and dogs."
path = "../pets"
classes = ["cat", "dog"]
licence = "none"
redistribution = "none"
reader = {kind = "tree", layouts = ["{domain}/{class}"]}
domains = [{name = "art"}, {name = "photo"}]
"""


def dgbench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DGBENCH_CACHE": str(cwd / "cache")}
    command = [python(), "-m", "dgbench.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for domain in ("art", "photo"):
        for number, name in enumerate(("cat", "dog")):
            folder = tmp_path / "pets" / domain / name
            folder.mkdir(parents=True)
            Image.new("RGB", (30 + number, 20), (90 * number, 9, 9)).save(folder / "1.png")
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "pets.toml").write_text(CARD)
    return tmp_path


def test_prepare_says_what_lies_where(home: Path) -> None:
    done = dgbench("data", "prepare", "pets", "--size", "32", cwd=home)
    assert done.returncode == 0, done.stderr
    said = re.fullmatch(
        r"pets: 4 images of 32 x 32 pixels in 2 domains lie in (.+) \(\d+\.\d kB, \d+\.\d s\)\n", done.stdout
    )
    assert said, done.stdout
    assert np.load(Path(said[1]) / "photo.npy").shape == (2, 32, 32, 3)
    assert "decoding" in done.stderr
    again = dgbench("data", "prepare", "pets", "--size", "32", "--workers", "1", cwd=home)
    assert said[1] in again.stdout
    assert "decoding" not in again.stderr


def test_a_damaged_picture_is_one_line(home: Path) -> None:
    (home / "pets" / "art" / "dog" / "1.png").write_bytes(b"no image")
    done = dgbench("data", "prepare", "pets", "--size", "32", cwd=home)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("dgbench: ")]
    assert "art/dog/1.png cannot be decoded" in line
    assert "Traceback" not in done.stderr


def test_a_card_of_data_is_shown_by_its_path(tmp_path: Path) -> None:
    shutil.copy(shipped("datasets") / "pacs.toml", tmp_path / "pacs.toml")
    shown = within("show", tmp_path / "pacs.toml")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Seven classes as art paintings" in shown.stdout
