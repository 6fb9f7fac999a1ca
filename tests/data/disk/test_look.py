import tomllib
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import DataError
from dgbench.data.disk.look import look, write
from dgbench.data.disk.look.toml import as_toml
from dgbench.data.disk.readers import hub as reading_of_hub
from dgbench.data.disk.readers import read


def paint(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4, 3), len(str(path)), np.uint8)).save(path)


def tree(root: Path, *folders: str, images: int = 2) -> Path:
    for folder in folders:
        for number in range(images):
            paint(root / folder / f"{number}.png")
    return root


def test_a_folder_becomes_a_card_that_reads(tmp_path: Path) -> None:
    root = tree(tmp_path / "My Photos", "day/cat", "day/dog", "at night/cat", "at night/dog")
    paint(root / "stray.png")
    draft = look(str(root))
    path = write(draft, tmp_path / "datasets")
    card = dataset_card(str(path))
    assert (card.name, card.classes) == ("my-photos", ("cat", "dog"))
    assert [(d.name, d.count) for d in card.domains] == [("at night", 4), ("day", 4)]
    assert "1 images do not lie 2 folders deep and are left out, in '.'" in draft.said
    assert card.path is not None
    listing = read(card, card.path)
    assert [(d.name, d.labels.tolist()) for d in listing.domains] == [("at night", [0, 0, 1, 1]), ("day", [0, 0, 1, 1])]


def test_a_level_of_split_names_is_the_split(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", *(f"{d}/{s}/{c}" for d in "ab" for s in ("train", "val") for c in ("cat", "dog")))
    card = DatasetCard.model_validate(look(str(root)).content)
    listing = read(card, root)
    assert [sorted(set(d.official.tolist())) for d in listing.domains if d.official is not None] == [
        ["train", "validation"],
        ["train", "validation"],
    ]


def test_the_layout_can_be_said(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", "cat/day", "cat/night", "dog/day", "dog/night")
    card = DatasetCard.model_validate(look(str(root), layout="{class}/{domain}").content)
    assert (card.classes, [d.name for d in card.domains]) == (("cat", "dog"), ["day", "night"])
    assert [d.labels.tolist() for d in read(card, root).domains] == [[0, 0, 1, 1]] * 2


def test_a_csv_file_becomes_a_card_that_reads(tmp_path: Path) -> None:
    for name in "abcd":
        paint(tmp_path / "images" / f"{name}.png")
    rows = ["images/a.png,cat,day", "images/b.png,dog,day", "images/c.png,cat,night", "images/d.png,dog,night"]
    (tmp_path / "list.csv").write_text("\n".join(["path,class,where", *rows]), encoding="utf-8")
    with pytest.raises(DataError, match=r"which column is the domain.*path, class, where; say it with --domain COLUMN"):
        look(str(tmp_path / "list.csv"))
    with pytest.raises(DataError, match=r"no column 'wher'. Did you mean 'where'"):
        look(str(tmp_path / "list.csv"), columns={"domain": "wher"})
    card = DatasetCard.model_validate(look(str(tmp_path / "list.csv"), columns={"domain": "where"}).content)
    assert [(d.name, d.labels.tolist()) for d in read(card, tmp_path).domains] == [("day", [0, 1]), ("night", [0, 1])]


@pytest.mark.parametrize("domain", [True, False])
def test_a_dataset_of_the_hub_becomes_a_card(domain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.new("RGB", (4, 4))
    columns: dict[str, Any] = {"image": [picture] * 4, "label": [0, 1, 0, 1]}
    features: dict[str, Any] = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    if domain:
        columns["domain"], features["domain"] = ["day", "day", "night", "night"], datasets.Value("string")
    made = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    found = {"train": made} if domain else {"day": made, "night": made}
    asked: list[tuple[str, str | None]] = []

    def load(name: str, revision: str | None = None) -> dict[str, datasets.Dataset]:
        asked.append((name, revision))
        return found

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(reading_of_hub, "commit", lambda name, revision: "c0ffee")
    card = DatasetCard.model_validate(look("hf://me/pets").content)
    assert asked == [("me/pets", "c0ffee"), ("me/pets", "c0ffee")], "looked at, then read as the card says"
    assert card.reader.kind == "hub"
    assert (card.reader.id, card.reader.revision) == ("me/pets", "c0ffee")
    assert card.reader.domain == ("domain" if domain else None)
    assert (card.classes, [d.name for d in card.domains]) == (("cat", "dog"), ["day", "night"])
    assert [d.count for d in card.domains] == ([2, 2] if domain else [4, 4])


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ((), "no such folder"),
        (("cat", "dog"), "one folder deep; expected domain/class/image"),
        (("a/b/c/d/cat", "a/b/c/d/dog"), "say it with --layout"),
        (("a/cat", "a/dog"), "only one domain was found"),
    ],
)
def test_what_cannot_be_read_is_explained(folders: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        look(str(tree(tmp_path / "d", *folders)))


def test_a_card_is_never_overwritten(tmp_path: Path) -> None:
    draft = look(str(tree(tmp_path / "d", "a/cat", "a/dog", "b/cat", "b/dog")))
    path = write(draft, tmp_path / "datasets")
    before = path.read_text(encoding="utf-8")
    with pytest.raises(DataError, match="a dataset named 'd' already; give another name with --name"):
        write(draft, tmp_path / "datasets")
    assert path.read_text(encoding="utf-8") == before
    digits = look(str(tmp_path / "d"), name="digits")
    with pytest.raises(DataError, match="'digits' already"):
        write(digits, tmp_path / "datasets")


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
plain = st.one_of(text, st.integers(-9, 9), st.booleans(), st.lists(text, max_size=3))
tables = st.dictionaries(text.filter(bool), plain, max_size=3)


@given(
    st.dictionaries(text.filter(bool), st.one_of(plain, tables, st.lists(tables, min_size=1, max_size=2)), max_size=4)
)
def test_toml_reads_back(content: dict[str, Any]) -> None:
    assert tomllib.loads(as_toml(content)) == content
