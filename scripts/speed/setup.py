"""What all rows are measured on: generated images, and boards of ours over them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from draw_pacs_like import write

import dgbench
from dgbench.core.cards import SelectionRules
from dgbench.models.network import Network
from dgbench.runs.deterministic import ready
from dgbench.runs.parts import parts_of
from dgbench.runs.setting import Setting
from dgbench.runs.store import Store
from dgbench.train.parts import Parts, attach
from dgbench.train.spec import TrainingSpec

CPU = torch.device("cpu")
DATASET = "pacs-like"
TEST, SOURCES = "art_painting", ("cartoon", "photo", "sketch")


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        images: Of the dataset, in four domains.
        pixels: Of a side, as the network sees them.
        batch: Images of each source domain in a step.
        steps: Of a training; it has two checkpoints, as the reference has with so few steps.
        trials: Trainings of a whole job.
        workers: Of each of the reference's loaders.
        drawn: Sides of the images whose shifted views are drawn.
        network: That our side trains; the other side has a ResNet-18.
        items: Images of the input pipeline.
        views: Validation images of a domain that are looked at under each shift.
    """

    images: int = 280
    pixels: int = 224
    batch: int = 32
    steps: int = 6
    trials: int = 2
    workers: int = 8
    drawn: tuple[int, ...] = (128, 224)
    network: str = "resnet18"
    items: int = 256
    views: int = SelectionRules().views_per_domain


QUICK = Size(56, 32, batch=2, steps=2, trials=1, workers=1, drawn=(32,), network="test_resnet", items=8, views=2)


@dataclass(frozen=True)
class Setup:
    """A folder with the data, its card and boards; it is the working directory.

    Attributes:
        folder: With ``data/PACS`` and ``datasets/``.
        size: How much is done.
        rounds: How often each side of a row is measured, in turns.
        jobs: How often whole jobs are done, which take minutes.
    """

    folder: Path
    size: Size
    rounds: int
    jobs: int

    @property
    def data(self) -> Path:
        """Where the folder of the dataset lies that the reference calls PACS."""
        return self.folder / "data"

    @property
    def test(self) -> int:
        """The number of the environment that the reference tests on."""
        return sorted(path.name for path in (self.data / "PACS").iterdir()).index(TEST)

    def board(
        self, name: str, algorithms: tuple[str, ...], precision: str, steps: int = 0, checkpoints: int = 2
    ) -> Path:
        """The file of a board with one target."""
        text = BOARD.format(
            name=name, dataset=DATASET, algorithms=list(algorithms), precision=precision, pixels=self.size.pixels,
            batch=self.size.batch, steps=steps or self.size.steps, checkpoints=checkpoints, sources=list(SOURCES),
            target=TEST, trials=self.size.trials, network=self.size.network, views=self.size.views,
        )  # fmt: skip
        path = self.folder / "boards" / name / "board.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def training(self, board: Path) -> tuple[TrainingSpec, Parts, Setting, Network]:
        """The first training of a board, in this process: what it is, and its network before the first step."""
        spec = next(iter(dgbench.plan(board).trainings.values()))
        parts = parts_of(spec)
        setting = Setting(spec, parts, Store(self.folder / "store"), CPU)
        network = setting.initial_network()
        return spec, parts, setting, network

    def evaluated(self, board: Path) -> tuple[Setting, Network]:
        """The same, with the adapter attached: what a checkpoint looks with."""
        spec, parts, setting, network = self.training(board)
        attach(spec, parts, network)
        return setting, network


def prepared(folder: Path, size: Size, rounds: int, counts: Mapping[str, int]) -> Setup:
    """So many images of each domain and their card, in a folder that becomes the working directory, with a cache of its
    own; and this process computes as our workers do."""
    ready("cpu")
    os.environ["DGBENCH_CACHE"] = str(folder / "cache")
    os.chdir(folder)
    write(folder / "data" / "PACS", counts)
    command = [sys.executable, "-m", "dgbench.cli", "data", "new", "data/PACS", "--name", DATASET]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Setup(folder, size, rounds, max(1, rounds // 3))


BOARD = """
name = "{name}"
title = "What the benchmark of speed runs"
version = 1
summary = "Images drawn like those of PACS, one domain left out."
dataset = "{dataset}"
protocol = "fixed"
trials = {trials}
draws = 1
criterion = "augmented"
algorithms = {algorithms}

[tracks]
inductive = "timm:{network}(size={pixels})"
online = "timm:{network}(size={pixels})"

[cases.{dataset}]
sources = {sources}
targets = ["{target}"]

[split]
validation = 0.2

[selection]
views_per_domain = {views}

[training]
steps = {steps}
checkpoints = {checkpoints}
batch_per_domain = {batch}
precision = "{precision}"
norm_mode = "frozen"

[defaults.averaging]
part = "best"

[hyperparameters]
"optimizer.lr" = 5e-5
"optimizer.weight_decay" = 0.0
"sampler.augmentation" = "domainbed"
"""
PRECISION = {"parity": "float32", "fast": "bfloat16"}
