"""``dgbench.diagnose`` and ``dgbench diagnose``, on domains that were made to differ."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from comparing.called import within
from PIL import Image

import dgbench
from dgbench.api.diagnosing import Diagnosis
from dgbench.core.backbone_name import parse
from dgbench.data.pixels.normal import Normal
from dgbench.diagnostics.look import MOST, SIDE, look
from dgbench.models.backbones import build
from dgbench.train.frozen import frozen_features

PAGE = (Path(__file__).parents[2] / "docs" / "diagnostics.md").read_text(encoding="utf-8")
PAGE = PAGE.partition("## What a trained model is like")[0]  # which has tests of its own, as have slabs
EACH = 24
CARD = """
name = "squares"
title = "Squares"
summary = "Bright to the left or to the right."
path = "../squares"
classes = ["left", "right"]
licence = "none"
redistribution = "none"
reader = {kind = "tree", layouts = ["{domain}/{class}"]}
domains = [{name = "day"}, {name = "dusk"}, {name = "night"}]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``day`` and ``dusk`` are alike, and have one picture in common; at ``night`` all is dark, and most is left."""
    home = tmp_path_factory.mktemp("squares")
    draw = np.random.default_rng(0)
    for domain, light in (("day", 120), ("dusk", 120), ("night", 0)):
        for side in ("left", "right"):
            folder = home / "squares" / domain / side
            folder.mkdir(parents=True)
            for number in range(EACH // 2 if (domain, side) == ("night", "right") else EACH):
                pixels = draw.integers(light, light + 60, (8, 8, 3), np.uint8)
                pixels[:, slice(4) if side == "left" else slice(4, 8)] += 60
                Image.fromarray(pixels).save(folder / f"{number:02}.png")
    shared = (home / "squares" / "day" / "left" / "03.png").read_bytes()
    (home / "squares" / "dusk" / "left" / "11.png").write_bytes(shared)
    (home / "datasets").mkdir()
    (home / "datasets" / "squares.toml").write_text(CARD)
    return home


@pytest.fixture(scope="module")
def found(home: Path) -> Diagnosis:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        return dgbench.diagnose("squares")


def test_domains_that_are_alike_are_so_and_the_other_is_not(found: Diagnosis) -> None:
    alike, *others = found.pairs
    assert (alike.first, alike.second) == ("day", "dusk")
    assert alike.told_apart < 0.75
    assert alike.shift is not None
    assert alike.shift.whole_diversity < 0.3
    for pair in others:
        assert pair.second == "night"
        assert pair.told_apart > 0.9
        assert pair.shift is not None
        assert pair.shift.whole_diversity > 2 * alike.shift.whole_diversity
        assert pair.shift.images == EACH + EACH // 2
        assert pair.prior_distance == pytest.approx(2 / 3 - 1 / 2)
        assert (pair.near, pair.near_rows) == (0, ())
    assert [one.images for one in found.domains] == [2 * EACH, 2 * EACH, EACH + EACH // 2]
    assert all(one.feature_dimension is None for one in found.domains)


def test_the_picture_that_two_domains_share_is_found(found: Diagnosis) -> None:
    assert (found.pairs[0].near, found.pairs[0].near_rows) == (1, ((3, 11),))


def test_difficulty_follows_from_what_was_seen(found: Diagnosis, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    seen = list(look("squares", ("day", "dusk", "night"), 1000))
    images, labels = (np.concatenate([getattr(one, name) for one in seen]) for name in ("images", "labels"))
    assert images.shape[1] == 3 * SIDE**2
    assert (images.min() >= 0) & (images.max() <= 1)
    left, right = images[labels == 0].astype(float), images[labels == 1].astype(float)
    closest = min(np.linalg.norm(right - one, axis=1).min() for one in left)
    assert found.difficulty is not None
    task = found.difficulty.task
    assert (task.classes, task.examples, task.error) == (2, 5 * EACH + EACH // 2, 0.01)
    assert task.resolution == pytest.approx(closest, rel=1e-3)
    assert task.radius == pytest.approx(np.linalg.norm(images - images.mean(0), axis=1).max(), rel=1e-4)
    sharpest = max(one.sharpness.value for one in (*found.domains, *found.pairs))
    assert sharpest == pytest.approx(1 / closest, rel=1e-3)


def test_fewer_images_are_the_first_of_more(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    with pytest.raises(dgbench.DataError, match="images: 1 of a domain cannot be compared"):
        dgbench.diagnose("squares", images=1)
    (few,), (more,) = (list(look("squares", ("day",), images)) for images in (10, 20))
    assert (few.rows == more.rows[:10]).all()
    assert (few.images == more.images[:10]).all()
    assert len(set(more.rows)) == 20


def test_a_terminal_a_page_and_json_say_the_same(
    found: Diagnosis, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    page = tmp_path / "out.html"
    done = within("diagnose", "squares", "-q", "--json", "-o", page)
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    shift = found.pairs[1].shift
    assert shift is not None
    assert said["pairs"][1]["shift"]["whole_diversity"] == shift.whole_diversity
    assert said["pairs"][1]["proxy_distance"] == 4 * said["pairs"][1]["told_apart"] - 2
    assert said["page"] == str(page.resolve())
    html = page.read_text(encoding="utf-8")
    assert f"{shift.diversity:.2f}".removeprefix("0") in html
    assert html.count('<img src="data:image/png') == 2, "the picture that day and dusk share, from both"
    assert "night" in found._repr_html_()
    printed = within("diagnose", "squares", "--images", "24").stdout
    assert "24 of 48" in printed
    assert "Generalisation difficulty: 10^" in printed


def test_features_stand_in_for_pixels(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    made = dgbench.diagnose("squares", domains=["day", "night"], backbone="dgbench:vit-micro", device="cpu")
    assert made.backbone == "dgbench:vit-micro"
    assert [one.name for one in made.domains] == ["day", "night"]
    assert all(one.feature_dimension is not None for one in made.domains)
    assert made.pairs[0].told_apart > 0.9
    assert within("diagnose", "squares", "--backbone", "dgbench:vit-micro@letters").returncode == 2


def test_features_are_those_of_the_backbone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    rows = {"day": np.array([5, 2, 30])}
    name = "dgbench:vit-micro(size=32)"
    features = frozen_features(name, "squares", rows, "cpu")["day"]
    assert (features == frozen_features(name, "squares", rows, "cpu")["day"]).all(), "random weights are drawn alike"
    torch.manual_seed(0)
    other = build(parse("efficientnet-lite0(size=32)"))
    (seen,) = (one for one in look("squares", ("day",), 48) if one.name == "day")
    at = [int(np.flatnonzero(seen.rows == row)[0]) for row in rows["day"]]
    pixels = torch.from_numpy(seen.images[at] * 255).round().to(torch.uint8).reshape(-1, 32, 32, 3).permute(0, 3, 1, 2)
    with torch.no_grad():
        own = other.module.eval()(Normal(other.mean, other.std)(pixels)).numpy()
    given = frozen_features("efficientnet-lite0(size=32)", "squares", rows, "cpu")["day"]
    assert given == pytest.approx(own, abs=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("squares", "--domain", "dya"), "there is no domain of 'squares' named 'dya'. Did you mean 'day'?"),
        (("sqares",), "Did you mean 'squares'"),
        (("squares", "--backbone", "dgbench:vit-micro@letters"), "boards pretrain it on 'letters' themselves"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    words: tuple[str, ...], message: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    done = within("diagnose", *words, "-q")
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


def test_too_many_domains_are_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"d{number:02}" for number in range(MOST + 1)]
    for name in names:
        for side in ("left", "right"):
            (tmp_path / "squares" / name / side).mkdir(parents=True)
            Image.new("RGB", (4, 4)).save(tmp_path / "squares" / name / side / "1.png")
    domains = ", ".join(f'{{name = "{name}"}}' for name in names)
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "squares.toml").write_text(re.sub(r"domains = .*", f"domains = [{domains}]", CARD))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(dgbench.DataError, match=r"has 13, which make 78 pairs; name 12 .* --domain d00 --domain d01"):
        dgbench.diagnose("squares")
    with pytest.raises(dgbench.DataError, match="all images that were looked at are the same"):
        dgbench.diagnose("squares", domains=names[:2])
    with pytest.raises(dgbench.DataError, match=r"write \['d00'\]"):
        dgbench.diagnose("squares", domains="d00")


def test_pixels_need_no_torch(home: Path) -> None:
    asked = "dgbench.diagnose('squares', domains=['day', 'dusk'], images=24)"
    program = f"import sys, dgbench; print({asked}, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=home, capture_output=True, text=True)
    assert done.stdout == "<Diagnosis of 'squares': 2 domains, 24 images of each at most> False\n", done.stderr


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    block, _ = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    said = []
    for line in block.splitlines():
        _, *words = shlex.split(line, comments=True)
        said.append(within(*words, "--images", "24"))  # they would take a minute with a thousand
    assert [one.returncode for one in said] == [0, 0, 0], [one.stderr for one in said]
    assert "handwritten · dot-matrix" in said[0].stdout
    assert (tmp_path / "digits.html").is_file()
    assert json.loads(said[2].stdout)["backbone"] == "efficientnet-lite0(size=64)"
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(script, {})
    assert {path.name for path in tmp_path.iterdir()} == {"digits.html"}, "nothing is put into a store"
