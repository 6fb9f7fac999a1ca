import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgbench.core.errors import UnknownNameError
from dgbench.data import catalogue
from dgbench.data.catalogue import load, previews
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble


def small() -> Dataset:
    inputs = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    domain = Domain("only", inputs, np.array([0, 1]), np.array([0, 1]))
    return assemble("digits", ("a", "b"), [domain])


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Every build of this test; what is built is small."""
    made: list[str] = []

    def build(card: object) -> Dataset:
        made.append("built")
        return small()

    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(catalogue, "_build", build)
    return made


def again(name: str) -> Dataset:
    """Load as a new process would."""
    catalogue._load.cache_clear()
    return load(name)


def test_data_is_built_once_and_read_back_the_same(builds: list[str]) -> None:
    first, second = again("digits"), again("digits")
    assert builds == ["built"]
    assert first.manifest == second.manifest
    assert second.classes == ("a", "b")
    for array in ("inputs", "labels", "groups"):
        assert np.array_equal(getattr(first.domains[0], array), getattr(second.domains[0], array))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("only-inputs.npy", None),
        ("only-labels.npy", b""),
        ("only-groups.npy", b"not an array"),
        ("dataset.json", b"{"),
        ("dataset.json", b"[]"),
        ("only-inputs.npy", "one bit"),
    ],
)
def test_damaged_data_is_built_anew_and_said_so(
    builds: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, content: bytes | str | None
) -> None:
    whole = again("digits")
    path = tmp_path / "datasets" / "digits-v1" / file
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        flipped = bytearray(path.read_bytes())
        flipped[-1] ^= 1
        path.write_bytes(flipped)
    with caplog.at_level(logging.WARNING):
        mended = again("digits")
    assert len(builds) == 2
    assert mended.manifest == whole.manifest
    assert "is damaged" in caplog.text
    assert again("digits").manifest == whole.manifest
    assert len(builds) == 2, "what was built anew is whole"


def test_data_that_differs_from_its_card_is_used_with_a_warning(
    builds: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        again("digits")
    assert "differs from its card" in caplog.text
    assert "pillow" in caplog.text


def test_processes_that_want_one_dataset_build_it_once(tmp_path: Path) -> None:
    program = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_catalogue
from dgbench.data import catalogue
def build(card):
    with open({str(tmp_path / "builds")!r}, "a") as file:
        file.write("built\\n")
    time.sleep(1)
    return test_catalogue.small()
catalogue._build = build
print(catalogue.load("digits").manifest)
"""
    environment = os.environ | {"DGBENCH_CACHE": str(tmp_path)}
    started = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=120)[0].strip() for process in started] == [small().manifest] * 2
    assert (tmp_path / "builds").read_text().count("built") == 1


def test_unknown_names_are_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="'digits'"):
        load("digit")


def test_a_preview_shows_two_of_each_class(digits: Dataset) -> None:
    pictures = previews("digits")
    assert list(pictures) == [d.name for d in digits.domains]
    for name, png in pictures.items():
        picture = Image.open(io.BytesIO(png))
        assert picture.size == (10 * 16 * 3, 2 * 16 * 3)
        assert len(png) < 20_000
        tile = np.asarray(picture)[: 3 * 16 : 3, 3 * 16 : 2 * 3 * 16 : 3]
        domain = digits.domain(name)
        ones = domain.inputs[domain.labels == 1]
        assert (ones == tile).all((1, 2, 3)).any(), "the second picture is a 1 of this domain"


def test_loading_data_needs_no_torch() -> None:
    program = (
        "import sys; from dgbench.data.catalogue import previews; previews('digits'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ)
