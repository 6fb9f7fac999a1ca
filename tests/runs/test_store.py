import os
import re
import shutil
import time
from pathlib import Path

import called
import polars as pl
import pytest
from rival import does_a_board

from dgbench.api import boards
from dgbench.core.cards import CaseRules
from dgbench.core.errors import StoreError
from dgbench.core.files import read_json
from dgbench.core.processes import Pool
from dgbench.core.spec import identity
from dgbench.runs.store import BusyError, Store
from small import VIEWS, WHOLE, small_board

DRAWN = ("print", "dot-matrix", "seven-segment")
BOARD = small_board("erm", "t3a", "wise_ft", backbone="dgbench:convnet-small", split=WHOLE)
BOARD = BOARD.model_copy(update={"cases": {"digits": CaseRules(targets=DRAWN, sources=DRAWN)}})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the small board was run by two processes at once, this one and another."""
    root = tmp_path_factory.mktemp("finished") / "store"
    with Pool(1, called.nothing, "cpu") as pool:
        other = pool.submit(does_a_board, BOARD, root)
        while not list(root.glob("trainings/*/spec.json")) and not other.done():
            time.sleep(0.01)
        did = [does_a_board(BOARD, root), other.result()]
    made = boards.plan(BOARD)
    assert sum(one.trainings for one in did) == len(made.trainings)
    assert sum(one.runs for one in did) == len(made.runs)
    assert not any(one.failed for one in did)
    return root


def test_two_processes_share_the_work_and_corrupt_nothing(finished: Path) -> None:
    made = boards.plan(BOARD)
    store = Store(finished)
    for run in made.runs.values():
        assert store.read("run", run.id, "spec.json") == run.spec()
        table = pl.read_parquet(store.folder("run", run.id) / "predictions.parquet")
        assert table.select(pl.struct("step", "split", "domain", "view", "index").is_duplicated().any()).item() is False
    for training in made.trainings.values():
        assert store.read("training", training.id, "spec.json") == training.spec()


def test_nothing_is_done_twice_even_when_everything_moves(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "elsewhere" / "store"
    shutil.copytree(finished, moved)
    digits = "datasets/digits-v1"  # what else lies in the session's cache, others change meanwhile
    shutil.copytree(Path(os.environ["DGBENCH_CACHE"]) / digits, tmp_path / "cache" / digits)
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    summary = boards.run(BOARD, store=moved, device="cpu")
    assert (summary.trainings, summary.runs) == (0, 0)
    assert boards.leaderboard(BOARD, store=moved).tracks


def test_a_spec_holds_no_path_no_device_and_no_worker_count(finished: Path) -> None:
    for path in finished.glob("*/*/spec.json"):
        text = path.read_text()
        assert str(finished) not in text
        assert os.environ["DGBENCH_CACHE"] not in text
        assert not re.search(r"device|worker|cuda|/home|/tmp", text)


def test_stored_metrics_are_those_of_the_stored_predictions(finished: Path) -> None:
    for path in finished.glob("runs/*/result.json"):
        table = pl.read_parquet(path.with_name("predictions.parquet"))
        for row in read_json(path)["metrics"]:
            same = table.filter(
                *(pl.col(key) == row[key] for key in ("step", "split", "domain", "view")),
            )
            assert same.height == row["n"]
            assert (same["prediction"] == same["label"]).mean() == pytest.approx(row["accuracy"])


def test_whole_targets_are_tested_and_only_validation_rows_of_sources(finished: Path) -> None:
    from dgbench.data.catalogue import load
    from dgbench.data.splits import split, viewed

    data = load("digits")
    for run in boards.plan(BOARD).runs.values():
        table = pl.read_parquet(Store(finished).folder("run", run.id) / "predictions.parquet")
        target = table.filter(pl.col("split") == "target", pl.col("step") == pl.col("step").max())
        assert target["index"].sort().to_list() == list(range(len(data.domain(run.target))))
        held = table.filter(pl.col("split") == "validation")
        assert run.target not in held["domain"]
        for (domain, view), rows in held.filter(pl.col("step") == pl.col("step").max()).group_by("domain", "view"):
            expected = split(data, str(domain), 0, 0.1).validation
            if view != "clean":
                expected = viewed(data, str(domain), 0, expected, VIEWS)
                assert len(expected) == VIEWS
            assert sorted(rows["index"]) == expected.tolist(), (domain, view)


def test_a_piece_of_work_has_one_owner(tmp_path: Path) -> None:
    spec = {"schema": "dgbench.run/1"}
    with Store(tmp_path).claim("run", spec) as folder:
        assert folder is not None
        with pytest.raises(BusyError), Store(tmp_path).claim("run", spec):
            pass


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 10_000, b'{"schema": "dgbench.run/2"}', None])
def test_a_piece_that_was_begun_says_what_it_is_whatever_became_of_that(content: bytes | None, tmp_path: Path) -> None:
    spec = {"schema": "dgbench.run/1"}
    path = Store(tmp_path).folder("run", identity(spec)) / "spec.json"
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    with Store(tmp_path).claim("run", spec):
        assert read_json(path) == spec


def test_what_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="dgbench run"):
        boards.leaderboard(BOARD, store=tmp_path)
    with pytest.raises(StoreError, match="not finished"):
        Store(tmp_path).read("run", "0" * 16, "result.json")
