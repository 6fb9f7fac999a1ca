"""What is known of a backbone stays known, for as long as what it follows from is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgbench.core.backbone_name import BackboneName
from dgbench.core.paths import cache_root
from dgbench.models import backbones
from dgbench.models.backbones import Facts, facts, hub, timm

NAMES = ("timm:test_vit(size=96)", "timm:test_resnet.r160_in1k", "dgbench:convnet-small", "mobilenet-v2")


@pytest.fixture
def looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which networks of timm were built to see what they are; the cache is empty at first."""
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path))
    seen: list[str] = []
    look = timm.facts

    def looking(name: BackboneName) -> Facts:
        seen.append(name.canonical)
        return look(name)

    monkeypatch.setattr(timm, "facts", looking)
    return seen


@pytest.mark.parametrize("name", NAMES)
def test_what_the_cache_knows_is_what_is_found(name: str, looked: list[str]) -> None:
    first = facts(name, fetch=False)
    assert facts(name, fetch=False) == first
    assert len(looked) == name.startswith("timm:")


def test_another_version_or_another_dgbench_looks_again(looked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        facts("timm:test_vit", fetch=False)
    assert len(looked) == 1
    monkeypatch.setattr("dgbench.core.known._version", lambda package: "0" if package == "timm" else "1")
    facts("timm:test_vit", fetch=False)
    assert len(looked) == 2
    monkeypatch.setattr(backbones, "code", lambda *packages: "other")
    for _ in range(2):
        facts("timm:test_vit", fetch=False)
    assert len(looked) == 3


def test_what_is_damaged_is_looked_at_again(looked: list[str]) -> None:
    first = facts("timm:test_vit", fetch=False)
    file = cache_root() / "backbones.json"
    for damaged in (file.read_text().replace('"low_rank"', "7"), file.read_text()[:40]):
        file.write_text(damaged)
        assert facts("timm:test_vit", fetch=False) == first
    assert len(looked) == 3


def test_whether_weights_are_here_is_asked_each_time(
    looked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert facts("timm:test_vit.r160_in1k", fetch=False).weights == hub.UNKNOWN
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"weights")
    monkeypatch.setattr(hub, "cached", lambda repository, files: weights)
    assert facts("timm:test_vit.r160_in1k", fetch=False).weights == hub.sha256(weights)
    assert len(looked) == 1
