from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.data.disk.check import check
from dgbench.data.disk.findings import Finding
from dgbench.data.listing import DomainListing, Listing, Picture


@dataclass
class Drawn:
    """Pictures in memory; None cannot be read."""

    pictures: list[Picture | None]

    def __len__(self) -> int:
        return len(self.pictures)

    def name(self, row: int) -> str:
        return f"picture {row}"

    def stamp(self, row: int) -> str:
        return ""

    def digest(self, row: int) -> bytes:
        return sha256(self.read(row).tobytes()).digest()

    def read(self, row: int) -> Picture:
        picture = self.pictures[row]
        if picture is None:
            raise DataError(f"{self.name(row)} is truncated")
        return picture

    @contextmanager
    def open(self, row: int) -> Iterator[Image.Image]:
        yield Image.fromarray(self.read(row))


def noise(seed: int) -> Picture:
    """A smooth random picture: blocks of 8 pixels, unlike any other."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3))
    return np.kron(blocks, np.ones((8, 8, 1))).astype(np.uint8)


def domain(name: str, pictures: list[Picture | None], labels: list[int], **more: np.ndarray) -> DomainListing:
    groups = more.get("groups", np.arange(len(labels)))
    return DomainListing(name, Drawn(pictures), np.array(labels), groups, more.get("official"))


def findings(*domains: DomainListing, counts: dict[str, int] | None = None) -> dict[str, Finding]:
    card = DatasetCard.model_validate(
        {
            "name": "own", "title": "", "summary": "", "path": "/", "licence": "", "redistribution": "",
            "reader": {"kind": "tree", "layouts": ["{domain}/{class}"]}, "classes": ["cat", "dog"],
            "domains": [{"name": d.name} | ({"count": counts[d.name]} if counts else {}) for d in domains],
        }
    )  # fmt: skip
    seen: list[tuple[int, int]] = []
    found = check(card, Listing("own", ("cat", "dog"), domains), lambda done, of: seen.append((done, of)))
    total = sum(map(len, domains))
    assert seen == [(done, total) for done in range(1, total + 1)]
    return {finding.check: finding for finding in found}


def test_sound_data_has_no_problem() -> None:
    one = domain("a", [noise(seed) for seed in range(6)], [0, 1] * 3)
    other = domain("b", [noise(seed) for seed in range(6, 12)], [0, 1] * 3)
    assert {finding.verdict for finding in findings(one, other, counts={"a": 6, "b": 6}).values()} == {"ok"}


def test_every_fault_is_found_and_named() -> None:
    brighter = np.clip(noise(0).astype(int) + 3, 0, 255).astype(np.uint8)
    one = domain("a", [noise(0), noise(1), None, noise(3)], [0, 0, 1, 1])
    other = domain("b", [brighter, noise(1), noise(5)], [1, 1, 1])
    found = findings(one, other, counts={"a": 4, "b": 9})
    assert {name for name, finding in found.items() if finding.verdict == "problem"} == {
        *("unreadable", "counts", "classes", "copies", "near-duplicates across domains"),
    }
    assert "1 of 7 pictures: picture 2 is truncated" in found["unreadable"].text
    assert "b has 3, not 9" in found["counts"].text
    assert "b has no cat" in found["classes"].text
    assert "1 of them with different labels: picture 1 = picture 1" in found["copies"].text
    assert found["near-duplicates across domains"].text.startswith("2 pairs: picture 0 = picture 0; picture 1")
    assert "between a and b: total variation 0.50" in found["class frequencies"].text


@pytest.mark.parametrize("groups", [[0, 1, 2, 3], [0, 0, 1, 2]])
def test_leakage_between_official_splits_is_found(groups: list[int]) -> None:
    official = np.array(["train", "test", "train", "test"])
    pictures = [noise(0), noise(1), noise(2), noise(3)]
    one = domain("a", pictures, [0, 1, 0, 1], groups=np.array(groups), official=official)
    leaking = groups[0] == groups[1]
    found = findings(one)["leakage between splits"]
    assert found.verdict == ("problem" if leaking else "ok")
    assert ("group 0 of a" in found.text) == leaking
    twin = domain("a", [*pictures[:3], noise(2)], [0, 1, 0, 1], official=official)
    assert "picture 2 = picture 3" in findings(twin)["leakage between splits"].text


def test_flat_pictures_of_different_shades_are_no_duplicates() -> None:
    flat = [np.full((32, 32, 3), shade, np.uint8) for shade in (0, 90, 180, 255)]
    found = findings(domain("a", flat[:2], [0, 1]), domain("b", flat[2:], [0, 1]))
    assert found["near-duplicates across domains"].verdict == "ok"
