"""Miniatures in the form of the archives, read by the real package."""

import csv
import hashlib
import pickle
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import DataError
from dgbench.data.cache.content import identified
from dgbench.data.disk.readers import read

pytest.importorskip("wilds")

MakeCard = Callable[..., DatasetCard]
Plant = Callable[..., Path]

BACKGROUNDS = {"kind": "wilds", "dataset": "waterbirds", "version": "1.0", "domain": "background"}


def table(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def release(root: Path, name: str, version: str) -> Path:
    folder = root / f"{name}_v{version}"
    folder.mkdir(exist_ok=True)
    (folder / f"RELEASE_v{version}.txt").write_text("")
    return folder


@pytest.fixture
def waterbirds(plant: Plant, tmp_path: Path) -> Path:
    folder = release(tmp_path, "waterbirds", "1.0")
    plant("waterbirds_v1.0/001.Albatross", count=6)
    rows = [
        (n, f"001.Albatross/{n:03}.png", y, split, place)
        for n, (y, split, place) in enumerate([(0, 0, 0), (1, 0, 1), (0, 1, 1), (1, 1, 0), (1, 2, 0), (0, 2, 1)])
    ]
    table(folder / "metadata.csv", ["img_id", "img_filename", "y", "split", "place"], rows)
    return folder


@pytest.mark.parametrize("above", [False, True])
def test_waterbirds_by_background(make_card: MakeCard, waterbirds: Path, above: bool) -> None:
    before = sorted(waterbirds.parent.rglob("*"))
    card = make_card(BACKGROUNDS, ["water", "land"], ["landbird", "waterbird"])
    listing = read(card, waterbirds.parent if above else waterbirds)
    water, land = listing.domains
    assert land.labels.tolist() == [0, 1, 1]
    assert water.labels.tolist() == [1, 0, 0]
    assert land.official is not None
    assert land.official.tolist() == ["train", "validation", "test"]
    files = [f"001.Albatross/{n:03}.png" for n in (0, 3, 4)]
    assert [land.pictures.name(row) for row in range(3)] == files
    contents = identified(listing, waterbirds)[0].domains[1].contents
    assert contents is not None
    named_by = [hashlib.sha256((waterbirds / file).read_bytes()).hexdigest()[:16] for file in files]
    assert [f"{content:016x}" for content in contents] == named_by
    again = pickle.loads(pickle.dumps(land.pictures))
    assert (again.read(1) == land.pictures.read(1)).all()
    assert sorted(waterbirds.parent.rglob("*")) == before


def test_camelyon_by_hospital_with_slides_as_groups(plant: Plant, tmp_path: Path) -> None:
    folder = release(tmp_path, "camelyon17", "1.0")
    rows = []
    for n, (center, split) in enumerate([(0, 0), (0, 1), (1, 0), (2, 0), (3, 0), (4, 1), (0, 0)]):
        patient, node = f"{n:03}", 1
        plant(
            f"camelyon17_v1.0/patches/patient_{patient}_node_{node}",
            names=f"patch_patient_{patient}_node_{node}_x_5_y_6.png",
            count=1,
        )
        rows.append((n, patient, node, 5, 6, n % 2, 30 + n // 2, center, split))
    header = ["", "patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split"]
    table(folder / "metadata.csv", header, rows)
    listing = read(dataset_card("camelyon17"), folder)
    official = [None if d.official is None else d.official.tolist() for d in listing.domains]
    assert official == [["train", "validation", "train"], ["validation"], ["test"], ["train"], ["validation"]]
    assert listing.domains[0].labels.tolist() == [0, 1, 0]
    assert listing.domains[0].groups.tolist() == [0, 0, 3]
    assert all(d.pictures.read(0).shape == (3, 4, 3) for d in listing.domains)


def test_iwildcam_by_training_trap_with_sequences_as_groups(plant: Plant, tmp_path: Path) -> None:
    folder = release(tmp_path, "iwildcam", "2.0")
    plant("iwildcam_v2.0/train", count=6)
    splits = ["train", "id_val", "id_test", "val", "test", "train"]
    rows = [(f"{n:03}.png", n % 3, split, n // 2, n, "2013-06-05 05:44:19.000") for n, split in enumerate(splits)]
    header = ["filename", "y", "split", "location_remapped", "sequence_remapped", "datetime"]
    table(folder / "metadata.csv", header, rows)
    listing = read(dataset_card("iwildcam"), folder)
    first, third, val, test = listing.domains
    assert [domain.name for domain in listing.domains] == ["train/location-0", "train/location-2", "val", "test"]
    assert [domain.part_of for domain in listing.domains] == ["train", "train", None, None]
    assert first.official is not None
    assert first.official.tolist() == ["train", "validation"], "the second trap is tested on, and does not train"
    assert (first.groups.tolist(), third.groups.tolist()) == ([0, 1], [5])
    assert third.pictures.name(0) == "train/005.png"
    assert (val.labels.tolist(), test.labels.tolist()) == ([0], [1])
    assert test.pictures.name(0) == "train/004.png"
    assert test.pictures.read(0).shape == (3, 4, 3)


def test_fmow_by_region_without_the_rows_of_no_split(make_card: MakeCard, plant: Plant, tmp_path: Path) -> None:
    folder = release(tmp_path, "fmow", "1.1")
    rows = [
        ("train", "airport", "DEU", "2010-03-01T00:00:00Z"),
        ("seq", "zoo", "KEN", "2010-03-01T00:00:00Z"),
        ("val", "zoo", "KEN", "2014-03-01T00:00:00Z"),
        ("test", "zoo", "DEU", "2016-03-01T00:00:00Z"),
        ("train", "zoo", "KEN", "2017-03-01T00:00:00Z"),
        ("val", "airport", "XXX", "2010-03-01T00:00:00Z"),
        ("train", "airport", "KEN", "2012-03-01T00:00:00Z"),
    ] + [("seq", "zoo", "KEN", "2010-03-01T00:00:00Z")] * 100
    table(folder / "rgb_metadata.csv", ["split", "category", "country_code", "timestamp"], rows)
    table(folder / "country_code_mapping.csv", ["alpha-3", "region"], [("DEU", "Europe"), ("KEN", "Africa")])
    plant("fmow_v1.1/images", names="rgb_img_{}.png", count=7)
    reader = {"kind": "wilds", "dataset": "fmow", "version": "1.1", "domain": "region"}
    africa, europe = read(make_card(reader, ["Africa", "Europe"], 62), folder).domains
    assert [africa.pictures.name(row) for row in range(len(africa))] == ["images/rgb_img_2.png", "images/rgb_img_6.png"]
    assert africa.labels.tolist() == [61, 0]
    assert europe.official is not None
    assert europe.official.tolist() == ["train", "test"]
    assert europe.pictures.read(1).shape == (3, 4, 3)
    found = {domain.name: len(domain) for domain in read(dataset_card("fmow"), folder).domains}
    assert found == {"train/year-2010": 2, "train/year-2012": 1, "val": 1, "test": 1}


def test_a_folder_without_its_release_file(make_card: MakeCard, waterbirds: Path) -> None:
    (waterbirds / "RELEASE_v1.0.txt").unlink()
    with pytest.raises(DataError, match=r"does not accept .*waterbirds_v1\.0 .*RELEASE_v1\.0\.txt"):
        read(make_card(BACKGROUNDS, ["land", "water"], 2), waterbirds)


def test_a_version_or_dataset_that_is_unknown(make_card: MakeCard, waterbirds: Path) -> None:
    with pytest.raises(DataError, match=r"Version 3\.0 not supported"):
        read(make_card({**BACKGROUNDS, "version": "3.0"}, ["land", "water"], 2), waterbirds)
    with pytest.raises(DataError, match=r"'waterbird'\. Did you mean 'waterbirds'"):
        read(make_card({**BACKGROUNDS, "dataset": "waterbird"}, ["land", "water"], 2), waterbirds)


def test_a_field_or_domain_that_is_not_there(make_card: MakeCard, waterbirds: Path) -> None:
    with pytest.raises(DataError, match=r"no metadata field 'backgrounds'\. Did you mean 'background'"):
        read(make_card({**BACKGROUNDS, "domain": "backgrounds"}, ["land", "water"], 2), waterbirds)
    with pytest.raises(DataError, match="no row is of domain 'air'; the values there are 'land', 'water'"):
        read(make_card(BACKGROUNDS, ["land", "water", "air"], 2), waterbirds)


def test_class_names_of_the_package_and_labels_out_of_range(make_card: MakeCard, waterbirds: Path) -> None:
    assert read(make_card(BACKGROUNDS, ["land"], 2), waterbirds).classes == ("landbird", "waterbird")
    assert read(make_card(BACKGROUNDS, ["land"], 3), waterbirds).classes == ("0", "1", "2")
    path = waterbirds / "metadata.csv"
    path.write_text(path.read_text().replace("000.png,0,", "000.png,2,"))
    with pytest.raises(DataError, match="labels go from 0 to 2, but the card says 2 classes"):
        read(make_card(BACKGROUNDS, ["land"], 2), waterbirds)


def test_a_missing_package(make_card: MakeCard, waterbirds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wilds", None)
    with pytest.raises(DataError, match=r"pip install dgbench\[wilds\]"):
        read(make_card(BACKGROUNDS, ["land", "water"], 2), waterbirds)


def test_nobody_asks_for_updates(make_card: MakeCard, waterbirds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the package is imported, which asks in a thread; here it is imported anew."""

    def imported() -> list[str]:
        return [name for name in sys.modules if name.partition(".")[0] in ("wilds", "outdated")]

    for name in imported():
        monkeypatch.delitem(sys.modules, name)
    started: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", started.append)
    try:
        read(make_card(BACKGROUNDS, ["land", "water"], 2), waterbirds)
        assert not started
        assert sys.modules["wilds.version"].check_outdated is None
        assert "outdated" not in sys.modules
    finally:
        for name in imported():  # else parts of this import would stay beside those of another
            del sys.modules[name]
