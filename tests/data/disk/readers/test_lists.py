from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.data.disk.readers import read
from dgbench.data.listing import Listing

MakeCard = Callable[..., DatasetCard]
Plant = Callable[..., Path]

DOMAINS = ["art_painting", "mnist_m"]
CLASSES = ["dog", "house"]
PACS = {
    "kind": "tree",
    "layouts": ["{domain}/{class}", "images/{domain}/{class}"],
    "lists": "splits/{domain}_{split}_kfold.txt",
    "first_label": 1,
    "splits": {"crossval": "validation"},
}


@pytest.fixture
def pacs(plant: Plant) -> Path:
    """Images as Dassl keeps those of PACS; lists start at 1, and the test list is the whole domain."""
    root = plant(*(f"images/{d}/{c}" for d, c in product(DOMAINS, CLASSES)), count=3)
    for domain in DOMAINS:
        lines = [f"{domain}/{c}/{n:03}.png {CLASSES.index(c) + 1}" for c, n in product(CLASSES, range(3))]
        write(root, domain, "train", lines[0::3] + lines[1::3])
        write(root, domain, "crossval", lines[2::3])
        write(root, domain, "test", lines)
    return root


def write(root: Path, domain: str, split: str, lines: list[str]) -> None:
    path = root / f"splits/{domain}_{split}_kfold.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def rows(listing: Listing, domain: int = 0) -> list[tuple[str, int, str]]:
    found = listing.domains[domain]
    assert found.official is not None
    return [(found.pictures.name(row), int(found.labels[row]), str(found.official[row])) for row in range(len(found))]


def test_lists_give_splits_and_labels_that_start_at_one(make_card: MakeCard, pacs: Path) -> None:
    listing = read(make_card(PACS, DOMAINS, CLASSES), pacs)
    for number, domain in enumerate(DOMAINS):
        assert rows(listing, number) == [
            (f"images/{domain}/{c}/{n:03}.png", CLASSES.index(c), "validation" if n == 2 else "train")
            for c, n in product(CLASSES, range(3))
        ]
    assert listing.domains[0].pictures.read(0).shape == (3, 4, 3)


def test_lists_decide_which_images_there_are(make_card: MakeCard, pacs: Path) -> None:
    for split in ("train", "crossval", "test"):
        write(pacs, "art_painting", split, [])
    write(pacs, "art_painting", "train", ["images/art_painting/house/001.png 2"])
    assert rows(read(make_card(PACS, DOMAINS, CLASSES), pacs)) == [("images/art_painting/house/001.png", 1, "train")]


def test_without_names_on_the_card_the_lists_order_the_classes(make_card: MakeCard, pacs: Path) -> None:
    for domain in DOMAINS:
        write(pacs, domain, "crossval", [])
        write(pacs, domain, "test", [])
        write(pacs, domain, "train", [f"{domain}/house/000.png 1", f"{domain}/dog/000.png 2"])
    assert read(make_card(PACS, DOMAINS, 2), pacs).classes == ("house", "dog")


def test_without_lists_the_folders_count(make_card: MakeCard, plant: Plant) -> None:
    root = plant(*(f"{d}/{c}" for d, c in product(DOMAINS, CLASSES)))
    listing = read(make_card(PACS, DOMAINS, CLASSES), root)
    assert [len(d) for d in listing.domains] == [4, 4]
    assert listing.domains[0].official is None
    with pytest.raises(DataError, match=r"says 3 classes.*\n.*_kfold.txt either"):
        read(make_card(PACS, DOMAINS, 3), root)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("art_painting/dog/000.png 3", "label 3 is out of range; labels go from 1 to 2"),
        ("art_painting/dog/000.png 0", "label 0 is out of range"),
        ("art_painting/dog/009.png 1", "there is no image 'art_painting/dog/009.png'"),
        ("art_painting/dog/000.png 2", "class number 1 (from 0), but its folder says 'dog'"),
        ("art_painting/dog/000.png", "expected the path of an image, a space and a number"),
        ("art_painting/dog/002.png 1", "an image can be in one split only"),
    ],
)
def test_lines_that_are_wrong_are_named(make_card: MakeCard, pacs: Path, line: str, what: str) -> None:
    write(pacs, "art_painting", "test", [])
    write(pacs, "art_painting", "train", ["", line])
    with pytest.raises(DataError) as error:
        read(make_card(PACS, DOMAINS, CLASSES), pacs)
    assert what in str(error.value)
    assert "art_painting_train_kfold.txt:2" in str(error.value)


def test_one_label_for_two_folders_is_found_without_names_on_the_card(make_card: MakeCard, pacs: Path) -> None:
    write(pacs, "mnist_m", "train", ["mnist_m/dog/000.png 2"])
    with pytest.raises(DataError, match=r"mnist_m_train_kfold\.txt:1"):
        read(make_card(PACS, DOMAINS, 2), pacs)


def test_lines_that_are_known_to_be_wrong_are_passed_over(make_card: MakeCard, pacs: Path) -> None:
    write(pacs, "art_painting", "train", ["art_painting/dog/999.png 0", "art_painting/dog/000.png 1"])
    reader = {**PACS, "ignore": ["art_painting/dog/999.png"]}
    assert len(read(make_card(reader, DOMAINS, CLASSES), pacs).domains[0]) == 6


def test_a_list_that_is_no_text(make_card: MakeCard, pacs: Path) -> None:
    (pacs / "splits/mnist_m_train_kfold.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"mnist_m_train_kfold\.txt cannot be read"):
        read(make_card(PACS, DOMAINS, CLASSES), pacs)


def test_paths_may_hold_spaces(make_card: MakeCard, plant: Plant) -> None:
    root = plant("Real World/Alarm Clock", "Real World/Bike")
    (root / "RealWorld_train.txt").write_text("Real World/Alarm Clock/000.png\t0\nReal World/Bike/001.png  1\n")
    reader = {"kind": "tree", "layouts": ["{domain}/{class}"], "lists": "{domain}_{split}.txt"}
    assert read(make_card(reader, ["real_world"], 2), root).classes == ("Alarm Clock", "Bike")


def test_a_domain_without_lists(make_card: MakeCard, pacs: Path) -> None:
    for path in (pacs / "splits").glob("mnist*"):
        path.unlink()
    with pytest.raises(DataError, match=r"there is no list .* for domain 'mnist_m'"):
        read(make_card(PACS, DOMAINS, CLASSES), pacs)


def test_two_kinds_of_nesting_of_one_depth(make_card: MakeCard, plant: Plant) -> None:
    """The path of an image says its class by the layout in which its domain is one of the card's."""
    root = plant("dog/art", "house/art")
    (root / "art_train.txt").write_text("dog/art/000.png 0\nhouse/art/000.png 1\n")
    reader = {"kind": "tree", "layouts": ["{domain}/{class}", "{class}/{domain}"], "lists": "{domain}_{split}.txt"}
    assert read(make_card(reader, ["art"], 2), root).classes == ("dog", "house")
