import logging
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import CardError, DataError
from dgbench.data.disk.readers import read
from dgbench.data.listing import DomainListing, Listing

MakeCard = Callable[..., DatasetCard]
Plant = Callable[..., Path]

DOMAINS = ["art", "photo", "sketch"]
CLASSES = ["dog", "house"]


def tree(*layouts: str, **more: object) -> dict[str, object]:
    return {"kind": "tree", "layouts": layouts or ["{domain}/{class}"], **more}


def paths(domain: DomainListing) -> list[str]:
    return [domain.pictures.name(row) for row in range(len(domain))]


def contents(listing: Listing) -> list[tuple[str, list[bytes], list[int]]]:
    return [(d.name, [d.pictures.digest(row) for row in range(len(d))], d.labels.tolist()) for d in listing.domains]


def cells(pattern: str, domains: list[str], classes: list[str]) -> list[str]:
    return [pattern.format(d, c) for d, c in product(domains, classes)]


def test_domains_follow_the_card_and_classes_and_images_their_names(make_card: MakeCard, plant: Plant) -> None:
    root = plant(*cells("{}/{}", ["sketch", "art", "photo"], ["house", "dog"]), count=3)
    listing = read(make_card(tree(), DOMAINS, 2), root)
    assert listing.classes == ("dog", "house")
    assert [d.name for d in listing.domains] == DOMAINS
    art = listing.domains[0]
    assert paths(art) == [f"art/{c}/{n:03}.png" for c in CLASSES for n in range(3)]
    assert art.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert art.groups.tolist() == list(range(6))
    assert art.official is None
    assert art.pictures.read(0).shape == (3, 4, 3)


def test_the_card_decides_the_order_of_classes(make_card: MakeCard, plant: Plant) -> None:
    root = plant(*cells("{}/{}", DOMAINS, CLASSES))
    listing = read(make_card(tree(), DOMAINS, ["house", "dog"]), root)
    assert listing.classes == ("house", "dog")
    assert paths(listing.domains[0])[0] == "art/house/000.png"


def test_spellings_of_domains_and_classes_and_other_names_of_folders(make_card: MakeCard, plant: Plant) -> None:
    root = plant("Real World/Alarm_Clock", "RealWorld2/alarm clock", "real_world_3/ALARM-CLOCK")
    plant("Real World/Bike", "RealWorld2/bike", "real_world_3/bike")
    domains = [{"name": "real_world"}, {"name": "second", "folders": ["x", "real-world 2"]}, "RealWorld3"]
    for classes in (["alarm clock", "bike"], 2):
        listing = read(make_card(tree(), domains, classes), root)
        assert [len(d) for d in listing.domains] == [4, 4, 4]
        assert [d.labels.tolist() for d in listing.domains] == [[0, 0, 1, 1]] * 3


def test_classes_that_differ_in_case_alone_stay_apart(make_card: MakeCard, plant: Plant) -> None:
    root = plant("art/a", "art/A")
    assert read(make_card(tree(), ["art"], ["a", "A"]), root).domains[0].labels.tolist() == [0, 0, 1, 1]
    assert read(make_card(tree(), ["art"], 2), root).classes == ("A", "a")


def test_locations_sort_as_text(make_card: MakeCard, plant: Plant) -> None:
    names = ["100", "38", "43", "46"]
    root = plant(*cells("location_{}/{}", names, CLASSES))
    listing = read(make_card(tree(), [f"location_{n}" for n in names], 2), root)
    assert [d.name for d in listing.domains] == ["location_100", "location_38", "location_43", "location_46"]
    assert all(paths(d)[0].startswith(f"{d.name}/") for d in listing.domains)


def test_what_is_hidden_or_no_image_is_passed_over_and_said(
    make_card: MakeCard, plant: Plant, caplog: pytest.LogCaptureFixture
) -> None:
    root = plant(*cells("{}/{}", DOMAINS, CLASSES))
    plant(".git/dog", "art/.cache", "art/dog/deeper", "notes/dog")
    (root / "art/dog/Thumbs.db").write_bytes(b"x")
    (root / "art/dog/.hidden.png").write_bytes(b"x")
    (root / "art/readme.txt").write_text("x")
    plant("art/dog", names="UPPER{:03}.JPEG")
    with caplog.at_level(logging.INFO):
        listing = read(make_card(tree(), DOMAINS, 2), root)
    assert paths(listing.domains[0])[:4] == [
        f"art/dog/{n}" for n in ("000.png", "001.png", "UPPER000.JPEG", "UPPER001.JPEG")
    ]
    assert "1 files" in caplog.text


LAYOUTS = (
    "{domain}/{class}",
    "images/{domain}/{class}",
    "{domain}/{split}/{class}",
    "{class}/{domain}",
    "NICO_DG/{domain}/{class}",
)


@pytest.mark.parametrize("pattern", ["{}/{}", "images/{}/{}", "{1}/{0}", "NICO_DG/{}/{}", "{}/train/{}"])
def test_layouts_of_the_same_images_read_the_same(
    make_card: MakeCard, plant: Plant, tmp_path: Path, pattern: str
) -> None:
    usual, other = tmp_path / "usual", tmp_path / "other"
    plant(*cells("{}/{}", DOMAINS, CLASSES), root=usual)
    for domain, label in product(DOMAINS, CLASSES):
        shutil.copytree(usual / domain / label, other / pattern.format(domain, label))
    card = make_card(tree(*LAYOUTS), DOMAINS, CLASSES)
    assert contents(read(card, other)) == contents(read(card, usual))


def test_a_level_of_any_name(make_card: MakeCard, plant: Plant) -> None:
    root = plant(*cells("0/{}/{}", ["art", "photo"], CLASSES), *cells("1/{}/{}", ["art", "photo"], CLASSES))
    listing = read(make_card(tree("*/{domain}/{class}"), ["art", "photo"], 2), root)
    assert [len(d) for d in listing.domains] == [8, 8]
    assert paths(listing.domains[0])[:2] == ["0/art/dog/000.png", "1/art/dog/000.png"]


def test_splits_of_folders(make_card: MakeCard, plant: Plant, caplog: pytest.LogCaptureFixture) -> None:
    root = plant(*cells("CALTECH/{}/{}", ["train", "crossval", "test", "full"], ["0", "1"]), count=1)
    reader = tree("{domain}/{class}", "{domain}/{split}/{class}", splits={"crossval": "validation"})
    card = make_card(reader, [{"name": "Caltech101", "folders": ["CALTECH"]}], ["bird", "car"])
    domain = read(card, root).domains[0]
    assert domain.official is not None
    order = zip(paths(domain), domain.official.tolist(), domain.labels.tolist(), strict=True)
    assert list(order) == [
        (f"CALTECH/{folder}/{label}/000.png", meaning, label)
        for label in (0, 1)
        for folder, meaning in (("crossval", "validation"), ("test", "test"), ("train", "train"))
    ]
    assert "'full'" in caplog.text


def test_classes_in_the_names_of_files(make_card: MakeCard, plant: Plant) -> None:
    root = plant("mnist/train_images", names="{0:08}_{0}.jpg", count=3)
    plant("mnist/test_images", names="{0:08}_2.png", count=1)
    reader = tree("{domain}/{split}/*_{class}.*", splits={"train_images": "train", "test_images": "test"})
    domain = read(make_card(reader, ["mnist"], ["zero", "one", "two"]), root).domains[0]
    assert domain.labels.tolist() == [0, 1, 2, 2]
    assert domain.official is not None
    assert domain.official.tolist() == ["train", "train", "test", "train"]


def test_corruptions_and_severities_name_a_domain(make_card: MakeCard, plant: Plant) -> None:
    ids = ["n01440764", "n01443537"]
    names = [f"{c}/{s}" for c in ("fog", "gaussian_noise") for s in (1, 3)]
    domains = ["gaussian_noise-3", "fog-1"]
    layouts = ("{corruption}/{severity}/{class}", "*/{corruption}/{severity}/{class}")
    for prefix in ("", "noise/"):
        root = plant(*cells(prefix + "{}/{}", names, ids), root=Path(plant()) / f"in{len(prefix)}")
        listing = read(make_card(tree(*layouts, names="imagenet"), domains, 1000), root)
        assert [d.name for d in listing.domains] == domains
        assert paths(listing.domains[1])[0] == f"{prefix}fog/1/n01440764/000.png"


def test_labels_are_positions_among_the_classes_of_imagenet(make_card: MakeCard, plant: Plant) -> None:
    root = plant("n01443537", "n15075141", "n02012849", count=1)
    (root / "README.txt").write_text("x")
    listing = read(make_card(tree("{class}", names="imagenet"), ["r"], 1000), root)
    assert listing.domains[0].labels.tolist() == [1, 134, 999]
    assert len(set(listing.classes)) == 1000
    assert listing.classes[1].startswith("goldfish")
    plant("n00000001")
    with pytest.raises(DataError, match="'n00000001'"):
        read(make_card(tree("{class}", names="imagenet"), ["r"], 1000), root)


@pytest.mark.parametrize("names", [None, "imagenet"])
def test_folders_that_are_numbers_sort_as_numbers(make_card: MakeCard, plant: Plant, names: str | None) -> None:
    variants = ["matched-frequency", "threshold0.7"]
    ids = [str(i) for i in range(12)]
    root = plant(*cells("imagenetv2-{}-format-val/{}", variants, ids), count=1)
    reader = tree("imagenetv2-{domain}-format-val/{class}", order="number")
    if names:
        reader["names"] = names
    listing = read(make_card(reader, variants, 1000 if names else 12), root)
    for domain in listing.domains:
        assert domain.labels.tolist() == list(range(12))
        assert [path.split("/")[1] for path in paths(domain)] == ids
    if names:
        assert listing.classes[10] == "brambling, Fringilla montifringilla"


def test_a_domain_that_is_not_there(make_card: MakeCard, plant: Plant) -> None:
    root = plant(*cells("{}/{}", ["art", "fotos"], CLASSES))
    with pytest.raises(DataError, match=r"no folder of domain 'photo', 'sketch'.*'fotos'.*Did you mean 'fotos'"):
        read(make_card(tree(), DOMAINS, 2), root)


def test_an_empty_domain(make_card: MakeCard, plant: Plant) -> None:
    root = plant(*cells("{}/{}", ["art", "photo"], CLASSES))
    (root / "sketch" / "dog").mkdir(parents=True)
    with pytest.raises(DataError, match="no image of domain 'sketch'"):
        read(make_card(tree(), DOMAINS, 2), root)


def test_nothing_fits(make_card: MakeCard, plant: Plant) -> None:
    root = plant("somewhere/else")
    with pytest.raises(DataError, match=r"'\{domain\}/\{class\}/image'.*holds 'somewhere'"):
        read(make_card(tree(), DOMAINS, 2), root)


def test_classes_that_differ_between_domains(make_card: MakeCard, plant: Plant) -> None:
    root = plant(*cells("{}/{}", ["art", "photo"], CLASSES), "sketch/dog", "photo/hose")
    for classes in (["dog", "house"], 3):
        with pytest.raises(DataError) as error:
            read(make_card(tree(), DOMAINS, classes), root)
        text = str(error.value)
        assert "sketch: missing 'house'" in text or "sketch: missing 'hose', 'house'" in text
        assert ("photo: not on the card: 'hose'. Did you mean 'house'" in text) == (classes != 3)
        assert ("art: missing 'hose'" in text) == (classes == 3)


def test_more_classes_than_the_card_says(make_card: MakeCard, plant: Plant) -> None:
    root = plant(*cells("{}/{}", DOMAINS, CLASSES))
    with pytest.raises(DataError, match="says 3 classes, but there are 2: 'dog', 'house'"):
        read(make_card(tree(), DOMAINS, 3), root)


def test_an_empty_folder_of_a_class_is_no_missing_class(make_card: MakeCard, plant: Plant) -> None:
    root = plant(*cells("{}/{}", ["art", "photo"], CLASSES), "sketch/dog")
    (root / "sketch/house").mkdir()
    assert np.bincount(read(make_card(tree(), DOMAINS, 2), root).domains[2].labels, minlength=2).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("layout", "what"),
    [
        ("{domain}/{clas}/{class}", "'{clas}' is no placeholder. Did you mean 'class'"),
        ("{domain}", "names the class"),
        ("{class}", "names no domain"),
    ],
)
def test_layouts_that_cannot_be_understood(make_card: MakeCard, plant: Plant, layout: str, what: str) -> None:
    root = plant(*cells("{}/{}", DOMAINS, CLASSES))
    with pytest.raises(CardError) as error:
        read(make_card(tree(layout), DOMAINS, 2), root)
    assert what in str(error.value)


def test_a_folder_of_two_domains(make_card: MakeCard, plant: Plant) -> None:
    domains = ["art", {"name": "paintings", "folders": ["art"]}]
    with pytest.raises(CardError, match="two domains have a folder 'art'"):
        read(make_card(tree(), domains, 2), plant(*cells("{}/{}", ["art"], CLASSES)))


def test_nothing_is_written_beside_the_data(make_card: MakeCard, plant: Plant) -> None:
    root = plant(*cells("{}/{}", DOMAINS, CLASSES))
    before = sorted(root.rglob("*"))
    read(make_card(tree(), DOMAINS, 2), root).domains[0].pictures.read(0)
    assert sorted(root.rglob("*")) == before
