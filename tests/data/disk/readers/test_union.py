from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from timm.data import ImageNetInfo

from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import CardError, DataError
from dgbench.data.disk.locate import find, locate
from dgbench.data.disk.readers import read

IDS = ImageNetInfo("imagenet-1k").label_names()


def paint(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A miniature of the five sets, each in its own folder and with its own names for classes 3 and 700."""
    monkeypatch.setenv("DGBENCH_DATA", str(tmp_path))
    for folder in ("imagenet/train", "imagenet/val", "imagenet-r", "imagenet-a", "sketch"):
        for number in (3, 700):
            paint(tmp_path / folder / IDS[number] / "0.png")
    for variant in ("matched-frequency", "threshold0.7", "topimages"):
        for number in (3, 700):
            paint(tmp_path / f"imagenetv2-{variant}-format-val" / str(number) / "0.png")
    return tmp_path


def test_imagenet_and_its_shifts_have_one_set_of_labels(root: Path) -> None:
    card = dataset_card("imagenet-shifts")
    listing = read(card, locate(card))
    assert [d.name for d in listing.domains] == [d.name for d in card.domains]
    assert len(listing.classes) == 1000
    first, *others = listing.domains
    assert sorted(first.labels.tolist()) == [3, 3, 700, 700]
    assert first.official is not None
    assert sorted(first.official.tolist()) == ["train", "train", "validation", "validation"]
    assert [d.labels.tolist() for d in others] == [[3, 700]] * 4


def test_a_union_is_here_when_all_of_its_members_are(root: Path) -> None:
    card = dataset_card("imagenet-shifts")
    assert find(card) is not None
    (root / "imagenet-a").rename(root / "elsewhere")
    assert find(card) is None
    with pytest.raises(DataError, match="the dataset 'imagenet-a' is not here"):
        locate(card)


def test_a_member_that_does_not_fit_is_refused(root: Path) -> None:
    content = dataset_card("imagenet-shifts").model_dump(mode="json")
    content["domains"] = content["domains"][:2]

    def union(**members: str) -> DatasetCard:
        return DatasetCard.model_validate(content | {"reader": {"kind": "union", "members": members}})

    with pytest.raises(ValueError, match="must say for each domain of the card"):
        union(**{"imagenet": "imagenet/imagenet", "imagenet-r": "imagenet-r/imagenet-r"})
    with pytest.raises(CardError, match="'imagenet-v2' has no domain 'matched'; it has matched-frequency"):
        read(union(**{"imagenet": "imagenet/imagenet", "imagenet-v2": "imagenet-v2/matched"}), root)
    pacs = dataset_card("pacs")
    assert isinstance(pacs.classes, tuple)
    for domain in pacs.domains:
        for name in pacs.classes:
            paint(root / "PACS" / domain.name / name / "0.png")
    with pytest.raises(DataError, match=r"'pacs' \(7 classes\) has other classes than 'imagenet' \(1000\)"):
        read(union(**{"imagenet": "imagenet/imagenet", "imagenet-v2": "pacs/photo"}), root)
