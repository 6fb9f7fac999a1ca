"""What is done to files: bits and cuts by someone who knows nothing, values by someone who knows the format."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from fuzzing.watch import CANARY

Mutation = Callable[[Path, random.Random], None]

HOSTILE: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, 5e-324, float("nan"), float("inf"),
    "", " ", "a", "../../outside/secret", "../../../outside/secret", "../../../../outside/secret", "/etc/passwd",
    "../../../outside/folder", "/dev/zero", "/dev/stdin", "C:\\evil", "x" * 100_000, "\x00", "a\x00b", "\x1b[31m",
    "\u202e", "\ud800", "{{7*7}}", "<script>alert(1)</script>", "=1+1", "'; drop table runs; --", "NaN", "1e999",
    "фото", "%s%n", "~root/x", f"{CANARY}:fire", f"{CANARY}.fire", f"domainbed:{CANARY}:fire", f"$(touch {CANARY})",
    f"__import__('{CANARY}')", "hf-hub:evil/net", "hf://datasets/evil/data", "os:system", [], {}, [[]], [None],
    {"": None}, ["x"] * 1000, [1, "a"], {"a": {"b": {"c": {}}}},
]  # fmt: skip
RAW = (
    "", "null", "[]", "1", '"text"', "{", "[" * 100_000, '{"a":' * 50_000, '{"a": 1, "a": 2}', "NaN", "1e999",
    "\ufeff{}", "9" * 5000, "{}", '{"sha256": null}', '{"files": {}, "sha256": "0"}', "\x00", "\ud800", "[[[]]]",
)  # fmt: skip
LINKS = ("/etc/passwd", "/dev/zero", "/dev/full", "nowhere", "../../../outside/secret", "../../../../outside/secret")
LINKS += ("../../outside/new", "../../../outside/new", ".", "..", "../../outside/folder", "../../../outside/folder")
NAMES = ("x.pkl", "\x1b[31m", "фото", "a\nb", "-rf", "..x", " ", "x" * 200, "$(touch x)", os.fsdecode(b"\xff\xfe"))


def files(folder: Path, pattern: str = "**/*") -> list[Path]:
    """Every plain file below a folder, in order."""
    return sorted(path for path in folder.glob(pattern) if path.is_file() and not path.is_symlink())


def one(folder: Path, random_: random.Random, pattern: str = "**/*") -> Path:
    """One of them."""
    return random_.choice(files(folder, pattern))


def garbled(content: bytes, random_: random.Random) -> bytes:
    """With a few bits, cuts and copies."""
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


def garbled_ends(content: bytes, random_: random.Random) -> bytes:
    """The same near one end, where formats keep their account of themselves; it still begins and ends as it did."""
    if random_.random() < 0.3:
        return garbled(content, random_)
    at = max(len(content) - random_.choice((400, 2000)), 0)
    if random_.random() < 0.3:
        return garbled(content[:200], random_) + content[200:]
    changed = content[:at] + garbled(content[at:], random_)
    return changed[:-8] + content[-8:] if random_.random() < 0.7 and len(changed) > 12 else changed


def poisoned(content: Any, random_: random.Random, values: Sequence[Any] = HOSTILE) -> Any:
    """A hostile value in place of any field of some JSON, a field more or less, or another thing altogether."""
    if not isinstance(content, dict | list) or not content or random_.random() < 0.03:
        return random_.choice(values)
    inner, depth = content, random_.randrange(1, 7)
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
            inner[random_.choice(("colour", "__proto__", "", "\x1b", "x" * 10_000, "../../x"))] = random_.choice(values)
        case 2 if isinstance(inner, list):
            inner[key:key] = inner * random_.choice((1, 2, 50))
        case 3 if isinstance(inner, dict):
            name = random_.choice([each for each in values if isinstance(each, str)])
            inner[name] = inner.pop(key)
        case _:
            inner[key] = random_.choice(values)
    return content


def strange_json(content: bytes, random_: random.Random) -> bytes:
    """Some JSON with a hostile value in it, or what is none."""
    if random_.random() < 0.15:
        return random_.choice(RAW).encode("utf-8", "surrogatepass")
    text = json.dumps(poisoned(json.loads(content), random_))
    return text.encode("utf-8", "surrogatepass")


def strange_table(content: bytes, random_: random.Random) -> bytes:
    """A Parquet file that says something else."""
    written = io.BytesIO()
    twisted(pl.read_parquet(io.BytesIO(content)), random_).write_parquet(written)
    return written.getvalue()


def twisted(table: pl.DataFrame, random_: random.Random) -> pl.DataFrame:
    """A table with columns and rows more or less, of other types, or with hostile values in cells."""
    name = random_.choice(table.columns)
    match random_.randrange(9):
        case 0:
            return table.drop(name)
        case 1:
            return table.rename({name: random_.choice(("evil", "../evil", "\x1b[31m"))})
        case 2:
            kinds = (pl.String, pl.Float64, pl.Int8, pl.Binary, pl.Boolean, pl.Null, pl.List(pl.Int8), pl.Datetime)
            return table.with_columns(pl.lit(None, random_.choice(kinds)).alias(name))
        case 3:
            return pl.concat([table, table[random_.randrange(table.height) :]])
        case 4:
            return table[: random_.randrange(table.height)]
        case 5:
            return table.select(random_.sample(table.columns, len(table.columns)))
        case 6:
            return table.with_columns(pl.struct(pl.col(name).alias("a")).alias(name))
        case _:
            return _with_value(table, name, random_)


def _with_value(table: pl.DataFrame, name: str, random_: random.Random) -> pl.DataFrame:
    """One cell, or all of a column, with another value that its type takes."""
    value = random_.choice([*HOSTILE, *table[name].head(50).to_list()])
    where = pl.lit(True) if random_.random() < 0.3 else pl.int_range(pl.len()) == random_.randrange(table.height)
    try:
        changed = pl.Series(name, [value], table.schema[name], strict=False)
        return table.with_columns(pl.when(where).then(pl.lit(changed)).otherwise(pl.col(name)).alias(name))
    except (pl.exceptions.PolarsError, TypeError, OverflowError, UnicodeError):
        return table.with_columns(pl.lit(None, table.schema[name]).alias(name))


def changed_file(path: Path, random_: random.Random) -> None:
    """A file that says something else, in its own format where that is known."""
    content = path.read_bytes()
    strange = {".json": strange_json, ".parquet": strange_table}.get(path.suffix)
    new = strange(content, random_) if strange and random_.random() < 0.6 else garbled_ends(content, random_)
    path.write_bytes(new)


def bytes_of_a_file(folder: Path, random_: random.Random) -> None:
    """Bits, cuts and copies in any file."""
    path = one(folder, random_)
    path.write_bytes(garbled(path.read_bytes(), random_))


def no_file(folder: Path, random_: random.Random) -> None:
    """Links, pipes, folders, gaps and strangers where files and folders belong."""
    everything = sorted(path for path in folder.rglob("*") if not path.is_symlink())
    path = random_.choice(everything)
    kind = random_.randrange(7)
    if kind < 4:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    match kind:
        case 1:
            path.symlink_to(random_.choice(LINKS))
        case 2:
            os.mkfifo(path)
        case 3:
            path.write_bytes(b"") if random_.random() < 0.5 else path.mkdir()
        case 4:
            (path.parent / random_.choice(NAMES)).write_bytes(random_.randbytes(16))
        case 5:
            (path.parent / random_.choice(NAMES)).mkdir(exist_ok=True)
        case 6:
            (path.parent / random_.choice(NAMES)).symlink_to(random_.choice(LINKS))
