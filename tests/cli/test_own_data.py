"""From a folder of images never seen before to a leaderboard, and the errors on the way, as a user meets them."""

import os
import re
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from comparing.called import Done, within
from PIL import Image

from dgbench.runs import timing
from dgbench.runs.pace import Pace


def dgbench(*arguments: str, cwd: Path, **environment: str) -> Done:
    """In this process, with a cache and a store of the folder's own."""
    own = {"DGBENCH_CACHE": str(cwd / "cache"), "DGBENCH_STORE": str(cwd / "store")}
    with mock.patch.dict(os.environ, own | environment):
        return within(*arguments, folder=cwd)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red and green noise, by day and by night."""
    root = tmp_path_factory.mktemp("home")
    random = np.random.default_rng(0)
    for domain, light in (("day", 255), ("night", 120)):
        for label, channel in (("red", 0), ("green", 1)):
            folder = root / "lamps" / domain / label
            folder.mkdir(parents=True)
            for number in range(6):
                picture = random.integers(0, 60, (24, 32, 3))
                picture[..., channel] = random.integers(light // 2, light, (24, 32))
                Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number}.png")
    return root


def test_three_commands_lead_to_a_leaderboard(home: Path) -> None:
    before = sorted(path.stat().st_mtime_ns for path in (home / "lamps").rglob("*"))
    made = dgbench("data", "new", "lamps", cwd=home)
    assert made.returncode == 0, made.stderr
    assert "24 images" in made.stdout
    assert "next: dgbench data check lamps" in made.stdout
    checked = dgbench("data", "check", "lamps", cwd=home)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "all 24 pictures can be read" in checked.stdout
    ran = dgbench(
        "run", "own", "-d", "lamps", "-a", "erm", "--trials", "1", "--draws", "1", "--device", "cpu", cwd=home
    )
    assert ran.returncode == 0, ran.stderr
    assert "reading 24 pictures of lamps" in ran.stderr
    assert "day" in ran.stdout
    assert "night" in ran.stdout
    pages = [line.split(maxsplit=1)[1] for line in ran.stdout.splitlines() if line.startswith("html")]
    assert "lamps" in Path(pages[0]).read_text(encoding="utf-8")
    assert sorted(path.stat().st_mtime_ns for path in (home / "lamps").rglob("*")) == before, "the data was touched"


def test_what_spoils_results_is_found(home: Path, tmp_path: Path) -> None:
    for domain in ("day", "night"):
        for label in ("red", "green"):
            (tmp_path / "copies" / domain / label).mkdir(parents=True)
            same = home / "lamps" / "day" / label / "0.png"
            (tmp_path / "copies" / domain / label / "0.png").write_bytes(same.read_bytes())
    assert dgbench("data", "new", "copies", cwd=tmp_path).returncode == 0
    (tmp_path / "copies" / "night" / "red" / "0.png").write_bytes(b"not an image")
    checked = dgbench("data", "check", "copies", cwd=tmp_path)
    assert checked.returncode == 1
    assert "1 of 4 pictures" in checked.stdout
    assert "1 pairs" in checked.stdout


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a plan would take is not found out."""
    monkeypatch.setattr(timing, "timed", lambda *_: Pace(3.0, 1.0))


@pytest.mark.usefixtures("untimed")
def test_splits_that_a_board_does_not_use_are_spoken_of(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As the page says: a copy of the board's file with ``official = true`` uses them."""
    rows = [
        f"{home}/lamps/{domain}/{label}/{number}.png;{label};{domain};{'train' if number < 3 else 'test'}"
        for domain in ("day", "night")
        for label in ("red", "green")
        for number in range(6)
    ]
    kept = {"DGBENCH_CACHE": str(home / "cache")}  # what is known of the board's network
    (tmp_path / "lamps.csv").write_text("\n".join(["path;class;site;split", *rows]), encoding="utf-16")
    made = dgbench("data", "new", "lamps.csv", cwd=tmp_path, **kept)
    assert made.returncode == 0, made.stderr
    assert "official splits: test, train; the board 'own' draws splits of its own all the same" in made.stdout
    planned = dgbench("plan", "own", "-d", "lamps", "-a", "erm", "--device", "cpu", cwd=tmp_path, **kept)
    assert planned.returncode == 0, planned.stderr
    said = re.search(r"'lamps' comes with splits of its own.* run a copy of (\S+) with 'official = true'", caplog.text)
    assert said, caplog.text
    caplog.clear()
    rules = Path(said[1]).read_text(encoding="utf-8")
    copy = rules.replace('name = "own"', 'name = "mine"').replace("[split]\n", "[split]\nofficial = true\n")
    assert "steps = 300" in copy
    copy = copy.replace("steps = 300", "steps = 10")
    (tmp_path / "mine.toml").write_text(copy, encoding="utf-8")
    only = ("-d", "lamps", "-a", "erm", "--trials", "1", "--draws", "1", "--device", "cpu")
    ran = dgbench("run", "mine.toml", *only, cwd=tmp_path, **kept)
    assert ran.returncode == 0, ran.stderr
    assert "comes with splits" not in caplog.text
    assert "its official test part" in next((tmp_path / "store").rglob("leaderboard.md")).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("data", "new", "nowhere"), "there is no such folder or file"),
        (("data", "check", "lamp"), "no dataset named 'lamp'"),
        (("data", "prepare", "pacs", "--size", "32"), "the dataset 'pacs' is not here. Looked in:"),
        (("run", "single-source", "-a", "erm"), "the dataset 'pacs' is not here. Looked in:"),
        (("run", "own", "-d", "digits", "-a", "pegoo"), "Did you mean 'pego'"),
        (("plan", "quick", "-d", "digit"), "no dataset named 'digit'. Did you mean 'digits'"),
    ],
)
def test_an_error_is_one_message_with_its_remedy(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = within(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.usefixtures("untimed")
def test_a_backbone_whose_weights_cannot_be_had_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        """
name = "mine"
title = "Mine"
version = 1
summary = "Digits on published weights that are not here."
dataset = "digits"
tracks = {inductive = "timm:test_vit.r160_in1k"}
trials = 1
criterion = "source"
algorithms = ["erm"]
split = {validation = 0.1}
training = {steps = 2, checkpoints = 1, batch_per_domain = 2}
""",
        encoding="utf-8",
    )
    environment = {"HF_HOME": str(tmp_path / "hub"), "DGBENCH_CACHE": os.environ["DGBENCH_CACHE"]}
    planned = dgbench("plan", "mine.toml", "--device", "cpu", cwd=tmp_path, **environment)
    assert planned.returncode == 0, planned.stderr
    assert "4 runs" in planned.stdout
    done = dgbench("run", "mine.toml", "--device", "cpu", cwd=tmp_path, **environment)
    assert done.returncode == 2
    assert "its weights are not on this machine and the Hugging Face hub does not give them" in done.stderr
    assert "Traceback" not in done.stderr
