"""Examinations recover what was planted: a straggler, an error of calibration, images right in the middle alone."""

from __future__ import annotations

import json
import math
import re
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import timm
import torch
from comparing.called import within
from PIL import Image
from torch import Tensor, nn

import dgbench
from dgbench.board.render.examined import page, words
from dgbench.core.cards import BoardCard
from dgbench.core.errors import DataError, RecipeError
from dgbench.diagnostics.examined import Examined, Layer, Sharp
from dgbench.models.effective import effective_state
from dgbench.models.network import Backbone, Network
from dgbench.models.sharpness import average, worst
from dgbench.runs import examining
from dgbench.runs.deterministic import as_worker
from dgbench.runs.examining import along, by_layer, calibrated, sharp
from dgbench.runs.predict import Bench, Shown
from dgbench.train.sources import Features, Held
from in_process import carry_out

PAGE = (Path(__file__).parents[2] / "docs" / "diagnostics.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## What a trained model is like")[2]


def bench(module: nn.Module, dim: int, classes: int) -> Bench:
    """As much of one as an examination looks at."""
    info = Backbone("none", module, dim, 8, (0.5,) * 3, (0.5,) * 3)
    network = Network(info, classes)
    moved = frozenset(name for name, _ in network.named_parameters())
    training = SimpleNamespace(seed=lambda *of: 0)
    made = SimpleNamespace(network=network, trajectory=SimpleNamespace(moved=moved), training=training)
    return cast("Bench", made)


def held(values: Tensor, labels: Tensor) -> Held:
    rows = torch.arange(len(labels))
    return Held("drawn", Features(values), labels, rows, rows, rows, labels)


class Block(nn.Module):
    """``relu(x)`` and ``relu(-x)``, put together as x: whichever of the two comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(1, 2, bias=False), nn.Linear(2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.out(self.into(x).relu())
        return made


class Two(nn.Module):
    """Two such blocks, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def test_a_straggler_that_was_planted_is_found_with_its_barrier() -> None:
    """Halfway between two orders of hidden units that layer says nothing: its barrier is log 2 above both ends."""
    one = bench(Two(), 1, 2)
    state = effective_state(one.network)
    signs = torch.tensor([[1.0], [-1.0]])
    for number in (0, 1):
        state[f"backbone.blocks.{number}.into.weight"] = signs
        state[f"backbone.blocks.{number}.out.weight"] = signs.T.clone()
    state["head.weight"], state["head.bias"] = 5 * signs, torch.zeros(2)
    other = dict(state)
    other["backbone.blocks.1.into.weight"] = -signs
    other["backbone.blocks.1.out.weight"] = -signs.T
    x = torch.tensor([[1.0], [-1.0], [2.0], [-2.0]])
    images = held(x, (x[:, 0] < 0).long())
    end = float(torch.nn.functional.softplus(torch.tensor([-10.0, -20.0])).mean())
    by_name = {layer.name: layer for layer in by_layer(one, [images], other, state, radius=0.01)}
    assert set(by_name) == {"backbone.blocks.0", "backbone.blocks.1", "head"}
    assert by_name["backbone.blocks.1"].straggler == pytest.approx(math.log(2) - end, rel=1e-4)
    assert by_name["backbone.blocks.0"].straggler == pytest.approx(0, abs=1e-6)
    assert by_name["head"].straggler == pytest.approx(0, abs=1e-6)


def test_calibration_of_a_model_with_a_known_error() -> None:
    """It is .8 sure of every image, and right on .6 of them."""
    one = bench(nn.Identity(), 1, 2)
    state = {"head.weight": torch.zeros(2, 1), "head.bias": torch.tensor([math.log(4.0), 0.0])}
    images = Shown.of(held(torch.ones(10, 1), torch.tensor([0] * 6 + [1] * 4)))
    points, (mixed,), said = along(one, [images], state, state)
    (only,) = calibrated(said)
    assert (only.n, only.confidence, only.right) == (10, pytest.approx(0.8), pytest.approx(0.6))
    assert [point.alpha for point in points] == pytest.approx([0.1 * number for number in range(11)])
    assert {round(point.ece, 5) for point in points} == {0.2}
    assert {round(point.accuracy, 5) for point in points} == {0.6}
    assert (mixed.rescued, mixed.spoilt, mixed.only_before, mixed.only_after) == (0, 0, 0, 0)


def test_images_that_only_the_middle_gets_right_are_counted() -> None:
    """Of three images: both ends are wrong, and the middle is not; only the first end is right; only the second is."""
    one = bench(nn.Identity(), 3, 3)
    before = {"head.weight": torch.tensor([[2.0, 5, 0], [3, 0, 5], [-9, 0, 0]]), "head.bias": torch.zeros(3)}
    after = {"head.weight": torch.tensor([[2.0, 0, 9], [-9, 9, 0], [3, 0, 0]]), "head.bias": torch.zeros(3)}
    images = Shown.of(held(torch.eye(3), torch.tensor([0, 0, 0])))
    _, (mixed,), _ = along(one, [images], before, after)
    assert (mixed.n, mixed.rescued, mixed.spoilt, mixed.only_before, mixed.only_after) == (3, 1, 0, 1, 1)


def test_sharpness_leaves_the_weights_as_they_are_and_finds_no_more_on_average_than_at_worst() -> None:
    one = bench(nn.Linear(4, 3), 3, 2)
    draw = torch.Generator().manual_seed(0)
    images = held(torch.randn(32, 4, generator=draw), torch.randint(2, (32,), generator=draw))
    state = effective_state(one.network)
    adaptive, plain = sharp(one, [images], state, 0.05)
    assert adaptive.adaptive
    assert adaptive.worst > adaptive.average
    assert plain.worst > 0
    assert all(torch.equal(tensor, state[name]) for name, tensor in effective_state(one.network).items())


def found(**changes: object) -> Examined:
    """An examination of nothing, but for what a test says."""
    of = ("seen", "erm", "night", 0, 0, 1, True, 0.1, 4, (), (), (), (Sharp(True, 0.1, 0.2),), ())
    return replace(Examined(*of), **changes)  # type: ignore[arg-type]


def test_numbers_that_are_none_are_dashes_and_null(tmp_path: Path) -> None:
    layers = (Layer("blocks.0", 0.5, math.inf, math.nan), Layer("head", 0.0, 0.1, 0.2))
    nothing = found(sharpness=(Sharp(True, math.nan, math.inf),), layers=layers)
    assert words.sharpness(nothing) == [["adaptive", "–", "–"]]
    data = json.loads(page.write(nothing, tmp_path / "out.html").read_text())
    assert data["sharpness"] == [{"adaptive": True, "average": None, "worst": None}]
    assert data["layers"][0] == {"name": "blocks.0", "straggler": 0.5, "average": None, "worst": None}
    assert "nan" not in re.sub("<style>.*?</style>", "", (tmp_path / "out.html").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("name", ["out.json", "out.JSON"])
def test_a_page_does_not_take_the_name_of_its_numbers(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"--out .*out\.html"):
        page.write(found(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("radius", [math.inf, math.nan, -1.0])
def test_a_radius_is_finite(radius: float) -> None:
    with pytest.raises(DataError, match="a finite radius of 0 or more"):
        dgbench.examine("digits", "erm", radius=radius)


CARD = """
name = "lamps"
title = "Lamps"
summary = "Noise."
path = "../lamps"
classes = ["red", "green"]
licence = "none"
redistribution = "none"
reader = {kind = "tree", layouts = ["{domain}/{class}"]}
domains = [{name = "day"}, {name = "dusk"}, {name = "night"}]
"""


BOARD = """
name = "seen"
title = "Seen"
version = 1
summary = "Seen."
dataset = "lamps"
trials = 1
criterion = "source"
algorithms = ["lp_ft"]
tracks = {inductive = "dgbench:vit-micro", online = "dgbench:vit-micro"}
split = {validation = 0.3}
cases = {lamps = {targets = ["night"]}}
selection = {views_per_domain = 1}
training = {steps = 2, checkpoints = 1, batch_per_domain = 2, precision = "float32", norm_mode = "frozen"}
"""


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BoardCard:
    """Of a board of noise in the folder where the test is."""
    draw = np.random.default_rng(0)
    for domain in ("day", "dusk", "night"):
        for label in ("red", "green"):
            folder = tmp_path / "lamps" / domain / label
            folder.mkdir(parents=True)
            for number in range(6):
                Image.fromarray(draw.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "lamps.toml").write_text(CARD)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "board.toml").write_text(BOARD)
    return dgbench.rules("seen/board.toml")


@pytest.fixture
def _few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sharpness looks at two places of twenty: of whole models their pages are tested, and not what it comes to."""
    monkeypatch.setattr(examining, "average", partial(average, draws=2))
    monkeypatch.setattr(examining, "worst", partial(worst, steps=2))


def agrees(seen: Examined, rules: BoardCard, store: Path) -> None:
    """At a = 1 it is the model of the board: what its run noted of clean images."""
    runs = dgbench.plan(rules).entries
    run = next(e.run for e in runs if (e.algorithm, e.target) == (seen.algorithm, seen.target))
    result = json.loads((store / "runs" / run / "result.json").read_text())
    for measure in ("accuracy", "nll"):
        noted = {(m["split"], m["domain"]): m[measure] for m in result["metrics"] if m["view"] == "clean"}
        found = {(p.split, p.domain): getattr(p, measure) for p in seen.curve if p.alpha == 1}
        assert found == pytest.approx(noted, abs=1e-5)


@pytest.mark.usefixtures("_few_places")
def test_statistics_that_an_average_estimates_again_are_those_of_its_run(rules: BoardCard, tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", num_classes=3).state_dict(), tmp_path / "start.pt")
    backbone = f"timm:test_resnet(weights={tmp_path / 'start.pt'}, pretrained_on=noise, size=32)"
    training = rules.training.model_copy(update={"norm_mode": "train", "checkpoints": 2})
    changes = {"algorithms": ("ema",), "tracks": {"inductive": backbone}, "training": training}
    moving = dgbench.rules(rules.model_copy(update=changes))
    with as_worker("cpu"):
        carry_out(moving, tmp_path / "store")
    seen = dgbench.examine(moving, "ema", target="night", store=tmp_path / "store", device="cpu", images=1)
    agrees(seen, moving, tmp_path / "store")


@pytest.mark.parametrize(
    ("algorithm", "why"),
    [
        ("erm + t3a", "predictor 't3a', and an examination looks at weights by the plain prediction.*without"),
        ("drm", "predictor 'drm', and an examination.*without that predictor"),
        ("ensemble(orders=2)", "several networks, and an examination looks at one; take 'soup'"),
        ("domainbed:mine:Mine", "so it is not examined"),
    ],
)
def test_what_is_not_examined_is_refused_before_it_has_run(
    rules: BoardCard, tmp_path: Path, algorithm: str, why: str
) -> None:
    with pytest.raises(RecipeError, match=why):
        dgbench.examine(rules, algorithm, store=tmp_path / "store", device="cpu")


def test_predictions_among_present_classes_are_refused(rules: BoardCard, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="among the classes that are present there, and an examination"):
        dgbench.examine(rules.model_copy(update={"among": "present"}), "erm", store=tmp_path / "store", device="cpu")


@pytest.mark.usefixtures("_few_places")
def test_a_model_of_a_board_is_examined_and_shown(rules: BoardCard, tmp_path: Path) -> None:
    with as_worker("cpu"):
        carry_out(rules, tmp_path / "store")
    seen = dgbench.examine(rules, "lp_ft", target="night", store=tmp_path / "store", device="cpu", images=4)
    assert seen.classified
    assert {(p.split, p.domain) for p in seen.curve} == {
        ("validation", "day"),
        ("validation", "dusk"),
        ("target", "night"),
    }
    agrees(seen, rules, tmp_path / "store")
    numbers = page.write(seen, tmp_path / "out.html")
    assert json.loads(numbers.read_text())["layers"][-1]["name"] == "head"
    shown = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert shown.count("<svg") >= 4
    for line in (words.FLIPS, words.SHARP, words.LAYERS):
        assert line in shown
    (commands,) = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
    words_of = shlex.split(commands.splitlines()[1], comments=True)[1:]
    assert words_of[:2] == ["examine", "digits"]
    swapped = {"digits": "seen/board.toml", "print": "night"}
    said = within(*(swapped.get(word, word) for word in words_of), "--store", "store", "--images", "4")
    assert said.returncode == 0, said.stderr
    assert "lp_ft on seen, target night" in said.stdout
    assert {"examined.html", "examined.json"} <= {path.name for path in tmp_path.iterdir()}
    with pytest.raises(DataError, match="images=0"):
        dgbench.examine(rules, "lp_ft", store=tmp_path / "store", images=0)
    with pytest.raises(DataError, match="--out"):
        page.write(seen, tmp_path / "examined.json")
    large = dgbench.examine(
        rules, "lp_ft", target="night", store=tmp_path / "store", device="cpu", images=4, radius=1e30
    )
    assert "–" in {cell for row in words.sharpness(large) for cell in row}
    data = json.loads(page.write(large, tmp_path / "large.html").read_text())
    assert data["sharpness"][0]["worst"] is None


def test_stragglers_are_those_in_float32_of_layers_that_moved() -> None:
    """Whatever precision a network trained in; of layers that did not move nothing is said."""
    one = bench(nn.Linear(4, 3), 3, 2)
    draw = torch.Generator().manual_seed(0)
    images = held(torch.randn(32, 4, generator=draw), torch.randint(2, (32,), generator=draw))
    before = effective_state(one.network)
    after = {name: tensor + torch.randn(tensor.shape, generator=draw) for name, tensor in before.items()}
    single = by_layer(one, [images], before, after, 0.01)
    one.network.precision = "bfloat16"
    assert by_layer(one, [images], before, after, 0.01) == single
    assert one.network.precision == "bfloat16"
    one.trajectory.moved = frozenset({"head.weight", "head.bias"})
    assert [layer.name for layer in by_layer(one, [images], before, after, 0.01)] == ["head"]
