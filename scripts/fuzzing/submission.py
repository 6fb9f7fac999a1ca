"""What is done to a submission, and the verdict on it."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from pathlib import Path

import polars as pl

from dgbench.api.boards import rules
from dgbench.core.errors import DGBenchError
from dgbench.submissions.check import check
from dgbench.submissions.place import add
from fuzzing import mutate
from fuzzing.mutate import RAW


def announce(folder: Path, **said: int) -> None:
    """Let the envelope say what ``runs.parquet`` is now, as someone would who knows the format."""
    path = folder / "submission.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    table = (folder / "runs.parquet").read_bytes()
    content["runs"] |= {"sha256": hashlib.sha256(table).hexdigest(), "bytes": len(table)} | said
    path.write_text(json.dumps(content), encoding="utf-8")


def _follow(folder: Path, path: Path, rows: int | None = None) -> None:
    """Let ``runs.parquet`` say what a file of predictions is now."""
    table = pl.read_parquet(folder / "runs.parquet")
    here = pl.col("run") == path.stem
    content = path.read_bytes()
    said = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} | ({"rows": rows} if rows else {})
    news = [pl.when(here).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in said.items()]
    table.with_columns(news).cast(table.schema).write_parquet(folder / "runs.parquet")  # type: ignore[arg-type]


def bytes_of_a_table(folder: Path, random_: random.Random) -> None:
    """Bits, cuts and copies in a table, whose hash fits again; often in the account of pages at its end."""
    path = folder / "runs.parquet" if random_.random() < 0.5 else mutate.one(folder, random_, "predictions/*")
    path.write_bytes(mutate.garbled_ends(path.read_bytes(), random_) or b"x")
    if path.parent.name == "predictions":
        _follow(folder, path)
    announce(folder)


def a_field(folder: Path, random_: random.Random) -> None:
    """A hostile value in place of any field of the envelope, a field more or less, or what is no JSON at all."""
    path = folder / "submission.json"
    path.write_bytes(mutate.strange_json(path.read_bytes(), random_))


def a_cell(folder: Path, random_: random.Random) -> None:
    """A hostile value in a cell of the table of runs, or columns and rows that do not belong."""
    table = mutate.twisted(pl.read_parquet(folder / "runs.parquet"), random_)
    table.write_parquet(folder / "runs.parquet")
    announce(folder, **({"rows": table.height} if random_.random() < 0.9 else {}))


def a_result(folder: Path, random_: random.Random) -> None:
    """A hostile value in what a run says of itself."""
    table = pl.read_parquet(folder / "runs.parquet")
    texts = table["result"].to_list()
    row = random_.randrange(len(texts))
    if random_.random() < 0.2:
        texts[row] = random_.choice(RAW[:-3])
    else:
        text = json.dumps(mutate.poisoned(json.loads(texts[row]), random_))
        texts[row] = text.encode("utf-8", "replace").decode()
    table.with_columns(result=pl.Series(texts, dtype=pl.String)).write_parquet(folder / "runs.parquet")
    announce(folder)


def a_prediction(folder: Path, random_: random.Random) -> None:
    """A hostile value among predictions, whose hash and number of rows fit again."""
    path = mutate.one(folder, random_, "predictions/*")
    table = mutate.twisted(pl.read_parquet(path), random_)
    table.write_parquet(path)
    _follow(folder, path, max(table.height, 1))
    announce(folder)


MUTATIONS = (
    mutate.bytes_of_a_file, bytes_of_a_table, a_field, a_cell, a_result, a_prediction, mutate.no_file,
)  # fmt: skip


def verdict(case: Path) -> None:
    """Check the submission, and place it where it is good; raises AssertionError where that is not clean."""
    checked = check(case / "erm@1", rules(case / "toy" / "board.toml"))
    for found in checked.verdicts:
        for reason in found.reasons:
            assert reason.isprintable(), f"{found.code} says {reason!r:.200}"
            assert len(reason) <= 500, f"{found.code} says {reason!r:.200}"
            foreseen = "it cannot be looked at" not in reason and "it cannot be read (" not in reason
            assert foreseen, f"{found.code} did not foresee: {reason}"
    if not checked.good:
        raise DGBenchError("refused")
    into = case / "placed"
    place = add(case / "erm@1", checked, into)
    assert place.parent == into, f"placed as {place}"
    shutil.rmtree(into)
