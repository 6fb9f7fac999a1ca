from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import CardError, DataError
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble
from dgbench.data.readers import made, read

MakeCard = Callable[..., DatasetCard]


def build(root: Path, factor: int = 1) -> Dataset:
    grey = int((root / "grey.txt").read_text()) * factor
    inputs = np.full((3, 4, 4, 3), grey, np.uint8) + np.arange(3, dtype=np.uint8)[:, None, None, None]
    return assemble("made", ("no", "yes"), [Domain("only", inputs, np.array([0, 1, 1]), np.array([0, 0, 1]))])


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "grey.txt").write_text("7")
    monkeypatch.setattr(made, "build", build, raising=False)
    return tmp_path


BUILDER = "dgbench.data.readers.made:build"


def test_a_builder_is_given_the_folder_and_the_options(make_card: MakeCard, root: Path) -> None:
    card = make_card({"kind": "made", "builder": BUILDER, "options": {"factor": 10}}, ["only"], ["no", "yes"])
    domain = read(card, root).domains[0]
    assert domain.labels.tolist() == [0, 1, 1]
    assert domain.groups.tolist() == [0, 0, 1]
    assert domain.pictures.read(2)[0, 0].tolist() == [72, 72, 72]
    assert domain.pictures.stamp(0) != domain.pictures.stamp(1)


def test_what_is_made_must_be_what_the_card_says(make_card: MakeCard, root: Path) -> None:
    reader = {"kind": "made", "builder": BUILDER}
    with pytest.raises(DataError, match="makes the domains"):
        read(make_card(reader, ["other"], 2), root)
    with pytest.raises(DataError, match="makes 2 classes, not 3"):
        read(make_card(reader, ["only"], 3), root)
    with pytest.raises(CardError, match=r"no builder 'dgbench\.nowhere:build'"):
        read(make_card({"kind": "made", "builder": "dgbench.nowhere:build"}, ["only"], 2), root)
