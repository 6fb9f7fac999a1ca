import dataclasses
import hashlib
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from on_disk import manifest, read_listing, times, write_pictures

from dgbench.core.errors import DataError
from dgbench.data.listing import Listing


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pets")
    return tmp_path / "pets"


def changed(listing: Listing, **changes: object) -> Listing:
    return dataclasses.replace(
        listing, domains=(dataclasses.replace(listing.domains[0], **changes), listing.domains[1])
    )


def test_pictures_are_digested_once(root: Path) -> None:
    first = manifest(read_listing(root), root)
    assert times(root, "digest") == 10
    assert manifest(read_listing(root), root) == first
    assert times(root, "digest") == 10
    assert times(root, "read") == 0


def test_every_change_is_another_manifest(root: Path) -> None:
    listing = read_listing(root)
    art = listing.domains[0]
    labels, groups = art.labels.copy(), art.groups.copy()
    labels[0], groups[0] = 1, 4
    official = np.array(["train"] * 4 + ["test"])
    others = [
        listing,
        dataclasses.replace(listing, classes=("dog", "cat")),
        dataclasses.replace(listing, shared_groups=True),
        dataclasses.replace(listing, domains=listing.domains[::-1]),
        dataclasses.replace(listing, domains=listing.domains[:1]),
        changed(listing, name="drawing"),
        changed(listing, labels=labels),
        changed(listing, groups=groups),
        changed(listing, official=official),
        changed(listing, official=official[::-1]),
        changed(listing, pictures=dataclasses.replace(art.pictures, names=art.pictures.names[::-1])),
    ]
    assert len({manifest(other, root) for other in others}) == len(others)


def test_a_changed_file_is_digested_again_and_the_others_are_not(root: Path) -> None:
    before = manifest(read_listing(root), root)
    path = root / "art" / "1.png"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert manifest(read_listing(root), root) != before
    assert times(root, "digest") == 11
    path.write_bytes(content)
    assert manifest(read_listing(root), root) == before, "the content counts, not the time"


def test_data_that_was_moved_is_the_same_data(root: Path) -> None:
    before = manifest(read_listing(root), root)
    moved = root.with_name("elsewhere")
    root.rename(moved)
    assert manifest(read_listing(moved), moved) == before


def test_copies_of_one_name_and_time_are_told_apart_by_their_root(root: Path) -> None:
    other = root.with_name("other")
    write_pictures(other)
    path, twin = root / "art" / "1.png", other / "art" / "1.png"
    content = twin.read_bytes()
    twin.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for file in (path, twin):
        os.utime(file, ns=(7, 7))
    assert manifest(read_listing(root), root) != manifest(read_listing(other), other)


def test_progress_reaches_the_end(root: Path) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        told.clear()
        manifest(read_listing(root), root, lambda done, total: told.append((done, total)))
        assert told == sorted(told)
        assert told[-1] == (10, 10)


def test_what_was_digested_before_an_error_is_kept(root: Path) -> None:
    listing = read_listing(root)
    (root / "photo" / "4.png").unlink()
    with pytest.raises(DataError, match=r"4\.png"):
        manifest(listing, root)
    assert times(root, "digest") == 9
    write_pictures(root.with_name("again"))
    (root.with_name("again") / "photo" / "4.png").rename(root / "photo" / "4.png")
    manifest(listing, root)
    assert times(root, "digest") == 10


def test_damaged_digests_are_made_anew(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = manifest(read_listing(root), root)
    (path,) = (tmp_path / "cache" / "digests").iterdir()
    path.write_bytes(path.read_bytes()[:20])
    with caplog.at_level(logging.WARNING):
        assert manifest(read_listing(root), root) == before
    assert "damaged" in caplog.text


def test_the_manifest_is_what_it_says(root: Path) -> None:
    """The same bytes, put together by hand."""
    listing = read_listing(root)
    text = b"cat\x1fdog" + b"\x1eFalse"
    for domain in listing.domains:
        text += f"\x1e{domain.name}\x1f5\x1f".encode()
        text += domain.labels.astype("<i8").tobytes() + domain.groups.astype("<i8").tobytes()
    for domain in listing.domains:
        for name in domain.pictures.names:
            text += hashlib.sha256((root / name).read_bytes()).digest()
    assert manifest(listing, root) == hashlib.sha256(text).hexdigest()
