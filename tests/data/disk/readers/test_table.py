from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.decoding import Decoding
from dgbench.core.errors import DataError
from dgbench.data.cache.content import identified
from dgbench.data.cache.streamed import stream
from dgbench.data.disk.readers import read
from dgbench.runs.observed import examples

MakeCard = Callable[..., DatasetCard]
Plant = Callable[..., Path]

HEADER = "image,label,domain"
ROWS = ["a/001.png,dog,north", "b/000.png,cat,south", "a/000.png,cat,north"]


def table(root: Path, rows: list[str], header: str = HEADER) -> Path:
    (root / "images.csv").write_text("\n".join([header, *rows]) + "\n")
    return root


READER = {"kind": "table", "file": "images.csv"}


def test_rows_keep_their_order(make_card: MakeCard, plant: Plant) -> None:
    root = table(plant("a", "b"), ROWS)
    listing = read(make_card(READER, ["south", "north"], 2), root)
    assert listing.classes == ("cat", "dog")
    south, north = listing.domains
    assert [north.pictures.name(row) for row in range(2)] == ["a/001.png", "a/000.png"]
    assert (north.labels.tolist(), south.labels.tolist()) == ([1, 0], [0])
    assert north.pictures.read(1).shape == (3, 4, 3)
    assert north.official is None


def test_waterbirds_as_its_authors_distribute_it(plant: Plant) -> None:
    root = plant("001.Albatross", "002.Wren", count=2)
    rows = [
        "1,001.Albatross/000.png,1,0,1,ocean",
        "2,001.Albatross/001.png,1,1,0,forest",
        "3,002.Wren/000.png,0,2,0,forest",
        '4,002.Wren/001.png,0,0,1,"lake, natural"',
    ]
    (root / "metadata.csv").write_text("\n".join(["img_id,img_filename,y,split,place,place_filename", *rows]))
    land, water = read(dataset_card("waterbirds"), root).domains
    assert (land.labels.tolist(), water.labels.tolist()) == ([1, 0], [1, 0])
    assert land.official is not None
    assert land.official.tolist() == ["validation", "test"]
    names = [group.name for group in dataset_card("waterbirds").official.groups]
    assert land.judged is not None
    assert water.judged is not None
    assert [names[place] for place in land.judged] == ["waterbird on land", "landbird on land"]
    assert [names[place] for place in water.judged] == ["waterbird on water", "landbird on water"]
    assert land.groups.tolist() == [1, 2], "splits know nothing of them"


def test_official_groups_are_noted_with_predictions_and_change_no_data(make_card: MakeCard, plant: Plant) -> None:
    rows = ["000.png,c,x,p1", "001.png,d,x,p2", "002.png,c,y,p2", "003.png,d,y,p1"]
    root = table(plant(".", count=4), rows, f"{HEADER},site")
    groups = [
        {"name": f"{label} at {site}", "where": {"label": label, "site": site}}
        for site in ("p1", "p2")
        for label in "cd"
    ]
    plain = read(make_card(READER, ["x", "y"], ["c", "d"]), root)
    listing = read(make_card(READER, ["x", "y"], ["c", "d"], official={"groups": groups}), root)
    assert identified(listing, root)[1] == identified(plain, root)[1]
    data = stream(identified(listing, root)[0], "m", 4, "stretch", Decoding())
    assert examples(data, "y", np.array([0, 1]))["group"].to_list() == [2, 1]
    with pytest.raises(DataError, match=r"images\.csv: label 'd', site 'p2' is in none of the 'official\.groups'"):
        read(make_card(READER, ["x", "y"], ["c", "d"], official={"groups": groups[:3]}), root)
    with pytest.raises(DataError, match="no column 'site'"):
        read(make_card({**READER}, ["x", "y"], ["c", "d"], official={"groups": groups}), table(root, ["000.png,c,x"]))


def test_numbers_are_positions_in_the_card_and_sort_as_numbers_without_one(make_card: MakeCard, plant: Plant) -> None:
    root = table(plant("a"), ["a/000.png,10,x", "a/001.png,9,x"])
    assert read(make_card(READER, ["x"], 2), root).classes == ("9", "10")
    with pytest.raises(DataError, match="no class of 'mini' is called '10', '9'"):
        read(make_card(READER, ["x"], ["cat", "dog"]), root)


def test_groups_are_numbered_over_all_domains(make_card: MakeCard, plant: Plant) -> None:
    rows = ["000.png,c,x,p1", "001.png,d,x,p2", "002.png,c,y,p2", "003.png,d,y,p1"]
    root = table(plant(".", count=4), rows, f"{HEADER},patient")
    listing = read(make_card({**READER, "group": "patient"}, ["x", "y"], 2, shared_groups=True), root)
    assert [d.groups.tolist() for d in listing.domains] == [[0, 1], [1, 0]]
    assert listing.shared_groups
    with pytest.raises(DataError, match="'shared_groups' needs a column"):
        read(make_card(READER, ["x", "y"], 2, shared_groups=True), root)


@pytest.mark.parametrize(
    ("rows", "header", "what"),
    [
        (ROWS, "image,lable,domain", "there is no column 'label'. Did you mean 'lable'"),
        ([*ROWS, "a/000.png,cat,nroth"], HEADER, "'nroth' is no domain of 'mini'. Did you mean 'north'"),
        ([*ROWS, "a/000.png,cow,north"], HEADER, "no class of 'mini' is called 'cow'"),
        ([*ROWS, "a/007.png,cat,north"], HEADER, "1 of 4 images are not there: 'a/007.png' (line 5)"),
        ([*ROWS, "a/000.png,,north"], HEADER, "1 of 4 rows is wrong: no value in column 'label' (line 5)"),
        (ROWS[:1], HEADER, "no row is of domain 'south'; the values there are 'north'"),
    ],
)
def test_what_is_wrong_is_named(make_card: MakeCard, plant: Plant, rows: list[str], header: str, what: str) -> None:
    root = table(plant("a", "b"), rows, header)
    with pytest.raises(DataError) as error:
        read(make_card(READER, ["south", "north"], ["cat", "dog"]), root)
    assert what in str(error.value)
    assert "images.csv" in str(error.value)


def test_a_split_that_nobody_explains(make_card: MakeCard, plant: Plant) -> None:
    root = table(plant("a"), ["a/000.png,c,x,train", "a/001.png,d,x,quiz"], f"{HEADER},part")
    with pytest.raises(DataError, match="the split 'quiz'"):
        read(make_card({**READER, "split": "part"}, ["x"], 2), root)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00,\n\xc3\x28,1\n"])
def test_a_file_that_is_no_table(make_card: MakeCard, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "images.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"images\.csv"):
        read(make_card(READER, ["x"], 2), tmp_path)
