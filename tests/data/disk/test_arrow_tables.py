"""Parquet files, what ``save_to_disk`` writes and the hub: the card that they become, and what is read by it."""

import contextlib
import hashlib
import io
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import numpy as np
import pyarrow as pa
import pytest
from huggingface_hub import errors
from PIL import Image
from pyarrow import parquet

from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DataError, DGBenchError
from dgbench.data.cache.content import identified
from dgbench.data.disk.look import Draft, look, write
from dgbench.data.disk.readers import read
from dgbench.data.listing import Listing

CLASSES = ["owl", "elk", "never"]
STYLES = ["photo", "рис", "photo", "рис", "photo", "рис"]
LABELS = [0, 0, 1, 1, 0, 1]
_ENCODED = {"bytes": pa.binary(), "path": pa.string()}.items()
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def png(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (4, 3), grey).save(file, format="PNG")
    return file.getvalue()


def table(rows: range = range(6), **columns: list[Any]) -> datasets.Dataset:
    """Picture ``i`` is all of grey ``10 i``."""
    features = {"picture": datasets.Image(), "animal": datasets.ClassLabel(names=CLASSES)}
    content: dict[str, Any] = {
        "picture": [{"bytes": png(10 * i), "path": None} for i in rows],
        "animal": [LABELS[i] for i in rows],
    }
    if not columns:
        columns = {"Style": [STYLES[i] for i in rows]}
    for name, values in columns.items():
        content[name] = values
        features[name] = datasets.Value("string" if isinstance(values[0], str) else "int64")
    return datasets.Dataset.from_dict(content, datasets.Features(features))


def through_card(draft: Draft, folder: Path) -> Listing:
    card = dataset_card(str(write(draft, folder / f"cards-{next(_numbers)}")))
    assert card.path is not None
    return read(card, card.path)


def greys(listing: Listing) -> dict[str, list[tuple[int, str]]]:
    """By domain: the grey of each picture, in tens, and its class."""
    return {
        domain.name: [
            (int(domain.pictures.read(row)[0, 0, 0]) // 10, listing.classes[domain.labels[row]])
            for row in range(len(domain))
        ]
        for domain in listing.domains
    }


BY_STYLE = [[(0, "owl"), (2, "elk"), (4, "owl")], [(1, "owl"), (3, "elk"), (5, "elk")]]


def one_file(root: Path) -> Path:
    table().to_parquet(root / "pets.parquet")
    return root / "pets.parquet"


def one_file_of_another_name(root: Path) -> Path:
    table().to_parquet(root / "pets.data")
    return root / "pets.data"


def shards(root: Path) -> Path:
    (root / "pets [1]" / "data").mkdir(parents=True)
    for number, rows in enumerate((range(2), range(2, 4), range(4, 6))):
        table(rows).to_parquet(root / "pets [1]" / "data" / f"train-0000{number}-of-00003.parquet")
    return root / "pets [1]"


def saved(root: Path) -> Path:
    table().save_to_disk(root / "pets", num_shards=2)
    return root / "pets"


def saved_splits(root: Path) -> Path:
    splits = {"train": table(range(4)), "test": table(range(4, 6))}
    datasets.DatasetDict(splits).save_to_disk(root / "pets")
    return root / "pets"


@pytest.mark.parametrize("form", [one_file, one_file_of_another_name, shards, saved, saved_splits])
def test_what_lies_on_disk_becomes_a_card_that_reads(form: Callable[[Path], Path], tmp_path: Path) -> None:
    place = form(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (place, *place.rglob("*"))}
    draft = look(str(place))
    assert "image is the column 'picture'" in draft.said
    assert "label is the column 'animal'" in draft.said
    assert "domain is the column 'Style'" in draft.said
    assert draft.content["classes"] == ["owl", "elk"], "as the features order them, without those that never occur"
    assert [row["count"] for row in draft.content["domains"]] == [3, 3]
    found = through_card(draft, tmp_path)
    assert list(greys(found).values()) == BY_STYLE
    assert {path: path.stat().st_mtime_ns for path in before} == before, "the data was touched"
    official = found.domains[0].official
    if form is saved_splits:
        assert official is not None
        assert official.tolist() == ["train", "train", "test"]
        assert "official splits: train, test; the board 'own' draws splits of its own" in "\n".join(draft.said)
    else:
        assert official is None


@pytest.mark.parametrize("layout", ["{}.parquet", "{}-00000-of-00001.parquet", "{}/0000.parquet", "{}/train-0.parquet"])
def test_without_a_column_of_domains_files_of_one_name_are_one(layout: str, tmp_path: Path) -> None:
    for name, rows in (("photo", range(3)), ("sketch", range(3, 6))):
        path = tmp_path / "pets" / layout.format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        table(rows, note=["x"] * 3).to_parquet(path)
    draft = look(str(tmp_path / "pets"))
    assert "there is no column of domains; each part is one" in "\n".join(draft.said)
    found = greys(through_card(draft, tmp_path))
    assert list(found.values()) == [[(0, "owl"), (1, "owl"), (2, "elk")], [(3, "elk"), (4, "owl"), (5, "elk")]]
    assert [name[:5] for name in found] == ["photo", "sketc"]


def test_columns_can_be_said_and_a_split_column_is_read(tmp_path: Path) -> None:
    made = table(camera=[1, 2, 1, 2, 1, 2], Partition=["train", "val", "test", "train", "val", "test"])
    made.rename_column("animal", "kind").to_parquet(tmp_path / "pets.parquet")
    draft = look(str(tmp_path / "pets.parquet"))
    assert "label is the column 'kind'" in draft.said, "the only one of classes"
    found = through_card(draft, tmp_path)
    assert found.domains[0].official is not None
    assert found.domains[0].official.tolist() == ["train", "test", "validation"]
    with pytest.raises(DataError, match=r"no column 'kinds'. Did you mean 'kind'"):
        look(str(tmp_path / "pets.parquet"), columns={"label": "kinds"})
    with pytest.raises(DataError, match="cannot be the label and the domain"):
        look(str(tmp_path / "pets.parquet"), columns={"label": "kind", "domain": "kind"})


def test_images_as_bare_bytes_and_as_files_beside_the_table(tmp_path: Path) -> None:
    text = {"animal": ["owl", "elk"] * 2, "site": ["a", "a", "b", "b"]}
    datasets.Dataset.from_dict({"image": [png(10 * i) for i in range(4)], **text}).to_parquet(
        tmp_path / "bytes.parquet"
    )
    expected = {"a": [(0, "owl"), (1, "elk")], "b": [(2, "owl"), (3, "elk")]}
    given = {"label": "animal"}
    assert greys(through_card(look(str(tmp_path / "bytes.parquet"), columns=given), tmp_path)) == expected
    (tmp_path / "img").mkdir()
    for i in range(4):
        (tmp_path / "img" / f"{i}.png").write_bytes(png(10 * i))
    paths = [f"img\\{i}.png" for i in range(4)]
    datasets.Dataset.from_dict({"path": paths, **text}).to_parquet(tmp_path / "paths.parquet")
    assert greys(through_card(look(str(tmp_path / "paths.parquet"), columns=given), tmp_path)) == expected
    named = pa.array([{"bytes": None, "path": f"img/{i}.png"} for i in range(4)], pa.struct(_ENCODED))
    parquet.write_table(pa.table({"path": named, **text}), tmp_path / "named.parquet")
    assert greys(through_card(look(str(tmp_path / "named.parquet"), columns=given), tmp_path)) == expected
    for form in ("bytes", "paths", "named"):  # in a table or beside it, a picture has the name of its file
        found, _ = identified(through_card(look(str(tmp_path / f"{form}.parquet"), columns=given), tmp_path), tmp_path)
        contents = [domain.contents for domain in found.domains if domain.contents is not None]
        named_by = [f"{content:016x}" for content in np.concatenate(contents)]
        assert named_by == [hashlib.sha256(png(10 * i)).hexdigest()[:16] for i in range(4)]
    (tmp_path / "img" / "2.png").unlink()
    (tmp_path / "img" / "3.png").unlink()
    with pytest.raises(DataError, match=r"2 of 4 images are not there: 'img\\2.png' \(row 3\), 'img"):
        look(str(tmp_path / "paths.parquet"), columns=given)


def test_rows_without_a_label_are_counted(tmp_path: Path) -> None:
    made = table()
    features = made.features
    content = made.to_dict()
    content["animal"] = [0, 1, -1, None, 1, -1]
    datasets.Dataset.from_dict(content, features).save_to_disk(tmp_path / "pets")
    with pytest.raises(DataError, match="3 of 6 rows have no value in column 'animal'"):
        look(str(tmp_path / "pets"))


def test_nothing_that_lies_about_is_run(tmp_path: Path) -> None:
    place = shards(tmp_path)
    program = f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    for name in ("pets.py", "data.py", "conftest.py", "data/pets.py"):
        (place / name).write_text(program)
    (place / "more.pkl").write_bytes(f"cposix\nsystem\n(S'touch {tmp_path}/ran'\ntR.".encode())
    assert list(greys(through_card(look(str(place)), tmp_path)).values()) == BY_STYLE
    assert not (tmp_path / "ran").exists()


def test_splits_of_other_usual_names_are_official_too(tmp_path: Path) -> None:
    splits = {"Training": table(range(4)), "dev": table(range(4, 6))}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "pets")
    found = through_card(look(str(tmp_path / "pets")), tmp_path)
    assert found.domains[0].official is not None
    assert found.domains[0].official.tolist() == ["train", "train", "validation"]


@pytest.mark.parametrize("form", [one_file, shards, saved, saved_splits])
def test_damaged_files_are_one_message(form: Callable[[Path], Path], tmp_path: Path) -> None:
    place = form(tmp_path)
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    for file in files:
        whole = file.read_bytes()
        for damaged in (b"", whole[: len(whole) // 2], b"[]", b'{"_type": "os"}', b'{"splits": []}'):
            file.write_bytes(damaged)
            _read_or_explained(place, tmp_path)
        file.unlink()
        _read_or_explained(place, tmp_path)
        file.write_bytes(whole)


def test_what_save_to_disk_noted_may_say_anything(tmp_path: Path) -> None:
    place = saved(tmp_path)
    for name in ("dataset_info.json", "state.json"):
        whole = (place / name).read_text()
        for seed in range(40):
            draw = random.Random(seed)
            content = json.loads(whole)
            _spoil(content, draw)
            (place / name).write_text(json.dumps(content))
            _read_or_explained(place, tmp_path)
        (place / name).write_text(whole)


def _spoil(content: Any, draw: random.Random) -> None:
    """Change one value, somewhere down the tree."""
    while True:
        key = draw.choice(list(content)) if isinstance(content, dict) else draw.randrange(len(content))
        if not isinstance(content[key], dict | list) or not content[key] or draw.random() < 0.3:
            content[key] = draw.choice(
                [None, 7, "os", [], {}, {"_type": "Image"}, {"_type": "partial", "func": "id"}, "../x"]
            )
            return
        content = content[key]


def _read_or_explained(place: Path, folder: Path) -> None:
    with contextlib.suppress(DGBenchError):
        through_card(look(str(place)), folder)


def test_a_hub_that_cannot_be_had_is_one_sentence_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"hf://me/pets: the Hugging Face hub is out of reach .* dgbench data new DIR"):
        look("hf://me/pets")
    with pytest.raises(DataError, match=r"hf://me/pets@.* cannot be loaded .*connection.* dgbench data new DIR"):
        look("hf://me/pets@" + "0123456789" * 4)


def _refusal(kind: type[Exception]) -> Exception:
    """An error of the hub's client; how they are made changes between its versions."""
    made = kind.__new__(kind)
    made.args = ("no",)
    return made


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.RepositoryNotFoundError, "the hub has no such dataset, or shows it to some only"),
        (errors.GatedRepoError, "is given to those who accept its terms"),
        (errors.RevisionNotFoundError, "has no revision 'v2'"),
        (errors.HfHubHTTPError, "the hub answers with an error"),
        (errors.HfHubHTTPError.__bases__[0], "the Hugging Face hub is out of reach (no)"),
        (errors.OfflineModeIsEnabled, "the Hugging Face hub is out of reach (no)"),
        (ConnectionError, "the Hugging Face hub is out of reach (no)"),
        (errors.HFValidationError, "is no name of the hub; expected hf://owner/name"),
    ],
)
def test_each_refusal_of_the_hub_is_one_sentence(
    error: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise _refusal(error)

    with pytest.raises(DataError, match="hf://pets is no name of the hub; expected hf://owner/name"):
        look("hf://pets")
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    with pytest.raises(DataError) as caught:
        look("hf://me/pets@v2")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
