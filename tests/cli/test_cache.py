"""``dgbench cache``: what lies there is named as people know it, and goes when they say so."""

import json
from pathlib import Path

import numpy as np
import pytest
from comparing.called import Done, within
from on_disk import read_listing, write_pictures

from dgbench.core.amounts import in_words
from dgbench.core.in_use import use
from dgbench.core.shelf import SPARSE
from dgbench.data.cache.contents import contents
from dgbench.data.cache.kept import shelf
from dgbench.data.cache.prepare import prepare
from dgbench.data.cache.views import Shifted, file_of

ROWS = np.array([0, 2, 3])


def dgbench(*arguments: str) -> Done:
    return within("cache", *arguments)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Decoded pets at two sizes, shifted at one; strangers, whose name the cache was never told; digests."""
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DGBENCH_CACHE_LIMIT", "1MB")
    write_pictures(tmp_path / "pets")
    listing = read_listing(tmp_path / "pets")
    prepare(listing, "a" * 64, 40, "crop")
    pets = prepare(listing, "a" * 64, 24, "stretch")
    for family in ("blur", "color"):
        Shifted(pets, "art", ROWS, family).draw()
    folder = file_of(pets, "art", "blur").parents[2]
    (folder.parent / ("b" * 16) / "8-stretch" / "x").mkdir(parents=True)
    np.save(folder.parent / ("b" * 16) / "8-stretch" / "x" / "blur-0-0.npy", np.zeros((2, 8, 8, 3), np.uint8))
    (tmp_path / "cache" / "digests").mkdir()
    (tmp_path / "cache" / "digests" / "pets-0.parquet").write_bytes(b"x" * 50)
    return tmp_path / "cache"


def test_what_lies_there_is_told_by_dataset(cache: Path) -> None:
    told = json.loads(dgbench("ls", "--json").stdout)
    found = {(one["kind"], one["dataset"], one["form"]): (one["pieces"], one["bytes"]) for one in told["contents"]}
    image = 24 * 24 * 3
    assert found.keys() == {
        ("decoded", "pets", "40-crop"), ("decoded", "pets", "24-stretch"), ("views", "pets", "24-stretch"),
        ("views", "b" * 16, "8-stretch"), ("digests", "", ""),
    }  # fmt: skip
    taken = [512 * path.stat().st_blocks for path in cache.glob(f"views/*/a*/*/*/*{SPARSE}")]
    assert found["views", "pets", "24-stretch"] == (2, sum(taken))
    assert all(4096 + 3 * image < one < 6 * 4096 for one in taken)
    assert found["digests", "", ""] == (1, 50)
    assert 10 * image < found["decoded", "pets", "24-stretch"][1] < 10 * image + 2000
    on_disk = sum(path.stat().st_size for kind in ("decoded", "views") for path in (cache / kind).rglob("*.[jn]*"))
    on_disk += sum(taken)
    assert (told["folder"], told["bytes"], told["bound"]) == (str(cache), on_disk, 10**6)
    lines = dgbench("ls").stdout.splitlines()
    assert sorted(line.split("\t")[0] for line in lines) == ["decoded", "decoded", "digests", "views", "views"]


def test_nothing_goes_before_that_is_asked_for_and_what_is_in_use_stays(cache: Path) -> None:
    before = contents()
    shown = dgbench("clear", "views", "-d", "pets")
    assert shown.returncode == 0, shown.stderr
    size = in_words(512 * next(cache.glob("views/*/a*/*/*/blur-*")).stat().st_blocks)
    both = in_words(1024 * next(cache.glob("views/*/a*/*/*/blur-*")).stat().st_blocks)
    assert shown.stdout.splitlines()[-1] == f"{both} would be free again; nothing was touched: --yes does it"
    assert contents() == before
    used = use(next(cache.glob("views/*/a*/*/*/blur-*")))
    done = dgbench("clear", "views", "-d", "pets", "--yes")
    assert done.stdout.splitlines()[-1] == f"{size} are free again; {size} are in use, and stay"
    assert [path.name.split("-")[0] for path in cache.glob(f"views/*/a*/*/*/*{SPARSE}")] == ["blur"]
    used.close()
    told = json.loads(dgbench("clear", "--yes", "--json").stdout)
    assert (told["removed"], told["in_use"]) == (True, 0)
    assert (shelf().pieces(), shelf().taken()) == ([], 0)
    assert (cache / "digests" / "pets-0.parquet").exists()
    assert dgbench("clear", "--yes", "--quiet").stdout == ""


def test_a_dataset_that_does_not_lie_there_is_one_clear_error(cache: Path) -> None:
    done = dgbench("clear", "-d", "pet")
    assert done.returncode == 2
    assert done.stderr.startswith("dgbench: there is no dataset in the cache named 'pet'. Did you mean 'pets'?")


def test_an_empty_cache_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "nothing"))
    assert json.loads(dgbench("ls", "--json").stdout)["contents"] == []
    assert dgbench("clear", "--yes").stdout.splitlines()[-1] == "0 bytes are free again"
