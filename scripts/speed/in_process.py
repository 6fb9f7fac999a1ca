"""Rows measured in this process, on one thread, in CPU time, both sides in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import reference_pipeline as reference
import torch
import torch.nn.functional as F
from draw_pacs_like import draw
from measure_augmentation import Files, batches, decode
from numpy.typing import NDArray
from torch import Tensor, nn

from dgbench.algorithms.objectives.irm import IRM
from dgbench.algorithms.step import Batch, Forward
from dgbench.core.shift_families import FAMILIES
from dgbench.data.shifts import shift
from dgbench.models.network import Backbone, Network
from dgbench.train.evaluate import evaluating, features
from dgbench.train.loop import train
from dgbench.train.sources import Held, Pixels
from speed.row import Mode, Row
from speed.setup import CPU, PRECISION, Setup

DRAWN, PENALTIES, PROBED = 8, 50, 100
"""Images that are shifted, penalties and steps of a probe: in a round."""


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process, all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def in_turns(rounds: int, sides: Sequence[Callable[[], object]]) -> tuple[list[float], ...]:
    """CPU seconds of each side, round by round; a first round is not counted."""
    turns = [[seconds(side) for side in sides] for _ in range(rounds + 1)][1:]
    return tuple(list(side) for side in zip(*turns, strict=True))


def per(times: Sequence[float], number: int) -> list[float]:
    """Milliseconds for one of so many."""
    return [1000 * time / number for time in times]


def look(inputs: Iterable[Tensor]) -> None:
    """Have them all made, and keep none: a training keeps none either."""
    for _ in inputs:
        pass


class _Enough(Exception):  # noqa: N818 (it ends a training, and is no error)
    """All was measured that was to be."""


def steps(setup: Setup, board: Path, rounds: int, between: Callable[[], object]) -> tuple[list[float], list[float]]:
    """CPU seconds of the steps of one of our trainings, and of what is done between them.

    The first step is not counted. A thread that prepares batches may be at work in both; its time is a step's.
    """
    spec, parts, setting, network = setup.training(board)
    own, other = [], []
    began = 0.0

    def on_step(number: int) -> None:
        nonlocal began
        now = time.process_time()
        if number > 1:
            own.append(now - began)
        if number > rounds:
            raise _Enough
        clock = time.thread_time()
        between()
        other.append(time.thread_time() - clock)
        began = now + other[-1]

    with suppress(_Enough):
        train(spec, parts, network, setting.sources(), setup.folder / "trained" / board.parent.name, on_step, keep=())
    return own, other


def bare(network: Network, images: int, pixels: int) -> Callable[[], None]:
    """A step of a network, in its precision, on tensors that lie in memory: forward, backward, AdamW."""
    x = _noise(images, pixels)
    y = torch.arange(images) % network.classes
    network.eval()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-5, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimizer.step()

    return step


def _noise(images: int, pixels: int) -> Tensor:
    return torch.randn(images, 3, pixels, pixels).contiguous(memory_format=torch.channels_last)


def training_step(setup: Setup, modes: list[Mode]) -> Iterator[Row]:
    """One step, augmentation and all, against the network alone."""
    images = 3 * setup.size.batch
    for mode in modes:
        board = setup.board(f"step-{mode}", ("erm",), PRECISION[mode], setup.rounds + 2, 1)
        limit = bare(setup.evaluated(board)[1], images, setup.size.pixels)
        limit()
        own, other = steps(setup, board, setup.rounds, limit)
        own, other = per(own, images), per(other, images)
        yield Row("step", "training step, an image", mode, "ms", own, "physical limit", other, 0.97)


def input_pipeline(setup: Setup, modes: list[Mode]) -> Iterator[Row]:
    """From a decoded picture to augmented input of the network, against one PIL image after the other."""
    random = np.random.default_rng(0)
    folder = setup.folder / "items"
    folder.mkdir()
    paths = [folder / f"{number}.jpg" for number in range(min(setup.size.items, setup.size.images))]
    for path in paths:
        draw(random).save(path, quality=90)
    files = Files(paths)
    size = setup.size.pixels
    backbone = Backbone("any", nn.Identity(), 1, size, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    inputs = Pixels(decode(paths, folder / "images.npy"), backbone, CPU, resident=False)
    sides = [lambda: look(batches(inputs, 0)), lambda: look(files[row] for row in range(len(files)))]
    own, other = (per(times, len(paths)) for times in in_turns(setup.rounds, sides))
    yield Row("input", "augmented input, an image", "parity", "ms", own, "PIL item", other, 10)


def evaluation(setup: Setup, modes: list[Mode]) -> Iterator[Row]:
    """What one checkpoint looks at: our validation images, the reference's everything."""
    looked_at = reference.parts(setup.data / "PACS", setup.test, setup.size.pixels, 0)
    their_network = reference.resnet18(7)
    for mode in modes:
        setting, network = setup.evaluated(setup.board(f"look-{mode}", ("erm",), PRECISION[mode]))
        domains = setting.sources().domains
        images = sum(len(held.validation) for held in domains)
        if mode == "parity":
            theirs = sum(part.images for part in looked_at)
            yield Row("evaluation", "images that a checkpoint looks at", mode, "", [images], "reference", [theirs], 5)
        what = "looking at a checkpoint"
        with evaluating(network):
            own, other, limit = _looks(setup, network, domains, lambda: [p.accuracy(their_network) for p in looked_at])
        yield Row("evaluation", what, mode, "s", own, "reference", other, 8 if mode == "fast" else None)
        yield Row("evaluation", what, mode, "s", own, "physical limit", limit)


def _looks(
    setup: Setup, network: Network, domains: Sequence[Held], theirs: Callable[[], object]
) -> tuple[list[float], ...]:
    """Seconds of our look at validation images, of the reference's look, and of the network alone on ours."""
    pixels = setup.size.pixels
    x = [
        torch.randn(len(d.validation), 3, pixels, pixels).contiguous(memory_format=torch.channels_last) for d in domains
    ]
    sides: list[Callable[[], object]] = [
        lambda: [network.head(features(network, held.inputs, held.validation)) for held in domains],
        theirs,
        lambda: [network.head(network.features(part)) for part in x],
    ]
    return in_turns(setup.rounds, sides)


def penalty(setup: Setup, modes: list[Mode]) -> Iterator[Row]:
    """The loss of IRM and its gradient in the logits, in closed form against gradients of gradients."""
    each = setup.size.batch
    y, domain = torch.arange(3 * each) % 7, torch.arange(3).repeat_interleave(each)
    logits = torch.randn(3 * each, 7, generator=torch.Generator().manual_seed(0), requires_grad=True)
    batch = Batch(torch.empty(0), y, domain, torch.arange(3 * each))

    def own() -> Tensor:
        return IRM(penalty_weight=1.0).loss(Forward(None, batch, logits, logits, 0, 1, 3))  # type: ignore[arg-type]

    def other() -> Tensor:
        return reference.OBJECTIVES["IRM"](list(logits.split(each)), list(y.split(each)))

    sides = [lambda loss=loss: [loss().backward() for _ in range(PENALTIES)] for loss in (own, other)]
    ours, theirs = (per(times, PENALTIES) for times in in_turns(setup.rounds, sides))
    yield Row("penalty", "IRM's loss and gradient", "parity", "ms", ours, "autograd twice", theirs)


def probe(setup: Setup, modes: list[Mode]) -> Iterator[Row]:
    """A step of a head on a frozen backbone: on stored features, against images that go through it in every step."""
    board = setup.board("probe", ("linear_probe(augmentation=none)",), "float32", PROBED + 2, 1)
    network = reference.resnet18(7)
    network.fc, head = nn.Identity(), nn.Linear(512, 7)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    found = reference.environments(setup.data / "PACS", setup.test, setup.size.pixels)
    seen = [part for number, (part, _) in enumerate(found) if number != setup.test]
    training = [reference.stream(part, setup.size.batch, 0, train=True) for part in seen]

    def step() -> None:
        batches = [next(one) for one in training]
        with torch.no_grad():
            values = network(torch.cat([x for x, _ in batches]))
        optimizer.zero_grad()
        F.cross_entropy(head(values), torch.cat([y for _, y in batches])).backward()
        optimizer.step()

    own, other = [], []
    for _ in range(setup.rounds):
        own.append(1000 * float(np.median(steps(setup, board, PROBED, lambda: None)[0])))
        other.append(1000 * seconds(step))
    yield Row("probe", "step of a head on a frozen backbone", "parity", "ms", own, "reference", other, 1000)


def views(setup: Setup, modes: list[Mode]) -> Iterator[Row]:
    """Drawing an image under all ten families of shifts."""
    random = np.random.default_rng(0)
    for side in setup.size.drawn:
        images = [np.asarray(draw(random).resize((side, side))) for _ in range(DRAWN)]
        (times,) = in_turns(setup.rounds, [partial(_ten_shifts, images)])
        own = per(times, len(images))
        goal = {128: 12, 224: 35}.get(side)
        yield Row("views", f"drawing an image under ten shifts, {side} px", "parity", "ms", own, goal=goal)


def _ten_shifts(images: Sequence[NDArray[np.uint8]]) -> None:
    for name in FAMILIES:
        for seed, image in enumerate(images):
            shift(image, name, seed)
