"""Tables of strangers: small files that stand for much, and texts that are none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from dgbench.core.errors import DGBenchError, RecordError
from dgbench.core.results import RESULT, Result
from dgbench.submissions.files import read_json, read_table
from dgbench.submissions.runs import TABLE, from_table

SCHEMA = pl.Schema({"name": pl.String(), "count": pl.Int64(), "scores": pl.List(pl.Float16())})
GOOD = pl.DataFrame({"name": ["a", "фото"], "count": [1, 2], "scores": [[0.5], [0.25, 0.0]]}, schema=SCHEMA)


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    for table in (GOOD, GOOD.with_columns(pl.lit(None, pl.String).alias("name")), GOOD.clear()):
        table.write_parquet(path)
        assert read_table(path, SCHEMA, table.height).equals(table)


def arrow(**columns: pa.Array) -> pa.Table:
    good = {
        "name": pa.array(["a", "b"]),
        "count": pa.array([1, 2]),
        "scores": pa.array([[1], [2]], pa.list_(pa.float16())),
    }
    return pa.table(good | columns)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"a\xff")]
    )
    parquet.write_table(arrow(name=broken), tmp_path / "t.parquet")
    with pytest.raises(RecordError, match=r"is no Parquet file that can be read \(.*UTF"):
        read_table(tmp_path / "t.parquet", SCHEMA, 2)


def test_a_long_text_that_many_rows_point_at_is_seen_before_it_unfolds(tmp_path: Path) -> None:
    """A file of some kilobytes that would be four terabytes of text."""
    path, rows = tmp_path / "t.parquet", 2_000_000
    names = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * (2 << 20)]))
    table = pa.table({"name": names, "count": pa.array([0] * rows), "scores": pa.nulls(rows, pa.list_(pa.float16()))})
    parquet.write_table(table, path, compression="zstd", dictionary_pagesize_limit=8 << 20)
    assert path.stat().st_size < 200_000
    with pytest.raises(RecordError, match="bytes of text, which is too much"):
        read_table(path, SCHEMA, rows)


def test_a_table_of_other_rows_than_announced_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pl.concat([GOOD] * 10).write_parquet(path)
    with pytest.raises(RecordError, match=r"t\.parquet has 20 rows, not the 2 that were announced"):
        read_table(path, SCHEMA, 2)


def test_empty_lists_are_lists_and_large_files_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    lists = pa.ListArray.from_arrays(pa.array([0, 0, 0], pa.int32()), pa.nulls(0, pa.float16()))
    parquet.write_table(arrow(scores=lists), path)
    assert read_table(path, SCHEMA, 2)["scores"].to_list() == [[], []]
    with pytest.raises(RecordError, match="has more than 100 bytes"):
        read_table(path, SCHEMA, 2, largest=100)


def test_lists_that_unfold_to_too_much_are_refused_by_their_own_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgbench.submissions.files.MOST_VALUES", 1000)
    path = tmp_path / "t.parquet"
    lists = pa.array([[0.0] * 500, [0.0] * 600], pa.list_(pa.float16()))
    parquet.write_table(arrow(scores=lists), path)
    with pytest.raises(RecordError, match=r"unfolds to 1,10\d values and"):
        read_table(path, SCHEMA, 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "a": 2}', "a key stands there twice"),
        ('{"a": NaN}', "NaN is no number"),
        ("[" * 100_000, "is far too deep"),
        ("9" * 5000, "is no JSON"),
        ("", "is no JSON"),
    ],
)
def test_json_is_strict(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(RecordError, match=says) as caught:
        read_json(tmp_path / "a.json", 1 << 20)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "large", "bytes"])
def test_only_plain_files_of_a_bounded_size_are_opened(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    match kind:
        case "link":
            path.symlink_to("/dev/zero")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "large":
            path.write_bytes(b" " * 2000)
        case "bytes":
            path.write_bytes(b"\xff")
    with pytest.raises(RecordError, match=r"a\.json"):
        read_json(path, 1000)


def test_an_accuracy_below_0_is_refused_though_runs_of_values_may_note_one() -> None:
    measured = {"step": 1, "split": "target", "domain": "a", "view": "clean", "nll": None, "n": 9, "digest": "0" * 16}
    row = {
        "run": "0" * 16, "training": "1" * 16, "target": "a", "dataset": "d", "sources": '["b"]', "domain": "a",
        "trial": 0, "draw": 0, "hyperparameters": "{}", "families": "[]", "passes": 1.0, "without_effect": "",
        "train_seconds": 1.0, "run_seconds": 1.0, "device": "cpu", "sha256": "0" * 64, "bytes": 9, "rows": 9,
    }  # fmt: skip

    def rows(accuracy: float) -> pl.DataFrame:
        result = RESULT.dump(Result.measured([measured | {"accuracy": accuracy}]))
        return pl.DataFrame([{name: (row | {"result": json.dumps(result)})[name] for name in TABLE}], TABLE)

    assert from_table(rows(0.0))[0].result.metrics[0].accuracy == 0
    with pytest.raises(DGBenchError, match=r"row 0.*an accuracy is below 0"):
        from_table(rows(-0.1))
