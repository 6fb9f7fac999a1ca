"""What the script shows, on streams whose answer is known, and from digits to a picture."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scripts_loaded import load_script
from torch import Tensor

from dgbench.core.cards import board_card
from dgbench.core.dataset_card import dataset_card
from dgbench.core.recipe import compose, resolve
from in_process import carry_out

script = load_script("stream_rotated_digits")


class Tiring:
    """Right of the first batch that it is shown, and of no other: a stream with a memory."""

    def __init__(self, sees_images: bool) -> None:
        self.sees_images = sees_images
        self.seen = 0

    def stream(self) -> Tiring:
        return Tiring(self.sees_images)

    def features(self, pictures: Tensor) -> Tensor:
        return pictures[:, 0, 0, :1]

    def observe(self, pictures: Tensor) -> Tensor:
        assert self.sees_images
        return self.scores(pictures[:, 0, 0, 0].long())

    def observe_features(self, features: Tensor) -> Tensor:
        assert not self.sees_images
        return self.scores(features[:, 0].long())

    def scores(self, label: Tensor) -> Tensor:
        self.seen += 1
        return torch.nn.functional.one_hot(label if self.seen == 1 else (label + 1) % 3, 3).float()


@pytest.fixture
def shown() -> script.Shown:
    labels = torch.arange(30) % 3
    return script.Shown(labels[:, None, None, None].float().expand(-1, 3, 2, 2), labels, (10, 20, 30))


@pytest.fixture(params=[False, True], ids=["features", "pictures"])
def tiring(request: pytest.FixtureRequest) -> Tiring:
    return Tiring(request.param)


def test_a_digit_turned_by_a_right_angle_is_the_same_against_the_clock() -> None:
    scan = np.random.default_rng(0).integers(0, 17, (8, 8)).astype(float)
    upright, quarter = (np.asarray(script.turned(scan, angle)).astype(int) for angle in (0, 90))
    assert upright.shape == (16, 16)
    assert np.abs(np.rot90(upright) - quarter).max() <= 2
    assert upright[:2].max() == 0, "an edge of two pixels"


def test_no_digit_is_both_upright_and_in_the_stream(tmp_path: Path) -> None:
    card = script.write_digits(tmp_path, 40)
    names = {
        angle: {path.name for path in (tmp_path / "pictures" / angle).glob("*/*.png")} for angle in ("0", "15", "75")
    }
    assert len(names["0"]) == len(names["15"]) == 20
    assert names["15"] == names["75"]
    assert not names["0"] & names["15"]
    assert [domain.name for domain in dataset_card(str(card)).domains] == ["0", "15", "30", "45", "60", "75"]
    with Image.open(next((tmp_path / "pictures" / "45").glob("*/*.png"))) as picture:
        assert (picture.size, picture.mode) == ((16, 16), "L")


def test_a_predictor_goes_on_from_angle_to_angle_unless_it_is_reset(tiring: Tiring, shown: script.Shown) -> None:
    assert script.streamed(tiring, shown, script.seen(tiring, shown), 5) == [0.5, 0, 0]
    assert script.streamed(tiring, shown, script.seen(tiring, shown), 5, reset=True) == [0.5, 0.5, 0.5]


def test_a_batch_may_have_pictures_of_two_angles(tiring: Tiring, shown: script.Shown) -> None:
    """Nobody tells a predictor where an angle ends, so batches do not end there either."""
    assert script.streamed(tiring, shown, script.seen(tiring, shown), 15) == [1, 0.5, 0]
    assert script.streamed(tiring, shown, script.seen(tiring, shown), 15, reset=True) == [1, 1, 1]


def test_the_table_has_means_over_trials(tmp_path: Path) -> None:
    found = {
        (name, batch, again): np.array([[0.5 + shift] * 5, [0.7 + shift] * 5])
        for shift, name in enumerate(("a", "b"))
        for batch in script.BATCHES
        for again in (False, True)
    }
    head, _, first, *_ = script.table(found)
    assert head.count("°") == 5
    assert first.startswith("| `a` | 1 | 0.600 | 0.600 | 0.600 | 0.600 | 0.600 | 0.600 ± ")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured -->\nold\n<!-- /measured -->\nafter\n", encoding="utf-8")
    script.put(page, list(script.table(found)))
    text = page.read_text(encoding="utf-8")
    assert "old" not in text
    assert text.startswith("before\n<!-- measured -->\n\n| predictor | batch |")
    assert text.endswith("|\n\n<!-- /measured -->\nafter\n")
    assert text.count("\n| `") == 2 * len(script.BATCHES)


def test_the_page_shows_all_that_is_measured_of_cards_that_learn_from_a_stream() -> None:
    text = script.PAGE.read_text(encoding="utf-8")
    measured = re.findall(r"^\| `(\w+)` \| (\d+) \| \d", text, re.MULTILINE)
    assert measured == [(name, str(batch)) for name in script.ALGORITHMS for batch in script.BATCHES]
    assert script.PICTURE.is_file()
    first = text.split("## A stream")[0]
    named = {
        name for cell in re.findall(r"^\| (`.+?`) \|", first, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    }
    assert named >= set(script.ALGORITHMS) - {script.PLAIN}
    for name in named:
        assert resolve(compose(name), board_card("quick")).parts["predictor"].track == "online"


def test_what_the_page_says_of_its_numbers_is_so() -> None:
    lines = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+) \|$", script.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    rows = {(name, int(batch)): [float(cell.split()[0]) for cell in cells.split(" | ")] for name, batch, cells in lines}
    whole, again, plain = 5, 6, rows["erm", 1]
    for batch in script.BATCHES:
        assert 0.545 < rows["adanpc", batch][whole] < 0.565
        assert 0.405 < rows["adanpc", batch][again] < 0.425
        assert all(rows[name, batch][again] < rows[name, batch][whole] for name in ("adanpc_bn", "pl"))
        assert rows["pl", batch][again] < plain[whole] < rows["pl", batch][whole]
        assert all(rows[name, batch][whole] < rows[name, batch][again] for name in ("t3a", "tast", "tast_bn"))
    assert all(rows["adanpc_bn", batch][whole] > rows["adanpc", batch][whole] for batch in (32, 128))
    assert all(rows["shot_im", batch][again] < rows["shot_im", batch][whole] for batch in (8, 32, 128))
    assert rows["shot_im", 1] == plain
    assert rows["shot_im", 8][whole] == 0.558 > rows["adanpc", 8][whole]
    for name, batch in itertools.product(("tent_head", "tent", "pl_head"), (1, 8)):
        row = rows[name, batch]
        assert all(one > other for one, other in zip(row[:2], plain[:2], strict=True))
        assert all(one < other for one, other in zip(row[2:5], plain[2:5], strict=True))
        assert row[again] < row[whole] < plain[whole] + 0.005
    assert [rows["pl_head", batch][whole] for batch in (32, 128)] == [0.468, 0.451]
    assert all(rows["pl_head", batch][again] < plain[whole] == 0.438 for batch in (32, 128))
    assert all(
        one > other
        for batch in (8, 32, 128)
        for one, other in zip(rows["tent_bn", batch][2:5], plain[2:5], strict=True)
    )
    assert rows["tent_bn", 1][whole] < plain[whole]
    assert round(plain[whole] - rows["lame", 8][whole], 2) == 0.06
    assert abs(plain[whole] - rows["lame", 128][whole]) < 0.005
    assert all(abs(plain[whole] - rows["itta", batch][whole]) <= 0.0051 for batch in (8, 32, 128))
    assert rows["itta", 1][whole] < plain[whole]


def test_it_measures_a_small_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "ALGORITHMS", ("erm", "t3a", "tent_head", "tent"))
    monkeypatch.setattr(script, "BATCHES", (4, 16))
    monkeypatch.setattr(script.dgbench, "run", lambda rules, store: carry_out(rules, store))
    card = script.write_digits(tmp_path, 80)
    rules = script.board(card, trials=1, steps=2)
    told: list[str] = []
    found = script.measure(rules, tmp_path / "pictures", tmp_path / "store", told.append)
    assert told == ["trial 0: erm", "trial 0: t3a", "trial 0: tent_head", "trial 0: tent"]
    assert {rows.shape for rows in found.values()} == {(1, 5)}
    erm = [found["erm", batch, again] for batch in (4, 16) for again in (False, True)]
    assert all(np.array_equal(one, erm[0]) for one in erm), "what learns nothing is the same in any batches"
    script.draw(found, tmp_path / "new" / "picture.png")
    with Image.open(tmp_path / "new" / "picture.png") as picture:
        assert picture.width > 1000
