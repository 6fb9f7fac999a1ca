import logging
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_elsewhere import elsewhere, toy
from drawn_elsewhere import views as views_of

from dgbench.core.disk import DiskError, writing
from dgbench.core.errors import UnknownNameError
from dgbench.core.shelf import SPARSE
from dgbench.core.shift_families import FAMILIES
from dgbench.data.cache import views
from dgbench.data.cache.kept import shelf
from dgbench.data.cache.views import Shifted, file_of, size_of, undrawn
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble

ROWS = np.array([0, 3, 5])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path))
    return tmp_path


def shifted(dataset: Dataset, domain: str, rows: np.ndarray, family: str, replica: int = 0) -> np.ndarray:
    """All of them."""
    return Shifted(dataset, domain, rows, family, replica)[np.arange(len(rows))]


def files(cache: Path) -> list[Path]:
    return sorted(cache.rglob(f"*{SPARSE}"))


def test_a_view_depends_on_nothing_but_its_own_row() -> None:
    all_rows = shifted(toy(), "a", np.arange(8), "arithmetic")
    assert all_rows.shape == (8, 16, 16, 3)
    assert all_rows.dtype == np.uint8
    some = shifted(toy(), "a", np.array([5, 2]), "arithmetic")
    assert np.array_equal(some, all_rows[[5, 2]])


def test_domains_families_replicas_and_data_draw_differently() -> None:
    same = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    twins = [Domain(n, same, np.arange(8) % 2, np.arange(8)) for n in "ab"]
    dataset = assemble("toy", ("x", "y"), twins)
    relabelled = assemble("toy", ("y", "x"), twins)
    drawn = [
        shifted(dataset, "a", ROWS, "color"),
        shifted(dataset, "b", ROWS, "color"),
        shifted(dataset, "a", ROWS, "blur"),
        shifted(dataset, "a", ROWS, "color", replica=1),
        shifted(relabelled, "a", ROWS, "color"),
    ]
    assert len({images.tobytes() for images in drawn}) == len(drawn)


def test_images_that_were_made_in_another_way_have_views_of_their_own() -> None:
    """The manifest is of the files: images that were cropped, or laid over another ground, are others."""
    stretched, cropped = (replace(toy(offset=offset), manifest="0" * 64, form=f"16-{offset}") for offset in (1, 2))
    first, other = shifted(stretched, "a", ROWS, "color"), shifted(cropped, "a", ROWS, "color")
    assert not np.array_equal(first, other)
    assert np.array_equal(shifted(stretched, "a", ROWS, "color"), first)


def test_each_picture_is_drawn_once_whatever_list_it_stands_on(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[bytes] = []
    draw = views.shift

    def told(image: np.ndarray, family: str, seed: int) -> np.ndarray:
        drawn.append(image.tobytes())
        return draw(image, family, seed)

    monkeypatch.setattr(views, "shift", told)
    dataset = toy()
    first = shifted(dataset, "a", ROWS, "weather")
    assert np.array_equal(undrawn(dataset, "a", np.arange(8), "weather"), [1, 2, 4, 6, 7])
    other = shifted(dataset, "a", np.array([5, 1, 0]), "weather")
    assert len(drawn) == len(set(drawn)) == 4
    assert np.array_equal(other[[2, 0]], first[[0, 2]])
    assert len(undrawn(dataset, "a", ROWS, "weather")) == 0


@pytest.mark.parametrize("damage", ["cut", "empty", "a pixel", "a checksum", "a block is lost"])
def test_damaged_views_are_drawn_anew(damage: str, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = shifted(toy(), "a", ROWS, "weather")
    (path,) = files(cache)
    content = bytearray(path.read_bytes())
    match damage:
        case "cut" | "empty":
            content = content[: 200 if damage == "cut" else 0]
        case "a pixel":
            content[4096 + 3 * 768 + 5] ^= 1
        case "a checksum":
            content[5 * 4] ^= 1
        case _:
            content[4096:] = bytes(len(content) - 4096)
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(shifted(toy(), "a", ROWS, "weather"), first)
    assert "drawn anew" in caplog.text
    caplog.clear()
    assert np.array_equal(shifted(toy(), "a", ROWS, "weather"), first)
    assert caplog.text == ""


def test_another_process_draws_the_same_views() -> None:
    assert elsewhere("views") == views_of([0, 3, 5])


def test_many_draw_into_one_file_at_once(cache: Path) -> None:
    """Rows of their own and rows of others: all see the same, and nothing is lost."""
    lists = [np.array(rows) for rows in ([0, 1, 2, 3], [4, 5, 6, 7], [2, 3, 4, 5], [7, 0])]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda rows: shifted(toy(), "a", rows, "color"), lists))
    assert len(undrawn(toy(), "a", np.arange(8), "color")) == 0
    alone = Shifted(toy(), "a", np.arange(8), "color", kept=False)
    for path in files(cache):
        path.unlink()
    whole = alone[np.arange(8)]
    assert all(np.array_equal(images, whole[rows]) for images, rows in zip(found, lists, strict=True))


def test_views_obey_the_bound_and_come_out_as_they_were(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A family takes a block for checksums, one or two for pictures, and one at most for notes of the file system."""
    free = {family: shifted(toy(), "a", ROWS, family) for family in FAMILIES}
    for path in files(cache):
        path.unlink()
    most = 4 * size_of(toy(), "a", ROWS)
    monkeypatch.setenv("DGBENCH_CACHE_LIMIT", str(most))
    for family in (*FAMILIES, *FAMILIES[::-1]):
        assert np.array_equal(shifted(toy(), "a", ROWS, family), free[family])
        assert sum(512 * path.stat().st_blocks for path in files(cache)) == shelf().taken() <= most
    there = [path.name.split("-")[0] for path in files(cache)]
    assert len(there) >= 4
    assert there == sorted(FAMILIES[: len(there)]), "those that were used last"
    assert {path.name for path in cache.rglob(".*")} <= {".clock"}, "no locks, nothing half-written"


def test_views_that_are_not_kept_are_the_same(cache: Path) -> None:
    passing = Shifted(toy(), "a", ROWS, "color", 1, kept=False)
    places = np.array([2, 0])
    images = passing[places]
    assert not list(cache.rglob("*"))
    kept = shifted(toy(), "a", ROWS, "color", 1)
    assert np.array_equal(images, kept[places])
    assert (len(passing), passing.shape) == (3, kept.shape)


def test_what_is_there_is_read_also_where_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = shifted(toy(), "a", ROWS, "color")
    monkeypatch.setattr(views, "shift", lambda *a: pytest.fail("drawn although it is cached"))
    assert np.array_equal(Shifted(toy(), "a", ROWS, "color", kept=False)[np.arange(3)], kept)


@pytest.mark.parametrize("rows", [ROWS, np.arange(8), np.array([7])])
def test_the_size_of_views_is_known_before_they_are_drawn(rows: np.ndarray) -> None:
    dataset = toy()
    foreseen = size_of(dataset, "a", rows)
    shifted(dataset, "a", rows, "color")
    assert 0 <= foreseen - 512 * file_of(dataset, "a", "color").stat().st_blocks <= 4096


def test_views_in_use_are_not_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_CACHE_LIMIT", str(3 * size_of(toy(), "a", ROWS)))
    kept = Shifted(toy(), "a", ROWS, "color")
    kept[np.arange(3)]
    path = file_of(toy(), "a", "color")
    for family in FAMILIES:
        shifted(toy(), "b", ROWS, family)
        assert path.exists()
    del kept
    for family in FAMILIES:
        shifted(toy(), "b", ROWS, family)
    assert not path.exists()


def test_what_was_taken_away_while_nobody_looked_is_drawn_again(cache: Path) -> None:
    images = Shifted(toy(), "a", ROWS, "color")
    first = images[np.arange(3)]
    file_of(toy(), "a", "color").unlink()
    assert np.array_equal(images[np.arange(3)], first)
    assert len(files(cache)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only an administrator can mount a disk")
def test_a_full_disk_is_an_error_and_what_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "none", place], capture_output=True).returncode:
        pytest.skip("this administrator may not")
    monkeypatch.setenv("DGBENCH_CACHE", str(place))
    monkeypatch.setenv("DGBENCH_CACHE_LIMIT", "none")
    try:
        held = [Shifted(toy(), "a", ROWS, family) for family in FAMILIES]
        first = held[0][np.arange(3)]
        with pytest.raises(DiskError, match="the disk is full"):
            [images[np.arange(3)] for images in held]
        assert np.array_equal(held[0][np.arange(3)], first)
        del held
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only an administrator can make a disk read-only")
def test_a_cache_that_cannot_be_written_can_be_read(cache: Path) -> None:
    first = shifted(toy(), "a", ROWS, "color")
    if subprocess.run(["mount", "--bind", "-o", "ro", cache, cache], capture_output=True).returncode:
        pytest.skip("this administrator may not")
    try:
        assert np.array_equal(shifted(toy(), "a", ROWS, "color"), first)
        with pytest.raises(OSError, match="Read-only"), (cache / "x").open("w"):
            pass
        with pytest.raises(DiskError, match="cannot be written"), writing(cache):
            shifted(toy(), "b", ROWS, "color")
    finally:
        subprocess.run(["umount", "--lazy", cache], check=True)


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="family of shifts"):
        Shifted(toy(), "a", ROWS, "wether")
