"""A board under the smallest bounds that it can do with: the same bits as without any, and never more on the disk."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from dgbench.api import boards
from dgbench.core.cards import BoardCard
from dgbench.core.dataset_card import dataset_card
from dgbench.core.disk import DiskError
from dgbench.core.locks import in_turn
from dgbench.core.shelf import MOST, SPARSE, Shelf
from dgbench.core.shift_families import FAMILIES
from dgbench.data.cache.contents import contents
from dgbench.data.cache.kept import shelf
from dgbench.data.catalogue import load
from dgbench.data.disk.look import look, write
from dgbench.runs.feature_shelf import shelf as features_of
from dgbench.runs.groundwork import Groundwork, groundwork
from dgbench.runs.jobs import Drawing, Extraction, unit
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from small import small_board


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BoardCard:
    """Heads on features and whole networks, on three domains of sixteen pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    for domain in ("dawn", "day", "night"):
        for label in ("one", "two"):
            (tmp_path / "lamps" / domain / label).mkdir(parents=True)
            for number in range(8):
                picture = Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8))
                picture.save(tmp_path / "lamps" / domain / label / f"{number}.png")
    draft = look(str(tmp_path / "lamps"), None, {}, None, lambda done, total: None)
    write(draft, tmp_path / "datasets")
    small = small_board("erm", "linear_probe", trials=2, backbone="dgbench:convnet-small")
    rules = boards.rules(small, datasets=["lamps"])
    return rules.model_copy(update={"hyperparameters": {"sampler.augmentation": "none"}})


def predictions(root: Path) -> dict[str, list[dict[str, object]]]:
    found = sorted((root / "runs").glob("*/predictions.parquet"))
    return {path.parent.name: pl.read_parquet(path).to_dicts() for path in found}


def looked_at(board: BoardCard, store: Store) -> Groundwork:
    """By all units of a board."""
    plan = make_plan(board)
    runs = {id_: tuple(run for run in plan.runs.values() if run.training == id_) for id_ in plan.trainings}
    return groundwork([unit(plan, id_, todo) for id_, todo in runs.items()], store, load)


def taken(of: Shelf) -> int:
    """What lies on a shelf at one moment: nobody takes anything away or begins anything while it is counted, and what
    is renamed meanwhile is one file under two names."""
    sizes: dict[int, int] = {}
    with in_turn(of.root / ".room.lock"):
        for folder, _, names in (found for place in of.places for found in os.walk(of.root / place)):
            for name in names:
                with suppress(FileNotFoundError):
                    known = Path(folder, name).stat()
                    sizes[known.st_ino] = known.st_blocks * 512 if name.endswith(SPARSE) else known.st_size
    return sum(sizes.values())


@contextmanager
def most(shelves: dict[str, Shelf]) -> Iterator[dict[str, int]]:
    """What shelves took at most while the block ran."""
    over, peaks = threading.Event(), dict.fromkeys(shelves, 0)

    def watch() -> None:
        while not over.wait(0.005):
            for name, one in shelves.items():
                peaks[name] = max(peaks[name], taken(one))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield peaks
    finally:
        over.set()
        watching.join()


def needed(board: BoardCard, store: Path, variable: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """What the refusal asks for, in bytes."""
    monkeypatch.setenv(variable, "1kB")
    with pytest.raises(DiskError) as caught:
        boards.run(board, store=store, device="cpu", workers=2)
    asked = re.search(rf"set {variable}=(\d+)kB", str(caught.value))
    assert asked is not None
    return int(asked[1]) * 1000


def test_a_board_comes_out_the_same_under_the_smallest_bounds(
    board: BoardCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "free" / "cache"))
    summary = boards.run(board, store=tmp_path / "free" / "store", device="cpu", workers=2)
    assert (summary.failed, summary.runs) == ({}, 12)
    free = {"cache": shelf().taken(), "features": features_of(Store(tmp_path / "free" / "store")).taken()}

    foreseen = {one for seen in looked_at(board, Store(tmp_path / "free" / "store")).sights.values() for one in seen}
    for shelf_of, name in ((shelf(), "cache"), (features_of(Store(tmp_path / "free" / "store")), "features")):
        there = {one.mark: one.bytes for one in shelf_of.pieces()}
        for one in foreseen:
            if one.shelf == name:
                assert 0 <= one.bytes - there[one.mark] < 5000, "sizes are known before the work"

    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "bound" / "cache"))
    store = tmp_path / "bound" / "store"
    bounds = {"cache": needed(board, store, "DGBENCH_CACHE_LIMIT", monkeypatch)}
    assert not (tmp_path / "bound" / "cache" / "decoded").exists(), "it is refused before anything is decoded"
    monkeypatch.setenv("DGBENCH_CACHE_LIMIT", str(bounds["cache"]))
    bounds["features"] = needed(board, store, "DGBENCH_FEATURES_LIMIT", monkeypatch)
    monkeypatch.setenv("DGBENCH_FEATURES_LIMIT", str(bounds["features"]))
    assert bounds["cache"] < free["cache"] * 0.95
    assert bounds["features"] < free["features"] * 0.9
    with most({"cache": shelf(), "features": features_of(Store(store))}) as peaks:
        summary = boards.run(board, store=store, device="cpu", workers=2)
    assert (summary.failed, summary.runs) == ({}, 12)
    assert predictions(store) == predictions(tmp_path / "free" / "store")
    assert (peaks["cache"] > 0, peaks["features"] > 0) == (True, True), "it was looked at"
    assert peaks["cache"] <= bounds["cache"]
    assert peaks["features"] <= bounds["features"]
    assert boards.run(board, store=store, device="cpu", workers=2).runs == 0, "nothing is done twice"


def test_units_of_a_trial_come_one_after_the_other(board: BoardCard, tmp_path: Path) -> None:
    below = looked_at(board, Store(tmp_path / "store"))
    cells = [(one.training.trial, one.training.sources) for one in below.units]
    assert cells == sorted(cells)
    assert len(cells) == 12
    drawings = [job for job in below.jobs if isinstance(job, Drawing)]
    pictures = [(job.domain, family, row) for job in drawings for family in job.families for row in job.rows.tolist()]
    assert len(pictures) == len(set(pictures)) == sum(job.images for job in drawings), (
        "each picture once for all trials"
    )
    assert {family for _, family, _ in pictures} == set(FAMILIES)
    # Random weights are drawn for every set of sources, and their features taken of all that it looks at.
    extractions = [job for job in below.jobs if isinstance(job, Extraction)]
    assert len(extractions) == 2 * 3 * (3 + 2)
    made = {job.id: job for job in drawings}
    for job in extractions:
        drawn_before = {row for id_ in job.waits for row in made[id_].rows.tolist()}
        assert drawn_before.issuperset([] if job.rows is None else job.rows), "others look at them, too"


def test_shifted_images_that_one_job_looks_at_are_not_kept(board: BoardCard, tmp_path: Path) -> None:
    """Published weights are the same for all sources, so that one job takes features of a domain for all of them."""
    network = "efficientnet-lite0(size=32)"
    frozen = boards.rules(small_board("linear_probe", "linear_probe + irm", backbone=network), datasets=["lamps"])
    rules = frozen.model_copy(update={"hyperparameters": {"sampler.augmentation": "none"}})
    below = looked_at(rules, Store(tmp_path / "store"))
    assert len(below.jobs) == 3 * 2
    assert not any(job.waits for job in below.jobs if isinstance(job, Extraction))
    summary = boards.run(rules, store=tmp_path / "store", device="cpu", workers=1)
    assert (summary.failed, summary.runs) == ({}, 6)
    assert {content.kind for content in contents()} & {"views", "decoded"} == {"decoded"}


def test_by_default_every_dataset_of_domainbed_fits_but_one() -> None:
    """At 224 pixels: decoded, and a fifth of it under ten families of shifts."""
    board = boards.rules("domainbed-resnet50")
    images = {name: sum(d.count or d.about or 0 for d in dataset_card(name).domains) for name in board.dataset}
    needed = {name: count * 224**2 * 3 * (1 + len(FAMILIES) * 0.2) for name, count in images.items()}
    assert {name for name, size in needed.items() if size > MOST} == {"domainnet"}
    assert (len(needed), min(needed.values()) > 10**9) == (5, True)
