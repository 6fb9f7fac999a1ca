"""Every shipped card of a tree reads a miniature of each of its layouts, made from the card alone."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from dgbench.core.cards import card_names
from dgbench.core.dataset_card import DatasetCard, DomainCard, dataset_card
from dgbench.core.reader_cards import Tree
from dgbench.data.disk.readers import read
from dgbench.data.disk.readers.tree import imagenet


def trees() -> Iterator[tuple[str, str]]:
    for name in card_names("datasets"):
        reader = dataset_card(name).reader
        if isinstance(reader, Tree):
            yield from ((name, layout) for layout in reader.layouts)


def folder_classes(card: DatasetCard, reader: Tree) -> list[str]:
    """What the folders of the first classes are called, in the order of labels."""
    if reader.order == "number":
        return [str(i) for i in range(12)]
    if reader.names == "imagenet":
        return list(imagenet()[0][:3])
    return list(card.classes) if isinstance(card.classes, tuple) else [f"c{i:04}" for i in range(card.classes)]


def fill(layout: str, domain: DomainCard, label: str, split: str) -> Path:
    """The path of an image; the folder of a domain has the last of its other names, where it has some."""
    name = (domain.name, *domain.folders)[-1]
    corruption, _, severity = domain.name.rpartition("-")
    path = layout if layout.endswith(".*") else f"{layout}/0.*"
    for place, text in {"class": label, "split": split, "corruption": corruption, "severity": severity}.items():
        path = path.replace(f"{{{place}}}", text)
    return Path(path.removesuffix(".*").replace("{domain}", name).replace("*", "any") + ".png")


@pytest.mark.parametrize(("name", "layout"), list(trees()))
def test_a_miniature_of_each_layout(name: str, layout: str, tmp_path: Path) -> None:
    card = dataset_card(name)
    assert isinstance(card.reader, Tree)
    classes = folder_classes(card, card.reader)
    domains = card.domains[:6] if "{corruption}" in layout else card.domains
    card = card.model_copy(update={"domains": domains})
    encoded = io.BytesIO()
    Image.new("RGB", (2, 2)).save(encoded, format="PNG")
    split = next(iter(card.reader.splits), "train")
    for domain in domains:
        for label in classes:
            path = tmp_path / fill(layout, domain, label, split)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded.getvalue())
    listing = read(card, tmp_path)
    assert [d.name for d in listing.domains] == [d.name for d in domains]
    assert len(listing.classes) == card.class_count
    for domain, found in zip(domains, listing.domains, strict=True):
        expected = [str(fill(layout, domain, label, split)) for label in classes]
        assert [found.pictures.name(row) for row in range(len(found))] == expected
        assert found.labels.tolist() == list(range(len(classes)))
        assert (found.official is not None) == ("{split}" in layout)


def test_pacs_with_the_lists_of_dassl(tmp_path: Path) -> None:
    """Labels start at 1, the test list repeats the domain, and one line is known to be wrong."""
    card = dataset_card("pacs")
    assert isinstance(card.classes, tuple)
    (tmp_path / "splits").mkdir()
    for domain in card.domains:
        lines = []
        for number, label in enumerate(card.classes, 1):
            for image in range(2):
                path = Path(domain.name) / label / f"{image}.jpg"
                (tmp_path / "images" / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / "images" / path).touch()
                lines.append(f"{path} {number}\n")
        wrong = ["sketch/dog/n02103406_4068-1.png 0\n"] if domain.name == "sketch" else []
        for split, listed in (("train", lines[::2] + wrong), ("crossval", lines[1::2]), ("test", lines)):
            (tmp_path / f"splits/{domain.name}_{split}_kfold.txt").write_text("".join(listed))
    listing = read(card, tmp_path)
    assert [d.name for d in listing.domains] == ["art_painting", "cartoon", "photo", "sketch"]
    assert listing.classes == ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
    for found in listing.domains:
        assert found.labels.tolist() == [label for label in range(7) for _ in range(2)]
        assert found.official is not None
        assert found.official.tolist() == ["train", "validation"] * 7


ORDERS = {
    "vlcs": ["Caltech101", "LabelMe", "SUN09", "VOC2007"],
    "office-home": ["Art", "Clipart", "Product", "Real_World"],
    "terra-incognita": ["location_100", "location_38", "location_43", "location_46"],
    "domainnet": ["clipart", "infograph", "painting", "quickdraw", "real", "sketch"],
    "mini-domainnet": ["clipart", "painting", "real", "sketch"],
}


@pytest.mark.parametrize("name", ORDERS)
def test_domains_are_in_the_order_of_others_who_sort_folders(name: str) -> None:
    assert [domain.name for domain in dataset_card(name).domains] == ORDERS[name] == sorted(ORDERS[name])
