"""Paces: timed in little memory, about right, and kept."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dgbench.core.paths import cache_root
from dgbench.models.backbones import build
from dgbench.models.network import Network
from dgbench.runs import paces, timing
from dgbench.runs.pace import LEARN, Pace
from dgbench.runs.planning import make_plan
from dgbench.train.spec import TrainingSpec
from small import small_board


@pytest.fixture(scope="module")
def training() -> TrainingSpec:
    return next(iter(make_plan(small_board("erm")).trainings.values()))


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path))


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which backbones were timed."""
    seen: list[str] = []

    def timed(training: TrainingSpec, device: str, workers: int) -> Pace:
        seen.append(training.backbone)
        return Pace(3.0 * len(seen), 1.0)

    monkeypatch.setattr(timing, "timed", timed)
    return seen


def test_a_pace_is_timed_once(training: TrainingSpec, times: list[str]) -> None:
    """And again where the network, its input, precision, or how many are at work differ; not for another training."""
    first = paces.network_pace(training, "cpu", 2)
    assert paces.network_pace(replace(training, trial=1, steps=9, weights="sha256:1"), "cpu", 2) == first
    assert times == [training.backbone]
    for other in (
        replace(training, backbone="dgbench:vit-micro"),
        replace(training, size=32),
        replace(training, precision="bfloat16"),
    ):
        assert paces.network_pace(other, "cpu", 2) != first
    assert paces.network_pace(training, "cpu", 1) != first
    assert paces.network_pace(training, "cuda", 2) != first
    assert len(times) == 6
    assert paces.network_pace(training, "cpu", 2) == first


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("dgbench.paces/1", "dgbench.paces/0"),
        lambda text: text.replace("1.0", "-1.0"),
        lambda text: text.replace("1.0", '"soon"'),
        lambda text: "[1, 2]",
        lambda text: '{"schema": "dgbench.paces/1", "paces": {"a": 1}}',
        lambda text: text.replace('"of"', '"on"'),
    ],
)
def test_what_cannot_be_read_is_said_and_timed_again(
    training: TrainingSpec, times: list[str], damage: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    paces.network_pace(training, "cpu", 2)
    file = cache_root() / "paces.json"
    file.write_text(damage(file.read_text()))
    with caplog.at_level(logging.WARNING):
        assert paces.network_pace(training, "cpu", 2).learn == 6.0
    assert "paces.json cannot be read" in caplog.text
    assert paces.network_pace(training, "cpu", 2).learn == 6.0


def test_no_more_than_so_many_are_kept(
    training: TrainingSpec, times: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgbench.core.known.MOST", 3)
    for size in (16, 20, 24, 28):
        paces.network_pace(replace(training, size=size), "cpu", 2)
    kept = json.loads((cache_root() / "paces.json").read_text())["paces"]
    assert len(kept) == 3
    assert not any(" 16 px" in pace["of"] for pace in kept)
    assert len({paces.network_pace(replace(training, size=size), "cpu", 2).learn for size in (20, 24, 28)}) == 3
    assert len(times) == 4


def test_the_weights_of_a_large_network_that_is_timed_take_no_memory(training: TrainingSpec) -> None:
    """86 million weights of four bytes."""
    large = replace(training, backbone="timm:vit_base_patch16_224", size=224)
    network = timing._hollow(large, torch.device("cpu"))
    storages = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in network.parameters()}
    assert sum(p.numel() for p in network.parameters()) > 85e6
    assert sum(storages.values()) < 20e6


def test_how_long_a_network_learns_follows_from_how_long_it_looks(training: TrainingSpec) -> None:
    """Against steps of AdamW on the same network with weights of its own: within a factor of two and a bit.

    What else is at work makes everything slower, and nothing faster, so the quickest of some counts.
    """
    small = replace(training, backbone="timm:resnet18(size=64)", size=64)
    device = torch.device("cpu")
    hollow = timing._hollow(small, device)
    looking = timing._at_once(lambda number: min(timing._looking(hollow, small, device) for _ in range(2)), 1)
    network = Network(build("timm:resnet18(size=64)"), 2).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    x, y = torch.randn(16, 3, 64, 64).contiguous(memory_format=torch.channels_last), torch.arange(16) % 2

    def step(number: int) -> float:
        started = time.thread_time()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
        return (time.thread_time() - started) / 16

    learning = timing._at_once(lambda number: min(step(number) for _ in range(3)), 1)
    assert LEARN * looking == pytest.approx(learning, rel=1.5)
    assert learning == pytest.approx(LEARN * looking, rel=1.5)


def test_real_steps_of_a_small_network_are_timed(training: TrainingSpec) -> None:
    pace = timing.timed(training, "cpu", 2)
    assert 0 < pace.look < pace.learn < 1
    assert pace.learn != LEARN * pace.look


def test_a_step_of_a_head_is_timed_once_for_as_many_domains(
    training: TrainingSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For heads of all networks, in a fraction of what a step of a network takes that holds a million weights."""
    step = paces.head_pace(training, "cpu")
    assert 1e-5 < step < 0.1
    monkeypatch.setattr(timing, "head_step", lambda training, device: 7.0)
    assert paces.head_pace(replace(training, backbone="dgbench:convnet-small", steps=9), "cpu") == step
    assert paces.head_pace(replace(training, sources=training.sources[:2]), "cpu") == 7.0
