"""Does whatever stands in a submission end in a clean verdict? Mutates one, thousands of times, and checks each.

    python scripts/fuzz_submissions.py sam@1 --board board.toml --cases 20000

Mutations are those of someone who does not know the format (bits, cuts, other files), and of someone who does: hostile
values in any field or cell, columns of other types, pages that do not fit their account, with hashes that fit again;
links, pipes and folders where files belong. After each case the verdict must be clean (no exception, no text that acts,
no error that no check foresaw), nothing else on the disk may have changed, and what stands must be what is placed.
Prints a table by kind of mutation, and exits with 1 if anything is wrong. A small submission makes it quick.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from dgbench.api.boards import rules
from dgbench.core.cards import BoardCard
from dgbench.core.errors import DGBenchError
from dgbench.submissions.check import check
from dgbench.submissions.place import add

TOO_LONG = 30
"""Seconds after which a check hangs."""
# What stands where something else belongs, and texts in place of JSON.
HOSTILE: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, 5e-324, float("nan"), float("inf"),
    "", " ", "a", "../../evil", "/etc/passwd", "C:\\evil", "x" * 100_000, "\x00", "\x1b[31m", "\u202e", "\ud800",
    "{{7*7}}", "<script>", "=1+1", "'; drop table runs; --", "NaN", "1e999", "фото", [], {}, [[]], [None], {"": None},
    {"schema": "dgbench.submission/1"}, ["x"] * 1000,
]  # fmt: skip
RAW = (
    "", "null", "[]", "1", '"text"', "{", "[" * 100_000, '{"a":' * 50_000, '{"a": 1, "a": 2}', "NaN", "1e999",
    "\ufeff{}", "9" * 5000, '{"schema": "dgbench.submission/99"}', '{"schema": "dgbench.submission/1"}',
)  # fmt: skip

Mutation = Callable[[Path, random.Random], None]


def announce(folder: Path, **said: int) -> None:
    """Let the envelope say what ``runs.parquet`` is now, as someone would who knows the format."""
    path = folder / "submission.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    table = (folder / "runs.parquet").read_bytes()
    content["runs"] |= {"sha256": hashlib.sha256(table).hexdigest(), "bytes": len(table)} | said
    path.write_text(json.dumps(content), encoding="utf-8")


def _one(folder: Path, random_: random.Random, pattern: str = "**/*.*") -> Path:
    return random_.choice(sorted(path for path in folder.glob(pattern) if path.is_file()))


def _garbled(content: bytes, random_: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random_.choice((1, 1, 2, 8))):
        at = random_.randrange(len(changed) + 1)
        match random_.randrange(5):
            case 0:
                del changed[at:]
            case 1:
                changed[at:at] = random_.randbytes(random_.choice((1, 4, 64)))
            case 2:
                del changed[at : at + random_.choice((1, 4, 64))]
            case 3 if at < len(changed):
                changed[at] = random_.choice((0, 0x7F, 0x80, 0xFF, changed[at] ^ (1 << random_.randrange(8))))
            case _:
                other = random_.randrange(len(changed) + 1)
                changed[at : at + 16] = changed[other : other + 16]
    return bytes(changed)


def bytes_of_a_file(folder: Path, random_: random.Random) -> None:
    """Bits, cuts and copies in any file."""
    path = _one(folder, random_)
    path.write_bytes(_garbled(path.read_bytes(), random_))


def bytes_of_a_table(folder: Path, random_: random.Random) -> None:
    """The same in a table, whose hash fits again; often in the account of pages at its end."""
    path = folder / "runs.parquet" if random_.random() < 0.5 else _one(folder, random_, "predictions/*")
    content = path.read_bytes()
    tail = len(content) - random_.choice((0, 400, 2000))
    head, rest = content[: max(tail, 0)], content[max(tail, 0) :]
    changed = head + _garbled(rest, random_) if rest else _garbled(head, random_)
    if random_.random() < 0.7 and len(changed) > 12:
        changed = changed[:-8] + content[-8:]  # still ends as a Parquet file does
    path.write_bytes(changed or b"x")
    if path.parent.name == "predictions":
        _follow(folder, path)
    announce(folder)


def _follow(folder: Path, path: Path, rows: int | None = None) -> None:
    """Let ``runs.parquet`` say what a file of predictions is now."""
    table = pl.read_parquet(folder / "runs.parquet")
    here = pl.col("run") == path.stem
    content = path.read_bytes()
    said = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} | ({"rows": rows} if rows else {})
    news = [pl.when(here).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in said.items()]
    table.with_columns(news).cast(table.schema).write_parquet(folder / "runs.parquet")  # type: ignore[arg-type]


def a_field(folder: Path, random_: random.Random) -> None:
    """A hostile value in place of any field of the envelope, a field more or less, or what is no JSON at all."""
    path = folder / "submission.json"
    if random_.random() < 0.3:
        path.write_bytes(random_.choice(RAW).encode("utf-8", "surrogatepass"))
        return
    content = json.loads(path.read_text(encoding="utf-8"))
    _poison(content, random_)
    path.write_text(json.dumps(content), encoding="utf-8", errors="surrogatepass")


def _poison(content: Any, random_: random.Random) -> None:
    inner, depth = content, random_.randrange(1, 5)
    while True:
        key = random_.choice(list(inner) if isinstance(inner, dict) else list(range(len(inner))))
        depth -= 1
        if depth <= 0 or not (isinstance(inner[key], dict | list) and inner[key]):
            break
        inner = inner[key]
    match random_.randrange(6):
        case 0:
            del inner[key]
        case 1 if isinstance(inner, dict):
            inner[random_.choice(("colour", "__proto__", "", "\x1b", "x" * 10_000))] = random_.choice(HOSTILE)
        case 2 if isinstance(inner, list):
            inner[key:key] = inner * random_.choice((1, 2, 50))
        case _:
            inner[key] = random_.choice(HOSTILE)


def a_cell(folder: Path, random_: random.Random) -> None:
    """A hostile value in a cell of the table of runs, or columns and rows that do not belong."""
    table = _twisted(pl.read_parquet(folder / "runs.parquet"), random_)
    table.write_parquet(folder / "runs.parquet")
    announce(folder, **({"rows": table.height} if random_.random() < 0.9 else {}))


def _twisted(table: pl.DataFrame, random_: random.Random) -> pl.DataFrame:
    name = random_.choice(table.columns)
    match random_.randrange(8):
        case 0:
            return table.drop(name)
        case 1:
            return table.rename({name: random_.choice(("evil", "../evil", "\x1b[31m"))})
        case 2:
            kind = random_.choice((pl.String, pl.Float64, pl.Int8, pl.Binary, pl.Boolean, pl.Null))
            return table.with_columns(pl.lit(None, kind).alias(name))
        case 3:
            return pl.concat([table, table[random_.randrange(table.height) :]])
        case 4:
            return table[: random_.randrange(table.height)]
        case 5:
            return table.select(random_.sample(table.columns, len(table.columns)))
        case _:
            return _with_value(table, name, random_)


def _with_value(table: pl.DataFrame, name: str, random_: random.Random) -> pl.DataFrame:
    """One cell, or all of a column, with another value that its type takes."""
    value = random_.choice([*HOSTILE, *table[name].head(50).to_list()])
    row = random_.randrange(table.height)
    where = pl.lit(True) if random_.random() < 0.3 else pl.int_range(pl.len()) == row
    try:
        changed = pl.Series(name, [value], table.schema[name], strict=False)
        return table.with_columns(pl.when(where).then(pl.lit(changed)).otherwise(pl.col(name)).alias(name))
    except (pl.exceptions.PolarsError, TypeError, OverflowError, UnicodeError):
        return table.with_columns(pl.lit(None, table.schema[name]).alias(name))


def a_result(folder: Path, random_: random.Random) -> None:
    """A hostile value in what a run says of itself."""
    table = pl.read_parquet(folder / "runs.parquet")
    texts = table["result"].to_list()
    row = random_.randrange(len(texts))
    if random_.random() < 0.2:
        texts[row] = random_.choice(RAW)
    else:
        content = json.loads(texts[row])
        _poison(content, random_)
        texts[row] = json.dumps(content).encode("utf-8", "replace").decode()
    table.with_columns(result=pl.Series(texts, dtype=pl.String)).write_parquet(folder / "runs.parquet")
    announce(folder)


def a_prediction(folder: Path, random_: random.Random) -> None:
    """A hostile value among predictions, whose hash and number of rows fit again."""
    path = _one(folder, random_, "predictions/*")
    table = _twisted(pl.read_parquet(path), random_)
    table.write_parquet(path)
    _follow(folder, path, max(table.height, 1))
    announce(folder)


def a_file(folder: Path, random_: random.Random) -> None:
    """Links, pipes, folders and strangers where files belong."""
    path = _one(folder, random_)
    name = random_.choice(("x.pkl", "\x1b[31m", "predictions/../x", "predictions/" + "0" * 16 + ".parquet", "фото"))
    kind = random_.randrange(8)
    if kind < 4:
        path.unlink()
    match kind:
        case 1:
            path.symlink_to(random_.choice(("/etc/passwd", "/dev/zero", "nowhere", str(folder))))
        case 2:
            os.mkfifo(path)
        case 3:
            path.mkdir()
        case 4:
            (folder / name).write_bytes(random_.randbytes(16))
        case 5:
            (folder / "deep" / "deeper").mkdir(parents=True)
        case 6:
            shutil.rmtree(folder / "predictions")
            if random_.random() < 0.5:
                (folder / "predictions").symlink_to("/tmp")
        case 7:
            path.write_bytes(b"")


MUTATIONS: tuple[Mutation, ...] = (
    bytes_of_a_file, bytes_of_a_table, a_field, a_cell, a_result, a_prediction, a_file,
)  # fmt: skip


@dataclass
class Count:
    """What came of the mutations of one kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)


def fuzz(submission: Path, board: BoardCard, cases: int, seed: int, room: Path) -> dict[str, Count]:
    """Check mutated copies of a submission.

    Args:
        submission: A good one.
        board: What it is held against.
        cases: How many copies.
        seed: Of the mutations.
        room: An empty folder to work in.
    """
    counts = {mutation.__name__: Count() for mutation in MUTATIONS}
    signal.signal(signal.SIGALRM, _ring)
    for number in range(cases):
        mutation = MUTATIONS[number % len(MUTATIONS)]
        random_ = random.Random(f"{seed}-{number}")
        count = counts[mutation.__name__]
        folder = room / "case" / submission.name
        shutil.copytree(submission, folder)
        try:
            mutation(folder, random_)
        except (pl.exceptions.PolarsError, ValueError, OSError):
            count.outcomes["could not be mutated so"] += 1
            shutil.rmtree(room / "case")
            continue
        before, started = _state(room), time.perf_counter()
        try:
            signal.alarm(TOO_LONG)
            outcome, wrong = _verdict(folder, board, room / "placed")
        except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 (a traceback is looked for)
            outcome, wrong = "exception", f"{type(error).__name__}: {error}"
        signal.alarm(0)
        count.slowest = max(count.slowest, time.perf_counter() - started)
        count.outcomes[outcome] += 1
        if _state(room) != before:
            wrong = wrong or "something was written"
        if wrong:
            count.wrong.append(f"case {number} (seed {seed}): {wrong}")
        shutil.rmtree(room / "case")
    return counts


def _ring(*_: object) -> None:
    raise TimeoutError(f"a check took more than {TOO_LONG} s")


def _verdict(folder: Path, board: BoardCard, into: Path) -> tuple[str, str]:
    """What the check says, and what is wrong with how it says it."""
    checked = check(folder, board)
    for verdict in checked.verdicts:
        for reason in verdict.reasons:
            if not reason.isprintable() or len(reason) > 500:
                return "unclean", f"{verdict.code} says {reason!r:.200}"
            if "it cannot be looked at" in reason or "it cannot be read (" in reason:
                return "not foreseen", f"{verdict.code}: {reason}"
    if not checked.good:
        return "refused", ""
    try:
        place = add(folder, checked, into)
    except DGBenchError as error:
        return "exception", f"good, and not to be placed: {error}"
    shutil.rmtree(into)
    return "good", "" if place.parent == into else f"placed as {place}"


def _state(room: Path) -> dict[Path, tuple[int, int]]:
    files = (path for path in room.rglob("*") if not path.is_dir())
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in files}


def report(counts: dict[str, Count]) -> int:
    """Print what came of it; 1 if anything is wrong."""
    print("| mutation | cases | refused | good | slowest | wrong |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, count in counts.items():
        kinds = count.outcomes
        cells = (f"{kinds.total():,}", f"{kinds['refused']:,}", f"{kinds['good']:,}", f"{count.slowest:.2f} s")
        print(f"| {name.replace('_', ' ')} | {' | '.join(cells)} | {len(count.wrong)} |")
    wrong = [line for count in counts.values() for line in count.wrong]
    print(
        f"\n{sum(count.outcomes.total() for count in counts.values()):,} cases, {len(wrong)} of them wrong",
        *wrong[:20],
        sep="\n",
    )
    return int(bool(wrong))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submission", type=Path)
    parser.add_argument("--board", required=True, help="name, or board.toml")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        counts = fuzz(given.submission, rules(given.board), given.cases, given.seed, Path(room))
    sys.exit(report(counts))


if __name__ == "__main__":
    main()
