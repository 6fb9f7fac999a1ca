import hashlib
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dgbench.core.errors import UnknownNameError
from dgbench.data.cache import views
from dgbench.data.cache.views import shifted
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
from dgbench.data.cache.views import shifted
print(hashlib.sha256(shifted(test_views.small(), "a", np.array([5, 3, 0]), "segmentation")[::-1].tobytes()).hexdigest())
"""
    environment = os.environ | {"DGBENCH_CACHE": str(tmp_path / "other"), "PYTHONHASHSEED": "3"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    here = shifted(small(), "a", ROWS, "segmentation")
    assert done.stdout.strip() == hashlib.sha256(here.tobytes()).hexdigest()


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="family of shifts"):
        shifted(small(), "a", ROWS, "wether")
