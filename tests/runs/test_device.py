"""Where networks run: without torch where it is certain, else as torch says."""

from pathlib import Path

import pytest

from dgbench.core.errors import DGBenchError
from dgbench.runs import device
from dgbench.runs.device import resolve_device


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What torch was asked; it has CUDA here."""
    questions: list[str] = []

    def answer(name: str, there: bool) -> None:
        monkeypatch.setattr(f"torch.{name}.is_available", lambda: questions.append(name) or there)

    answer("cuda", True)
    answer("backends.mps", False)
    return questions


@pytest.mark.parametrize(
    ("system", "built", "driver", "nodes", "found"),
    [
        ("linux", "2.9.0", False, (), "cpu"),
        ("linux", "2.9.0+cpu", True, (), "cpu"),
        ("linux", "2.9.0+cu130", False, (), "cpu"),
        ("linux", "2.9.0", True, (), "cuda"),
        ("linux", "2.9.0+rocm6.4", False, ("kfd",), "cuda"),
        ("linux", "2.9.0+rocm6.4", False, (), "cpu"),
        ("linux", "2.9.0", False, ("dxg",), "cuda"),
        ("win32", "2.9.0+cpu", False, (), "cuda"),
        ("darwin", "2.9.0", False, (), "cuda"),
    ],
)
def test_torch_is_asked_wherever_there_may_be_an_accelerator(
    system: str,
    built: str,
    driver: bool,
    nodes: tuple[str, ...],
    found: str,
    asked: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for node in nodes:
        (tmp_path / node).touch()
    monkeypatch.setattr(device, "NODES", tuple(tmp_path / node.name for node in device.NODES))
    monkeypatch.setattr(device, "_opens", lambda library: driver)
    monkeypatch.setattr(device, "version", lambda package: built)
    monkeypatch.setattr("sys.platform", system)
    assert resolve_device("auto") == found
    assert bool(asked) == (found == "cuda")
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("cuda") == "cuda"  # whoever names it has torch asked
    assert "cuda" in asked


def test_a_library_that_is_there_opens_and_another_does_not() -> None:
    assert device._opens("libc.so.6")
    assert not device._opens("libno-such-thing.so.1")


def test_what_is_said_without_torch_is_what_torch_says() -> None:
    """On this machine, whatever it has."""
    import torch

    if device._no_accelerator():
        assert not torch.cuda.is_available()
        assert not torch.backends.mps.is_available()


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert resolve_device("auto") == "cpu"
    with pytest.raises(DGBenchError, match="device 'cuda' is not there; this machine has cpu"):
        resolve_device("cuda")
