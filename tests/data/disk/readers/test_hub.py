import io
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pytest
from PIL import Image

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.data.disk.locate import hub_home
from dgbench.data.disk.readers import read

MakeCard = Callable[..., DatasetCard]
Plant = Callable[..., Path]

READER = {"kind": "hub", "id": "owner/name", "revision": "abc"}
BY_COLUMN = {**READER, "domain": "style"}
DOMAINS = ["photo", "sketch"]


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def png(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (4, 3), grey).save(file, format="PNG")
    return file.getvalue()


def parquet(root: Path, split: str, greys: Sequence[int], labels: Sequence[int], **columns: Sequence[Any]) -> Path:
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["dog", "cat"])}
    features |= {name: datasets.Value("string") for name in columns}
    images = [{"bytes": png(grey), "path": None} for grey in greys]
    content = {"image": images, "label": list(labels), **{name: list(values) for name, values in columns.items()}}
    root.mkdir(exist_ok=True)
    datasets.Dataset.from_dict(content, datasets.Features(features)).to_parquet(
        root / f"{split}-00000-of-00001.parquet"
    )
    return root


def test_rows_of_a_domain_column(make_card: MakeCard, tmp_path: Path) -> None:
    root = parquet(tmp_path / "pacs", "train", [1, 2, 3], [0, 1, 1], style=["Sketch", "photo", "other"])
    parquet(root, "test", [4], [0], style=["photo"])
    before = sorted(root.rglob("*"))
    listing = read(make_card(BY_COLUMN, DOMAINS, 2), root)
    assert listing.classes == ("cat", "dog")
    photo, sketch = listing.domains
    assert (photo.labels.tolist(), sketch.labels.tolist()) == ([0, 1], [1])
    assert [photo.pictures.read(row)[0, 0].tolist() for row in range(2)] == [[2, 2, 2], [4, 4, 4]]
    assert photo.official is not None
    assert photo.official.tolist() == ["train", "test"]
    assert photo.pictures.name(1) == f"{root}[3]"
    again = pickle.loads(pickle.dumps(photo.pictures))
    assert again.digest(1) == photo.pictures.digest(1) != photo.pictures.digest(0)
    assert sorted(root.rglob("*")) == before


def test_the_card_orders_classes_and_names_domains(make_card: MakeCard, tmp_path: Path) -> None:
    root = parquet(tmp_path / "pacs", "train", [1, 2], [0, 1], style=["3", "P"])
    domains = [{"name": "photo", "folders": ["P"]}, {"name": "sketch", "folders": ["3"]}]
    photo, sketch = read(make_card(BY_COLUMN, domains, ["dog", "cat"]), root).domains
    assert (photo.labels.tolist(), sketch.labels.tolist()) == ([1], [0])
    assert photo.official is None, "a single split says nothing"


def test_without_a_domain_column_splits_are_domains(make_card: MakeCard, tmp_path: Path) -> None:
    root = parquet(tmp_path / "sets", "sketch", [1, 2], [0, 1])
    parquet(root, "photo", [3], [0])
    (root / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        "  - {split: sketch, path: sketch-*}\n  - {split: photo, path: photo-*}\n---\n"
    )
    photo, sketch = read(make_card(READER, DOMAINS, 2), root).domains
    assert (len(photo), len(sketch)) == (1, 2)
    assert sketch.official is None


def test_folders_of_images(make_card: MakeCard, plant: Plant, tmp_path: Path) -> None:
    root = plant("train/dog", "train/cat", "test/dog", "test/cat", root=tmp_path / "folders")
    card = make_card(READER, ["train", "test"], ["dog", "cat"])
    train, test = read(card, root).domains
    assert (len(train), len(test)) == (4, 4)
    assert sorted(train.labels.tolist()) == [0, 0, 1, 1]
    assert train.pictures.read(0).shape == (3, 4, 3)
    assert len({train.pictures.digest(row) for row in range(4)}) == 4


@pytest.mark.parametrize(
    ("reader", "what"),
    [
        ({**READER, "label": "lable"}, "no column 'lable'. Did you mean 'label'"),
        ({**READER, "domain": "stile"}, "no column 'stile'. Did you mean 'style'"),
        (
            {**READER, "image": "style", "domain": "style"},
            "2 of 2 images are not there: 'photo' (row 1), 'sketch' (row 2)",
        ),
        ({**READER, "image": "label", "domain": "style"}, "column 'label' holds no images"),
        (READER, "no row is of domain 'photo', 'sketch'; the values there are 'train'"),
    ],
)
def test_columns_that_are_wrong(make_card: MakeCard, tmp_path: Path, reader: dict[str, Any], what: str) -> None:
    root = parquet(tmp_path / "pacs", "train", [1, 2], [0, 1], style=DOMAINS)
    with pytest.raises(DataError) as error:
        read(make_card(reader, DOMAINS, 2), root)
    assert what in str(error.value)


def test_what_the_hub_does_not_give(make_card: MakeCard, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"hf://owner/name@abc cannot be loaded .*connection"):
        read(make_card(READER, DOMAINS, 2), hub_home())


def test_datasets_that_need_a_program(make_card: MakeCard, tmp_path: Path) -> None:
    root = tmp_path / "old"
    root.mkdir()
    (root / "old.py").write_text("import datasets\n")
    with pytest.raises(DataError, match="needs a program of its own"):
        read(make_card(READER, DOMAINS, 2), root)


def test_a_folder_without_data_or_with_damaged_data(make_card: MakeCard, tmp_path: Path) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    with pytest.raises(DataError, match="cannot be loaded"):
        read(make_card(READER, DOMAINS, 2), root)
    (root / "train.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="cannot be loaded"):
        read(make_card(READER, DOMAINS, 2), root)
