"""Hundreds of trees with something wrong in them: each becomes a card that reads, or one error that a user can mend."""

import logging
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DGBenchError
from dgbench.data.disk.look import look, write
from dgbench.data.disk.readers import read

TREES = 200
CARDS = 100
REFUSED = 10
"""At least so many become cards, and errors; else the test shows nothing."""
ODD = (
    *("a", "A", "01", "1", "é", "e\u0301", "a b", "a-b", "train", "val", "test", "con", "{class}", "*", "[x]", "fo\to"),
    *(
        "new\nline",
        "caf\udce9",
        "\udcff\udcfe",
        "фото",
        "x" * 200,
        "__MACOSX",
        ".hidden",
        "-",
        "...",
        "\\xe9",
        "\u202egnp",
    ),
)


def mutations(chance: random.Random, png: Path) -> list[Callable[[Path], None]]:
    """What happens to folders on disks, each at a place that is drawn."""

    def folder(root: Path) -> Path:
        found = [path for path, _, _ in os.walk(root)]
        return Path(chance.choice(found))

    def entry(root: Path) -> Path:
        place = folder(root)
        there = sorted(place.iterdir())
        return chance.choice(there) if there else place

    def delete(root: Path) -> None:
        gone = entry(root)
        if gone != root:
            shutil.rmtree(gone) if gone.is_dir() and not gone.is_symlink() else gone.unlink()

    def rename(root: Path) -> None:
        path = entry(root)
        other = path.with_name(chance.choice(ODD) + chance.choice(["", path.suffix]))
        if path != root and not os.path.lexists(other):
            path.rename(other)

    def nest(root: Path) -> None:
        path = entry(root)
        if path != root:
            inner = path.with_name(f"{path.name[:9]}-nested")
            inner.mkdir(exist_ok=True)
            if not os.path.lexists(inner / path.name):
                path.rename(inner / path.name)

    def lift(root: Path) -> None:
        path = entry(root)
        if path.parent != root and not os.path.lexists(path.parent.parent / path.name):
            path.rename(path.parent.parent / path.name)

    def link(root: Path) -> None:
        name = folder(root) / chance.choice(ODD)
        if not os.path.lexists(name):
            target = [entry(root), root, root.parent, folder(root), Path(), Path(".."), name, Path("/nowhere"), png]
            name.symlink_to(chance.choice(target))

    def garbage(root: Path) -> None:
        path = (
            folder(root)
            / f"{chance.choice(ODD)[:200]}{chance.choice(['', '.png', '.npy', '.csv', '.parquet', '.PNG'])}"
        )
        if not os.path.lexists(path):
            path.write_bytes(chance.randbytes(chance.choice([0, 3, 40])))

    def file_for_folder(root: Path) -> None:
        path = folder(root)
        if path != root:
            shutil.rmtree(path)
            path.write_bytes(b"no folder")

    def twin(root: Path) -> None:
        path = entry(root)
        other = path.with_name(path.name.swapcase())
        if path.is_dir() and not path.is_symlink() and path != root and not os.path.lexists(other):
            shutil.copytree(path, other, symlinks=True, copy_function=os.link)

    def deep(root: Path) -> None:
        path = folder(root).joinpath(*["d"] * chance.choice([3, 20, 60]))
        path.mkdir(parents=True, exist_ok=True)
        shutil.copy(png, path / "0.png")

    def empty(root: Path) -> None:
        (folder(root) / chance.choice(ODD)).mkdir(exist_ok=True)

    def pipe(root: Path) -> None:
        path = folder(root) / "pipe.png"
        if not os.path.lexists(path):
            os.mkfifo(path)

    return [delete, rename, nest, lift, link, garbage, file_for_folder, twin, deep, empty, pipe]


@pytest.mark.skipif(os.name != "posix", reason="names and links as POSIX has them")
def test_every_mutated_tree_is_a_card_that_reads_or_one_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    png = tmp_path / "0.png"
    Image.new("RGB", (2, 2)).save(png)
    cards = refused = 0
    for number in range(TREES):
        chance = random.Random(number)
        home = tmp_path / str(number)
        root = home / "pics"
        for domain in ("p", "q", "r"):
            for label in ("a", "b"):
                folder = (
                    root / domain / chance.choice(["", "train"]) / label if number % 5 == 0 else root / domain / label
                )
                folder.mkdir(parents=True)
                (folder / "0.png").hardlink_to(png)
        for change in chance.choices(mutations(chance, png), k=chance.choice([1, 1, 2, 4, 8])):
            with suppress(OSError):  # what the file system refuses does not happen
                change(root)
        layout = chance.choice([None, None, None, "{domain}/{class}", "{class}/{domain}", "{domain}/*{class}.*"])
        try:
            draft = look(str(root), layout=layout)
            card = dataset_card(str(write(draft, home / "datasets")))
            assert card.path is not None
            listing = read(card, card.path)
        except DGBenchError:
            refused += 1
        else:
            cards += 1
            found = [(d.name, len(d), list(d.without(listing.classes))) for d in listing.domains]
            rows = [(row["name"], row["count"], row.get("without", [])) for row in draft.content["domains"]]
            assert found == rows, number
        shutil.rmtree(home)
    assert cards >= CARDS
    assert refused >= REFUSED
