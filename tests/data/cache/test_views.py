import hashlib
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dgbench.core.disk import DiskError, writing
from dgbench.core.errors import UnknownNameError
from dgbench.core.shift_families import FAMILIES
from dgbench.data.cache import views
from dgbench.data.cache.views import Passing, shifted
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble

ROWS = np.array([0, 3, 5])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path))
    return tmp_path


def small(name: str = "toy", offset: int = 0) -> Dataset:
    rng = np.random.default_rng(offset)
    domains = [
        Domain(n, rng.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8), np.arange(8) % 2, np.arange(8)) for n in "ab"
    ]
    return assemble(name, ("x", "y"), domains)


def test_a_view_depends_on_nothing_but_its_own_row() -> None:
    all_rows = shifted(small(), "a", np.arange(8), "arithmetic")
    assert all_rows.shape == (8, 16, 16, 3)
    assert all_rows.dtype == np.uint8
    some = shifted(small(), "a", np.array([5, 2]), "arithmetic")
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
    stretched, cropped = (replace(small(offset=offset), manifest="0" * 64, form=f"16-{offset}") for offset in (1, 2))
    first, other = shifted(stretched, "a", ROWS, "color"), shifted(cropped, "a", ROWS, "color")
    assert not np.array_equal(first, other)
    assert np.array_equal(shifted(stretched, "a", ROWS, "color"), first)


def test_views_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = shifted(small(), "a", ROWS, "weather")
    monkeypatch.setattr(views, "shift", lambda *a: pytest.fail("drawn although it is cached"))
    assert np.array_equal(shifted(small(), "a", ROWS, "weather"), first)


@pytest.mark.parametrize("damage", ["cut", "empty", "other shape"])
def test_damaged_views_are_drawn_anew(damage: str, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = np.array(shifted(small(), "a", ROWS, "weather"))
    (path,) = cache.rglob("*.npy")
    if damage == "other shape":
        np.save(path, first[:2])
    else:
        path.write_bytes(path.read_bytes()[:200] if damage == "cut" else b"")
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(shifted(small(), "a", ROWS, "weather"), first)
    assert "drawn anew" in caplog.text


def test_another_process_draws_the_same_views(tmp_path: Path) -> None:
    program = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import hashlib, numpy as np, test_views
from dgbench.data.cache.views import Passing, shifted
print(hashlib.sha256(shifted(test_views.small(), "a", np.array([5, 3, 0]), "segmentation")[::-1].tobytes()).hexdigest())
"""
    environment = os.environ | {"DGBENCH_CACHE": str(tmp_path / "other"), "PYTHONHASHSEED": "3"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    here = shifted(small(), "a", ROWS, "segmentation")
    assert done.stdout.strip() == hashlib.sha256(here.tobytes()).hexdigest()


def test_views_obey_the_bound_and_come_out_as_they_were(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A family of three images of 16 x 16 takes 2.4 kB, four of them 9.7 kB."""
    free = {family: np.array(shifted(small(), "a", ROWS, family)) for family in FAMILIES}
    for path in cache.rglob("*.npy"):
        path.unlink()
    monkeypatch.setenv("DGBENCH_CACHE_LIMIT", "10kB")
    for family in (*FAMILIES, *FAMILIES[::-1]):
        assert np.array_equal(shifted(small(), "a", ROWS, family), free[family])
        files = sorted(cache.rglob("*.npy"))
        assert sum(path.stat().st_size for path in files) <= 10_000
    assert [path.name.split("-")[0] for path in files] == sorted(FAMILIES[:4])
    assert {path.name for path in cache.rglob(".*")} <= {".clock"}, "no locks, nothing half-written"


def test_views_that_are_not_kept_are_the_same(cache: Path) -> None:
    passing = Passing(small(), "a", ROWS, "color", 1)
    places = np.array([2, 0])
    images = passing[places]
    assert not list(cache.rglob("*"))
    kept = shifted(small(), "a", ROWS, "color", 1)
    assert np.array_equal(images, kept[places])
    assert (len(passing), passing.shape) == (3, kept.shape)


def test_the_size_of_views_is_known_before_they_are_drawn(cache: Path) -> None:
    dataset = small()
    shifted(dataset, "a", ROWS, "color")
    assert views.file_of(dataset, "a", ROWS, "color").stat().st_size == views.size_of(dataset, "a", ROWS)


def test_views_in_use_are_not_taken_away(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_CACHE_LIMIT", "10kB")
    kept = shifted(small(), "a", ROWS, "color")
    path = views.file_of(small(), "a", ROWS, "color")
    for family in FAMILIES:
        shifted(small(), "b", ROWS, family)
        assert path.exists()
    del kept
    for family in FAMILIES:
        shifted(small(), "b", ROWS, family)
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only an administrator can make a disk read-only")
def test_a_cache_that_cannot_be_written_can_be_read(cache: Path) -> None:
    first = np.array(shifted(small(), "a", ROWS, "color"))
    if subprocess.run(["mount", "--bind", "-o", "ro", cache, cache], capture_output=True).returncode:
        pytest.skip("this administrator may not")
    try:
        assert np.array_equal(shifted(small(), "a", ROWS, "color"), first)
        with pytest.raises(OSError, match="Read-only"), (cache / "x").open("w"):
            pass
        with pytest.raises(DiskError, match="cannot be written"), writing(cache):
            shifted(small(), "b", ROWS, "color")
    finally:
        subprocess.run(["umount", "--lazy", cache], check=True)


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="family of shifts"):
        shifted(small(), "a", ROWS, "wether")
