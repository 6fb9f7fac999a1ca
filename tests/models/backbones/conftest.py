"""A hub that is a folder: what lies in it is found, and nothing is ever fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import save_file
from torch import Tensor

Publish = Callable[[str, str, dict[str, Tensor]], Path]


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, empty."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def publish(hub: Path) -> Publish:
    """Put weights into the hub's cache as if they had been fetched; gives their path."""

    def put(repository: str, file: str, state: dict[str, Tensor]) -> Path:
        root = hub / f"models--{repository.replace('/', '--')}"
        path = root / "snapshots" / "0123abc" / file
        path.parent.mkdir(parents=True)
        (root / "refs").mkdir()
        (root / "refs" / "main").write_text("0123abc")
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
        return path

    return put
