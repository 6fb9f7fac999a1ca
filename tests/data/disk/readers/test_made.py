import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from dgbench.core import registry
from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import CardError, DataError
from dgbench.core.reader_cards import BuiltIn
from dgbench.data.disk.readers import read
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble
from dgbench.data.sets import builders

MakeCard = Callable[..., DatasetCard]


def build(root: Path, factor: int = 1, scale: float = 1.0, shade: Literal["dark", "light"] = "dark") -> Dataset:
    grey = int((root / "grey.txt").read_text()) * factor
    inputs = np.full((3, 4, 4, 3), grey, np.uint8) + np.arange(3, dtype=np.uint8)[:, None, None, None]
    return assemble("made", ("no", "yes"), [Domain("only", inputs, np.array([0, 1, 1]), np.array([0, 0, 1]))])


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "grey.txt").write_text("7")
    register(monkeypatch, greys=build, nothing=lambda: None, wrong=lambda root: None)
    return tmp_path


def register(monkeypatch: pytest.MonkeyPatch, **functions: Any) -> None:
    """What entry points do: names that a card may use, and their functions."""
    for name, function in functions.items():
        monkeypatch.setitem(registry.BUILDERS, name, f"{__name__}:{name}")
        monkeypatch.setattr(sys.modules[__name__], name, function, raising=False)
    registry.builders.cache_clear()
    monkeypatch.setattr(registry, "builders", lambda: dict(registry.BUILDERS))


def test_a_builder_is_given_the_folder_and_the_options(make_card: MakeCard, root: Path) -> None:
    card = make_card({"kind": "made", "builder": "greys", "options": {"factor": 10}}, ["only"], ["no", "yes"])
    domain = read(card, root).domains[0]
    assert domain.labels.tolist() == [0, 1, 1]
    assert domain.groups.tolist() == [0, 0, 1]
    assert domain.pictures.read(2)[0, 0].tolist() == [72, 72, 72]
    assert domain.pictures.stamp(0) != domain.pictures.stamp(1)


def test_what_is_made_must_be_what_the_card_says(make_card: MakeCard, root: Path) -> None:
    reader = {"kind": "made", "builder": "greys"}
    with pytest.raises(DataError, match="makes the domains"):
        read(make_card(reader, ["other"], 2), root)
    with pytest.raises(DataError, match="makes 2 classes, not 3"):
        read(make_card(reader, ["only"], 3), root)


@pytest.mark.parametrize(
    ("builder", "options", "message"),
    [
        ("grays", {}, r"mini: reader\.builder: there is no builder named 'grays'\. Did you mean 'greys'"),
        ("nowhere", {}, r"entry-point group dgbench\.builders"),
        ("nothing", {}, "takes no folder of files: the reader's kind is 'built-in'"),
        ("digits", {}, "takes no folder of files"),
        ("wrong", {}, "makes a NoneType and no dataset"),
        ("greys", {"facto": 2}, r"reader\.options\.facto: the builder has no such option\. Did you mean 'factor'"),
        ("greys", {"factor": "2"}, r"reader\.options\.factor: .*integer, got '2'"),
        ("greys", {"factor": True}, r"reader\.options\.factor: .*integer, got True"),
        ("greys", {"scale": "$(id)"}, r"reader\.options\.scale: .*number"),
        ("greys", {"shade": "grey"}, r"reader\.options\.shade: .*'dark' or 'light', got 'grey'"),
        ("greys", {"root": "/"}, r"reader\.options\.root: the builder has no such option"),
    ],
)
def test_a_builder_and_its_options_are_checked_before_it_is_called(
    make_card: MakeCard, root: Path, builder: str, options: dict[str, Any], message: str
) -> None:
    card = make_card({"kind": "made", "builder": builder, "options": options}, ["only"], 2)
    with pytest.raises(CardError, match=message) as error:
        read(card, root)
    assert "\n" not in str(error.value)


def test_a_whole_number_will_do_where_a_number_is_wanted(make_card: MakeCard, root: Path) -> None:
    assert read(make_card({"kind": "made", "builder": "greys", "options": {"scale": 2}}, ["only"], 2), root).domains


def test_a_builder_of_files_is_no_builder_of_nothing(make_card: MakeCard) -> None:
    reader = {"kind": "built-in", "builder": "rotated-mnist", "manifest": "0" * 64, "built_with": {}}
    card = make_card(reader, ["0"], 10)
    assert isinstance(card.reader, BuiltIn)
    with pytest.raises(CardError, match="'rotated-mnist' makes data of files: the reader's kind is 'made'"):
        builders.build(card, card.reader)
