import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgbench.board.pictures import previews
from dgbench.core import registry
from dgbench.core.errors import DataError, UnknownNameError
from dgbench.data import catalogue
from dgbench.data.cache.streamed import Streamed
from dgbench.data.catalogue import Outline, OutlineDomain, load, outline
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

    def build(card: object, reader: object) -> Dataset:
        made.append("built")
        return small()

    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(catalogue, "build", build)
    return made


def again(name: str) -> Dataset:
    """Load as a new process would."""
    forget()
    return load(name)


def forget() -> None:
    for cached in (catalogue._load, catalogue._native, catalogue._listing, catalogue._outline):
        cached.cache_clear()


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
def build(card, reader):
    with open({str(tmp_path / "builds")!r}, "a") as file:
        file.write("built\\n")
    time.sleep(1)
    return test_catalogue.small()
catalogue.build = build
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


def test_loading_data_needs_no_torch() -> None:
    program = (
        "import sys; from dgbench.board.pictures import previews; previews('digits'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ)


CARD = """
name = "pets"
title = "Pets"
summary = "Cats and dogs."
path = "../pets"
classes = ["cat", "dog"]
resize = "crop"
licence = "none"
redistribution = "none"
reader = {kind = "tree", layouts = ["{domain}/{class}"]}
domains = [{name = "art", count = 6, family = "drawn"}, {name = "photo", count = 7, about = 8}]
"""


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own dataset, with a card in the working directory."""
    rng = np.random.default_rng(0)
    for domain in ("art", "photo"):
        for name in ("cat", "dog"):
            folder = tmp_path / "pets" / domain / name
            folder.mkdir(parents=True)
            for number in range(3):
                Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "pets.toml").write_text(CARD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    forget()
    return tmp_path / "pets"


def test_pictures_on_disk_become_a_dataset_of_the_size_that_is_asked_for(pets: Path) -> None:
    dataset = load("pets", 32)
    assert (dataset.name, dataset.classes) == ("pets", ("cat", "dog"))
    for domain in dataset.domains:
        assert isinstance(domain.inputs, np.memmap)
        assert domain.inputs.shape == (6, 32, 32, 3)
        assert domain.labels.tolist() == [0, 0, 0, 1, 1, 1]
    # The short side becomes 8/7 of 32 (37 pixels), the long one 46; then the centre is cut out.
    scaled = Image.open(pets / "art" / "dog" / "2.png").resize((46, 37), Image.Resampling.BICUBIC)
    assert np.array_equal(dataset.domain("art").inputs[5], scaled.crop((7, 2, 39, 34)))
    assert load("pets", 32) is dataset
    assert load("pets", 16).manifest == dataset.manifest
    assert sorted(path.name for path in pets.parent.iterdir()) == ["cache", "datasets", "pets"]


def test_pictures_on_disk_have_no_size_of_their_own(pets: Path) -> None:
    with pytest.raises(DataError, match=r"load\('pets', 224\)"):
        load("pets")


def test_streaming_is_asked_for_by_argument_or_by_environment(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    streamed = load("pets", 32, streaming=True)
    monkeypatch.setenv("DGBENCH_STREAM", "1")
    assert load("pets", 32) is streamed
    assert isinstance(streamed.domains[0].inputs, Streamed)
    assert not (pets.parent / "cache" / "decoded").exists()
    cached = load("pets", 32, streaming=False)
    assert isinstance(cached.domains[0].inputs, np.memmap)
    assert cached.manifest == streamed.manifest
    assert np.array_equal(cached.domains[0].inputs, streamed.domains[0].inputs[np.arange(6)])


def test_a_changed_picture_is_other_data(pets: Path) -> None:
    before = load("pets", 32)
    Image.new("RGB", (40, 50)).save(pets / "art" / "cat" / "0.png")
    forget()
    after = load("pets", 32)
    assert after.manifest != before.manifest
    assert not after.domain("art").inputs[0].any()
    assert before.domain("art").inputs[0].any()


def test_numbers_that_differ_from_the_card_are_said(pets: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load("pets", 32)
    assert "'pets' differ from its card: photo has 6 and not 7" in caplog.text
    assert "art" not in caplog.text


def test_an_outline_is_of_the_data_where_it_is_here(pets: Path) -> None:
    known = outline("pets")
    domains = (OutlineDomain("art", 6, "drawn"), OutlineDomain("photo", 6, None))
    assert known == Outline("pets", 2, domains, load("pets", 32).manifest, False, names=("cat", "dog"))


def test_an_outline_is_of_the_card_where_the_data_is_not_here(pets: Path) -> None:
    pets.rename(pets.with_name("elsewhere"))
    domains = (OutlineDomain("art", 6, "drawn"), OutlineDomain("photo", 7, None))
    assert outline("pets") == Outline("pets", 2, domains, None, False, names=("cat", "dog"))
    with pytest.raises(DataError, match="pets"):
        load("pets", 32)


def make_pets(root: Path, side: int) -> Dataset:
    """The builder of a card: pictures of the colour that a file names."""
    colour = int((root / "colour").read_text())
    rows = np.arange(6, dtype=np.int64)
    pictures = [np.full((6, side, side, 3), colour + k, np.uint8) for k in range(2)]
    domains = [Domain(name, x, rows % 2, rows // 2) for name, x in zip(("art", "photo"), pictures, strict=True)]
    return assemble("pets", ("cat", "dog"), domains)


def test_data_that_a_function_makes_of_files(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(registry, "builders", lambda: {"pets": "test_catalogue:make_pets"})
    (pets / "colour").write_text("7")
    reader = '{kind = "made", builder = "pets", options = {side = 8}}\nshared_groups = true'
    card = pets.parent / "datasets" / "made.toml"
    card.write_text(CARD.replace('"pets"', '"made"').replace('{kind = "tree", layouts = ["{domain}/{class}"]}', reader))
    native = load("made")
    assert native.shared_groups
    assert np.array_equal(native.domain("photo").inputs, np.full((6, 8, 8, 3), 8))
    assert native.manifest == make_pets(pets, 8).manifest
    larger = load("made", 12)
    assert larger.manifest == native.manifest == outline("made").manifest
    assert larger.shared_groups
    assert larger.domain("photo").groups.tolist() == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(larger.domain("art").inputs, np.full((6, 12, 12, 3), 7))
    (pets / "colour").write_text("9")
    assert again("made").manifest != native.manifest


def test_an_outline_of_built_in_data(digits: Dataset) -> None:
    known = outline("digits")
    assert [(d.name, d.count) for d in known.domains] == [(d.name, len(d)) for d in digits.domains]
    assert (known.classes, known.manifest, known.shared_groups) == (10, digits.manifest, False)


def test_a_preview_decodes_only_what_it_shows(pets: Path) -> None:
    for domain in ("art", "photo"):
        (pets / domain / "dog" / "1.png").write_bytes(b"no image")  # of three, the first and the last are shown
    for png in previews("pets").values():
        assert Image.open(io.BytesIO(png)).size == (2 * 48, 2 * 48)
    assert not (pets.parent / "cache").exists()


def test_built_in_data_is_resized_when_asked(digits: Dataset) -> None:
    assert isinstance(load("digits", 16).domains[0].inputs, np.ndarray)
    assert not isinstance(load("digits", 16).domains[0].inputs, np.memmap)
    larger = load("digits", 24)
    assert larger.manifest == digits.manifest
    for one, other in zip(larger.domains, digits.domains, strict=True):
        by_hand = Image.fromarray(other.inputs[7]).resize((24, 24), Image.Resampling.BICUBIC)
        assert np.array_equal(one.inputs[7], by_hand)
        assert np.array_equal(one.groups, other.groups)
