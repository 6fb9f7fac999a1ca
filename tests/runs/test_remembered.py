"""What boards note of finished work: never more than the store says, and read again wherever it changed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import dgbench
from dgbench.api import measuring
from dgbench.board.render import files
from dgbench.core.cards import CaseRules
from dgbench.core.disk import DiskError
from dgbench.core.familiar import FamiliarCard
from dgbench.core.files import write_json
from dgbench.core.locks import alone
from dgbench.core.results import RESULT, Result
from dgbench.core.seals import DONE, read_sealed, seal, write_sealed
from dgbench.runs import finished, measured, predictions, remembered, said
from dgbench.runs.collect import collect
from dgbench.runs.planning import make_plan
from dgbench.runs.predictions import TABLE
from dgbench.runs.remembered import place
from dgbench.runs.store import Store
from dgbench.runs.verify import verify
from dgbench.selection import measures
from dgbench.selection.familiar import Familiar, familiar
from dgbench.selection.indicators import indicators
from dgbench.selection.predictions import summarise
from dgbench.selection.records import CANDIDATE, INDICATED
from drawn_stores import drawing
from small import small_board

RULES = small_board("erm", "t3a").model_copy(update={"cases": {"digits": CaseRules(targets=("print", "dot-matrix"))}})
NOTE = {"seconds": 5.0, "device": "cpu", "torch": "none", "dgbench": "drawn", "environment": {}}

drawn, store = drawing(RULES, examples=60)


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """More pieces are read than become columns together."""
    monkeypatch.setattr(finished, "_AT_ONCE", 3)


def tables(store: Store) -> dict[str, str]:
    """All that a board's files say in numbers."""
    board = dgbench.leaderboard(RULES, store=store.root)
    others = measuring.rankings(RULES, board, store=store.root)
    found = {name: board.to_polars(name) for name in ("ranks", "pairs", "criteria")}
    found |= {name: ranking.to_polars() for name, ranking in others.known.items()}
    return {"cells": files.cells(board).write_csv()} | {name: table.write_csv() for name, table in found.items()}


def read_of(store: Store) -> dict[str, str]:
    """All that a board's numbers follow from: what is noted of its runs."""
    records = collect(RULES, store)
    cells = records.metrics.filter(split="target").join(records.runs.select("run", "dataset"), on="run")
    found = {"metrics": records.metrics, "runs": records.runs, "indicators": records.indicators().sort(CANDIDATE)}
    found["measured"] = measured.measured(RULES, store, cells, Familiar()).sort(CANDIDATE)
    return {name: table.write_json() for name, table in found.items()}


def unnoted(store: Store) -> Store:
    """The same one, as nobody has looked at it."""
    bare = shutil.copytree(store.root, store.root.parent / "bare", dirs_exist_ok=True)
    for folder in bare.glob("boards/*/*/known"):
        shutil.rmtree(folder)
    return Store(bare)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files of runs that are read: all of it goes by ``checked``."""
    names: list[str] = []
    for module in (said, predictions):
        original = module.checked

        def counted(folder: Path, file: str, files: object, original: Callable[..., Path] = original) -> Path:
            names.append(file)
            return original(folder, file, files)

        monkeypatch.setattr(module, "checked", counted)
    return names


def test_what_is_noted_is_what_results_and_predictions_say(store: Store) -> None:
    """Against every result as it lies there, and every file of predictions by itself."""
    for _ in range(2):
        records = collect(RULES, store)
        expected = {
            (entry["algorithm"], entry["target"], row["step"], row["split"], row["domain"], row["view"]): row
            for entry in store.read_index(RULES)["entries"]
            for row in json.loads((store.folder("run", entry["run"]) / "result.json").read_text())["metrics"]
        }
        key = ("algorithm", "target", "step", "split", "domain", "view")
        found = {tuple(row[name] for name in key): row for row in records.metrics.iter_rows(named=True)}
        assert found.keys() == expected.keys()
        assert all(found[at][name] == row[name] for at, row in expected.items() for name in ("accuracy", "nll", "n"))

        noted = records.indicators()
        assert noted.height == records.metrics.select(CANDIDATE).n_unique()
        for (algorithm, target, run), own in records.runs.group_by("algorithm", "target", "run"):
            table = pl.read_parquet(store.folder("run", str(run)) / TABLE).filter(view="clean")
            found = indicators(table.with_columns(cell=pl.lit(0), draw=pl.lit(own["draw"].item())))
            mine = noted.filter(algorithm=algorithm, target=target).sort("step")
            assert_frame_equal(found.select(INDICATED), mine.select(INDICATED))

        cells = records.metrics.filter(split="target").join(records.runs.select("run", "dataset"), on="run")
        known = familiar([FamiliarCard(dataset="digits", backbone="b", why="w", domains=("print",))])
        apart = measures.measured(cells, measuring.on_target(RULES, {}, store=store.root), known)
        together = measured.measured(RULES, store, cells, known)
        assert_frame_equal(together.sort(CANDIDATE), apart.sort(CANDIDATE), check_exact=True)
        assert together["familiar"].is_not_nan().any()


def test_a_second_look_opens_no_file_of_a_run(store: Store, read: list[str]) -> None:
    first = tables(store)
    runs = len(make_plan(RULES).runs)
    assert sorted(read) == [TABLE] * 2 * runs + ["result.json"] * runs  # for other measures, and for criteria
    read.clear()
    assert tables(store) == first
    assert read == []
    dgbench.leaderboard(RULES, store=store.root, criterion="source")  # other checkpoints of the same runs
    dgbench.select(RULES, store=store.root)
    assert read == []


def _delete(folder: Path) -> None:
    shutil.rmtree(folder)


def _truncate(folder: Path) -> None:
    for path in folder.rglob("*.parquet"):
        os.truncate(path, path.stat().st_size // 2)


def _flip(folder: Path) -> None:
    for path in folder.rglob("*.parquet"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def _unseal(folder: Path) -> None:
    for path in folder.rglob(DONE):
        path.write_text("{")


def _older(folder: Path) -> None:
    for path in folder.rglob(DONE):
        write_sealed(path, read_sealed(path) | {"version": "dgbench.finished/0"})


def _other_columns(folder: Path) -> None:
    for path in folder.rglob(DONE):
        for table in path.parent.glob("*.parquet"):
            pl.read_parquet(table).with_columns(more=1).write_parquet(table)
        seal(path.parent, {"version": read_sealed(path)["version"]})


@pytest.mark.parametrize("spoil", [_delete, _truncate, _flip, _unseal, _older, _other_columns])
def test_notes_that_are_gone_damaged_or_of_another_version_are_made_again(
    store: Store, read: list[str], spoil: Callable[[Path], None]
) -> None:
    first = read_of(store)
    spoil(place(store, RULES, "finished").parent)
    read.clear()
    assert read_of(store) == first
    assert set(read) == {TABLE, "result.json"}
    read.clear()
    assert read_of(store) == first
    assert read == []


def test_a_store_that_was_moved_by_copying_is_read_again(store: Store, read: list[str]) -> None:
    first = read_of(store)
    read.clear()
    assert read_of(Store(shutil.copytree(store.root, store.root.parent / "elsewhere"))) == first
    assert set(read) == {TABLE, "result.json"}


def _do_again(store: Store, run: str) -> None:
    """Other predictions of a run, as if it was done again."""
    folder = store.folder("run", run)
    table = pl.read_parquet(folder / TABLE).with_columns(prediction=(pl.col("label") + 1) % 10)
    (folder / DONE).unlink()
    table.write_parquet(folder / TABLE)
    write_json(folder / "result.json", RESULT.dump(Result.measured(summarise(table).to_dicts())))
    seal(folder, NOTE)


def test_a_run_that_was_done_again_is_read_again_and_no_other(store: Store, read: list[str]) -> None:
    first = read_of(store)
    run = next(iter(make_plan(RULES).runs))
    _do_again(store, run)
    read.clear()
    now = read_of(store)
    assert read == ["result.json", TABLE, TABLE]
    assert now == read_of(unnoted(store))
    assert all(now[name] != first[name] for name in ("metrics", "indicators", "measured"))


def test_runs_that_another_process_finishes_are_added(store: Store, read: list[str], tmp_path: Path) -> None:
    runs = list(make_plan(RULES).runs)
    for run in runs[::2]:
        store.folder("run", run).rename(tmp_path / run)
    before = read_of(store)
    for run in runs[::2]:
        (tmp_path / run).rename(store.folder("run", run))
    read.clear()
    after = read_of(store)
    assert sorted(read) == [TABLE] * 2 * len(runs[::2]) + ["result.json"] * len(runs[::2])
    assert after == read_of(unnoted(store)) != before


@pytest.mark.parametrize("file", [TABLE, "result.json"])
def test_a_file_that_was_changed_behind_its_time_and_size_is_read_again(
    store: Store, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    read_of(store)
    run = next(iter(make_plan(RULES).runs))
    path = store.folder("run", run) / file
    was, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert read_of(store) == read_of(unnoted(store))
    assert f"{path} is damaged" in caplog.text
    assert collect(RULES, store).missing == (file == "result.json")


def test_a_specification_that_changed_is_found_by_who_reads_it_and_by_no_look(store: Store, read: list[str]) -> None:
    looked = read_of(store)
    read.clear()
    first, second = store.pieces("run")[:2]
    for run in (first, second):
        path = store.folder("run", run) / "spec.json"
        path.write_text(path.read_text().replace('"', "'"))
    assert read_of(store) == looked
    assert read == []
    assert not store.intact("run", first), "as `dgbench run` asks"
    (damage,) = (one for seen in verify(store) for one in seen.damaged)
    assert damage.what.startswith(f"{path} is damaged")


def test_other_lists_of_what_pretraining_knows_are_asked_anew(store: Store) -> None:
    records = collect(RULES, store)
    cells = records.metrics.filter(split="target").join(records.runs.select("run", "dataset"), on="run")
    card = FamiliarCard(dataset="digits", backbone="b", why="w", domains=("print",))
    lists = [Familiar(), familiar([card]), familiar([card.model_copy(update={"domains": ("handwritten",)})])]
    assert len({known.identity for known in lists}) == 3
    for known in [*lists, *lists]:
        apart = measures.measured(cells, measuring.on_target(RULES, {}, store=store.root), known)
        together = measured.measured(RULES, store, cells, known)
        assert_frame_equal(together.sort(CANDIDATE), apart.sort(CANDIDATE), check_exact=True)


def test_where_nothing_can_be_noted_the_board_is_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = tables(unnoted(store))

    def full(path: Path) -> None:
        raise DiskError("the disk is full")

    monkeypatch.setattr(remembered, "whole_folder", full)
    assert tables(store) == expected
    assert not list(store.root.glob("boards/*/*/known"))


def test_what_another_process_notes_while_it_is_read_is_read_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables that belong together are those of before or those of after, and never some of each."""
    folder, schemas = place(store, RULES, "known-of-a-test"), {name: pl.Schema({"n": pl.Int64()}) for name in "abc"}

    def note(number: int) -> None:
        remembered.noted(store, folder, "1", {name: pl.DataFrame({"n": [number]}) for name in schemas})

    original = remembered.checked
    for moment in range(len(schemas)):
        note(1)
        looks = iter(range(100))

        def replaced(*given: Any, at: int = moment, looks: Iterator[int] = looks) -> Path:
            found = original(*given)
            if next(looks) == at:
                note(2)
            return found

        monkeypatch.setattr(remembered, "checked", replaced)
        found = remembered.recalled(folder, "1", schemas)
        monkeypatch.setattr(remembered, "checked", original)
        assert {table["n"].item() for table in found.values()} in ({1}, {2})


def test_while_another_process_notes_nothing_is_written(store: Store) -> None:
    folder = place(store, RULES, "finished")
    lock = store.root / "locks" / f"{'-'.join(folder.relative_to(store.root).parts)}.lock"
    with alone(lock) as mine:
        assert mine
        collect(RULES, store)
    assert not folder.exists()
    collect(RULES, store)
    assert (folder / DONE).is_file()


def test_a_site_takes_from_notes_what_was_computed_from_predictions(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = measuring.rankings(RULES, dgbench.leaderboard(RULES, store=store.root), store=store.root).known
    for module in (measured, measures):
        monkeypatch.setattr(module, "measure", lambda *_: pytest.fail("it was noted"))
    dgbench.build_site(tmp_path / "site", [RULES], store=store.root)
    shown = [path.read_text() for path in (tmp_path / "site").rglob("measures.csv")]
    assert len(shown) > 1
    assert files.comma_separated(pl.concat(ranking.to_polars() for ranking in known.values())) in shown


def test_the_calibration_error_comes_to_the_same_bits_each_time() -> None:
    random = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "step": random.integers(0, 50, 5000), "label": 0, "prediction": random.integers(0, 2, 5000),
            "confidence": random.random(5000), "group": 0, "familiar": pl.Series([None] * 5000, dtype=pl.Int8),
        }
    )  # fmt: skip
    found = [measures.measure(rows, ["step"]).sort("step")["ece"].to_list() for _ in range(10)]
    assert found == found[:1] * 10


def test_the_mean_over_classes_comes_to_the_same_bits_in_any_order() -> None:
    random = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "step": 1, "label": random.integers(0, 97, 5000), "prediction": random.integers(0, 97, 5000),
            "confidence": 0.5, "group": 0, "familiar": pl.Series([None] * 5000, dtype=pl.Int8),
        }
    )  # fmt: skip
    found = {measures.measure(rows.sample(fraction=1, shuffle=True, seed=k), ["step"])["macro"][0] for k in range(20)}
    assert len(found) == 1
