"""Small boards that were run once: on digits, and on a folder of pictures with a network that normalises by batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from smallest import smallest
from tiny_clip import TOWERED

from dgbench.algorithms.keeper import Keeper
from dgbench.api.boards import rules
from dgbench.core import registry
from dgbench.core.cards import BoardCard, CaseRules, PartChoice, SelectionRules, SplitRules, card_names
from dgbench.core.recipe import compose
from dgbench.data.catalogue import load
from dgbench.data.domain import Domain
from dgbench.data.splits import Rows, tested
from dgbench.exported.choose import Choice
from dgbench.runs.deterministic import as_worker
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from in_process import carry_out
from once import once
from small import WHOLE, small_board


def told_from_erm(name: str) -> bool:
    """Whether what a recipe leaves is more than ERM's network with other weights: what of it is trained, averaged or
    asked, or what its objective keeps beside."""
    slots = compose(name).slots
    if slots.keys() & {"adapter", "averaging", "predictor"}:
        return True
    keeper = registry.load("objective", slots["objective"].part) if "objective" in slots else Keeper
    return any(getattr(keeper, kept) is not getattr(Keeper, kept) for kept in ("attach", "leave"))


ALGORITHMS = (
    *(
        name
        for name in card_names("algorithms")
        if name not in (*TOWERED, "as_is", "zero_shot", "wise_ft_fisher") and told_from_erm(name)
    ),
    "wise_ft_fisher(images=8)",
    *("erm", "mixup", "irm", "coral", "sam"),
    "linear_probe + t3a",
    "lora + swad",
    "sam + adanpc",
    "adanpc(threshold=2.0)",
)
"""Every card whose head no weights bring along and whose model can be told from ERM's, and ERM. Of those that are like
it one changes what a step sees, two what is minimised, one how it descends. And some recipes of several cards. What the
slopes of single images weigh is averaged over few of them: each is a step of its own."""
IN_BLOCKS = tuple(name for name in ALGORITHMS if smallest(name) == "dgbench:vit-micro")
"""Those that look into the blocks of a network, or change them."""
SHAPES = ("erm", "swad", "ema", "wise_ft", "drm", "lora", "linear_probe", "t3a", "adanpc + swad", "tent",
          "linear_probe + bn_adapt", "pl + swad")  # fmt: skip

HALVED = ("erm", "swad", "linear_probe", "linear_probe + adanpc")
PRINT = CaseRules(targets=("print",), sources=("dot-matrix", "seven-segment"))
WOOD = CaseRules(targets=("wood",))


@dataclass(frozen=True)
class Ran:
    """A board whose runs are done, and where."""

    board: BoardCard
    plan: Plan
    store: Store


def ran(board: BoardCard, name: str, **cases: CaseRules) -> Ran:
    """A board, run by this process as a worker would."""
    best = board.defaults.model_copy(update={"averaging": PartChoice(part="best")})
    board = rules(board.model_copy(update={"defaults": best, "cases": cases}))
    plan = make_plan(board, fetch=True)

    def work(folder: Path) -> None:
        with as_worker("cpu"):
            carry_out(board, folder)

    return Ran(board, plan, Store(once(name, work)))


@pytest.fixture(scope="session")
def digits() -> Ran:
    """Two sources and a target, of which three chunks are tested, and every algorithm there is but those in blocks."""
    others = (name for name in ALGORITHMS if name not in IN_BLOCKS)
    return ran(on_print("dgbench:convnet-small", *others), "digits", digits=PRINT)


@pytest.fixture(scope="session")
def blocks() -> Ran:
    """Those in blocks, in the same way."""
    return ran(on_print("dgbench:vit-micro", *IN_BLOCKS), "blocks", digits=PRINT)


def on_print(backbone: str, *algorithms: str) -> BoardCard:
    """What is exported is compared on the target: two images are enough to choose by under each shift."""
    return few_views(small_board(*algorithms, backbone=backbone, split=SplitRules(validation=0.05, test=0.3)))


def few_views(board: BoardCard) -> BoardCard:
    """Two images of a source domain are looked at under each shift."""
    return board.model_copy(update={"selection": SelectionRules(views_per_domain=2)})


def target(choice: Choice) -> tuple[Domain, Rows]:
    """Where the target's images lie that a run was tested on, and which these are."""
    training = choice.plan.trainings[choice.entry.training]
    dataset, name = load(training.dataset, training.size), choice.entry.domain
    rows = tested(dataset, name, training.trial, training.validation, training.test, training.official)
    return dataset.domain(name), rows


def write_shapes(root: Path, per_class: int = 13) -> None:
    """``shapes/DOMAIN/CLASS/NAME``: transparent, grey, turned and oblong pictures in three domains."""
    random = np.random.default_rng(0)
    for d, domain in enumerate(("ink", "paint", "wood")):
        for c, kind in enumerate(("dot", "line")):
            folder = root / domain / kind
            folder.mkdir(parents=True)
            for number in range(per_class):
                size = [(50, 40), (32, 32), (28, 64)][number % 3]
                pixels = random.integers(0, 256, (*size, 4 if number % 4 == 1 else 3), np.uint8)
                pixels[: 8 + 8 * c, :, d] = 255
                image = Image.fromarray(pixels)
                exif = Image.Exif()
                if number % 5 == 0:
                    exif[0x0112] = 6
                suffix = "png" if number % 4 == 1 else "jpg"
                image.save(folder / f"{number:02d} ünïcode.{suffix}", **({"exif": exif} if suffix == "jpg" else {}))


CARD = """
name = "shapes"
title = "Shapes"
summary = "Noise with a bar."
path = "{path}"
resize = "crop"
alpha = "white"
exif = true
licence = "CC0"
redistribution = "yes"
classes = ["dot", "line"]
[reader]
kind = "tree"
layouts = ["{{domain}}/{{class}}"]
[[domains]]
name = "ink"
[[domains]]
name = "paint"
[[domains]]
name = "wood"
"""


@pytest.fixture(scope="session")
def pictures() -> str:
    """The card of a folder of pictures."""

    def make(root: Path) -> None:
        write_shapes(root / "shapes")
        (root / "shapes.toml").write_text(CARD.format(path=root / "shapes"), encoding="utf-8")

    return str(once("pictures", make) / "shapes.toml")


@pytest.fixture(scope="session")
def shapes(pictures: str) -> Ran:
    """Pictures in files, and a network of timm whose statistics move."""
    name = pictures
    board = small_board(*SHAPES, backbone="timm:test_efficientnet(size=32)", steps=6, checkpoints=3, split=WHOLE)
    training = board.training.model_copy(update={"norm_mode": "train"})
    board = rules(board.model_copy(update={"training": training}), datasets=[name], keep="all")
    return ran(board, "shapes", **{name: WOOD})


@pytest.fixture(scope="session")
def halved(pictures: str) -> Ran:
    """In bfloat16: whole networks, whose statistics move, and heads on stored features."""
    board = small_board(*HALVED, backbone="timm:test_efficientnet(size=32)", steps=6, split=WHOLE)
    training = board.training.model_copy(update={"norm_mode": "train", "precision": "bfloat16"})
    board = rules(board.model_copy(update={"training": training}), datasets=[pictures])
    return ran(board, "halved", **{pictures: WOOD})


@pytest.fixture(scope="session")
def tuned(pictures: str) -> Ran:
    """Every domain is left out once, in two trials; two sets of hyperparameters are tried, and no weights stay."""
    algorithms = ("erm", "sam", "drm", "linear_probe", "t3a")
    board = rules(small_board(*algorithms, backbone="dgbench:convnet-small", split=WHOLE), datasets=[pictures])
    return ran(rules(board, trials=2, draws=2, keep="none"), "tuned")
