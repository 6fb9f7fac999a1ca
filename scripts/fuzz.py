"""Does whatever comes from others end in an answer or one clean refusal? Spoils good things by thousands, and asks.

    python scripts/fuzz.py --cases 20000                    # all kinds
    python scripts/fuzz.py --kind stores --cases 500 --seed 3
    python scripts/fuzz.py --kind stores --case 4711        # one case again, with its traceback

Stores, submissions, cards, models, weights, pictures and tables, sweeps and archives (``fuzzing/kinds.py``) are spoilt
by someone who does not know their formats (bits, cuts, links, pipes), and by someone who does: hostile values in any
field, with seals and hashes that fit again. A command of dgbench, or the function that it calls, reads each in a
process with limits on memory and time, which is begun again where it dies. An audit hook and a folder of decoys
(``fuzzing/watch.py``) see what happens meanwhile. Right is an answer, or one ``DGBenchError`` in a line; wrong is any
other exception, a case that hangs or takes the process down, text that acts on a terminal, and whatever runs, connects,
reads or writes outside. Prints a table, and exits with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEMORY = 3 << 30
"""Bytes that a process may map beyond what it has when everything is imported."""
_ACTS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What acts on a terminal, but for what bars of progress begin their line with."""
_LONGEST = 5000
"""Characters of a refusal."""


@dataclass
class Count:
    """What came of one mutation of one kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)


def cases(kind: str, seeds: Path, room: Path, numbers: range, seed: int, *, debug: bool = False) -> Iterator[Any]:
    """Spoil and read; for each case its number alone before, then mutation, reader, outcome, what is wrong, seconds."""
    from fuzzing.kinds import KINDS
    from fuzzing.watch import Watch

    from dgbench.core.provenance import revision

    revision()  # asks git, once in a process
    about = KINDS[kind]
    watch = Watch(room, seeds / "cache")
    os.environ |= {"DGBENCH_STORE": str(watch.case / "store"), "DGBENCH_CACHE": str(watch.cache)}
    os.environ |= {"TMPDIR": str(watch.scratch), "HF_HUB_OFFLINE": "1", "HF_HOME": str(watch.scratch / "hf")}
    os.environ |= {"DGBENCH_DATA": str(watch.case / "wilds" / "data"), "COLUMNS": "200"}
    tempfile.tempdir = str(watch.scratch)
    os.chdir(watch.case)
    for number in numbers:
        random_ = random.Random(f"{kind}-{seed}-{number}")
        mutation = about.mutations[number % len(about.mutations)]
        reader = random_.choice(about.readers)
        named = reader.__name__ if callable(reader) else " ".join(reader)
        yield {"begun": number, "mutation": mutation.__name__, "reader": named}
        for folder in (watch.case, watch.scratch):
            _empty(folder)
        shutil.copytree(seeds / "boards", watch.case, dirs_exist_ok=True)
        shutil.copytree(seeds / about.seed, watch.case, dirs_exist_ok=True)
        try:
            mutation(_spoilt(seeds / about.seed, watch.case), random_)
        except (LookupError, ValueError, TypeError, OSError, OverflowError, AttributeError):
            if debug:
                traceback.print_exc()
            yield {"case": number, "mutation": mutation.__name__, "outcome": "not so", "wrong": "", "took": 0.0}
            continue
        started = time.perf_counter()
        outcome, wrong = _read(reader, watch, debug=debug)
        took = time.perf_counter() - started
        wrong = wrong or "; ".join(dict.fromkeys(watch.seen))
        yield {"case": number, "mutation": mutation.__name__, "outcome": outcome, "wrong": wrong, "took": took}


def _spoilt(seed: Path, case: Path) -> Path:
    """What is spoilt: the folder that the seed is, or all of it where it is several things, or files."""
    found = sorted(seed.iterdir())
    folders = [path for path in found if path.is_dir()]
    return case / folders[0].name if len(folders) == 1 else case


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _read(reader: Any, watch: Any, *, debug: bool) -> tuple[str, str]:
    """What came of reading a case, and what is wrong with it."""
    from dgbench.core.errors import DGBenchError
    from dgbench.core.visible import visible

    said = io.StringIO()
    words = () if callable(reader) else reader
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), watch.watching(*words):
            if callable(reader):
                reader(watch.case)
            else:
                _command(words)
        outcome = "answered"
    except DGBenchError as error:
        outcome = "refused"
        said.write("\n".join(map(visible, str(error).split("\n"))))  # as the command line says it
    except SystemExit as end:
        outcome = {0: "answered", 1: "answered", 2: "refused"}.get(end.code, "exit")  # type: ignore[call-overload]
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        if debug:
            traceback.print_exc()
        last = traceback.extract_tb(error.__traceback__)
        ours = next((at for at in reversed(last) if "/dgbench/" in at.filename), last[-1])
        where = f"{ours.filename.rpartition('/dgbench/')[2]}:{ours.lineno}"
        return "exception", f"{type(error).__name__} at {where}: {' '.join(str(error).split())[:160]}"
    if debug:
        print(outcome, ascii(said.getvalue()))
    text = said.getvalue()
    if found := _ACTS.search(text):
        at = found.start()
        return outcome, f"says what acts: {text[max(at - 60, 0) : at + 20]!a}"
    if outcome == "refused" and len(text) > _LONGEST:
        return outcome, f"says {len(text):,} characters: {text[:100]!a}"
    return outcome, ""


def _command(words: tuple[str, ...]) -> None:
    """A command line of dgbench, in this process."""
    from dgbench import cli

    before, sys.argv = sys.argv, ["dgbench", *words]
    try:
        cli.main()
    finally:
        sys.argv = before


def child(kind: str, seeds: Path, room: Path, numbers: range, seed: int) -> None:
    """Read cases, with limits on this process, and write what came of each as a line of JSON."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    import dgbench.cli

    dgbench.cli.program()
    _warm(kind, seeds, room, seed)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    for each in cases(kind, seeds, room, numbers, seed):
        print(json.dumps(each), file=answers, flush=True)


def _warm(kind: str, seeds: Path, room: Path, seed: int) -> None:
    """Read what is good once, so that what is imported late is there, and nothing of that looks strange."""
    from fuzzing.kinds import KINDS

    from dgbench.core.errors import DGBenchError

    about = KINDS[kind]
    os.environ |= {"DGBENCH_STORE": str(room / "warm" / "store"), "DGBENCH_CACHE": str(seeds / "cache")}
    os.environ |= {"DGBENCH_DATA": str(room / "warm" / "wilds" / "data"), "HF_HUB_OFFLINE": "1"}
    for reader in about.readers:
        shutil.rmtree(room / "warm", ignore_errors=True)
        for folder in ("boards", about.seed):
            shutil.copytree(seeds / folder, room / "warm", dirs_exist_ok=True)
        os.chdir(room / "warm")
        said = io.StringIO()
        nothing = (SystemExit, DGBenchError)  # packs and digits are made from nothing by what spoils them
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), contextlib.suppress(*nothing):
            reader(room / "warm") if callable(reader) else _command(reader)


def fuzz(kind: str, seeds: Path, room: Path, numbers: range, seed: int) -> dict[str, Count]:
    """Read cases in children; where one dies the next goes on after the case that it died of."""
    counts: dict[str, Count] = {}
    start = numbers.start
    while start < numbers.stop:
        words = (kind, "--seeds", str(seeds), "--room", str(room), "--first", str(start), "--seed", str(seed))
        command = [sys.executable, __file__, "--child", "--kind", *words, "--cases", str(numbers.stop)]
        errors = room.with_suffix(".txt")
        with (
            errors.open("w") as said,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process,
        ):
            assert process.stdout is not None
            begun: dict[str, Any] | None = None
            for line in process.stdout:
                each = json.loads(line)
                if "begun" in each:
                    begun = each
                    continue
                count = counts.setdefault(each["mutation"], Count())
                count.outcomes[each["outcome"]] += 1
                count.slowest = max(count.slowest, each["took"])
                if each["wrong"]:
                    assert begun is not None
                    count.wrong.append(
                        f"{kind} {each['case']} ({each['mutation']}, {begun['reader']}): {each['wrong']}"
                    )
                start = each["case"] + 1
        if process.returncode == 0:
            break
        if begun is None or begun["begun"] < start:
            sys.exit(f"no case was begun:\n{errors.read_text()[-3000:]}")
        count = counts.setdefault(begun["mutation"], Count())
        count.outcomes["died"] += 1
        last = " ".join(errors.read_text()[-400:].split())
        where = f"{kind} {begun['begun']} ({begun['mutation']}, {begun['reader']})"
        count.wrong.append(f"{where}: the process ended with {process.returncode}: {last}")
        start = begun["begun"] + 1
    return counts


def report(counts: dict[str, dict[str, Count]]) -> int:
    """Print what came of it; 1 if anything is wrong."""
    print("| what | cases | refused | answered | slowest | wrong |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    lines: list[str] = []
    cases_ = 0
    for kind, found in counts.items():
        outcomes = sum((count.outcomes for count in found.values()), Counter[str]())
        wrong = [line for count in found.values() for line in count.wrong]
        lines += wrong
        ran = outcomes.total() - outcomes["not so"]
        cases_ += ran
        slowest = max((count.slowest for count in found.values()), default=0.0)
        cells = (f"{ran:,}", f"{outcomes['refused']:,}", f"{outcomes['answered']:,}", f"{slowest:.1f} s")
        print(f"| {kind} | {' | '.join(cells)} | {len(wrong)} |")
    print(f"\n{cases_:,} cases, {len(lines)} of them wrong", *lines[:200], sep="\n")
    return int(bool(lines))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", help="all by default")
    parser.add_argument("--cases", type=int, default=20_000, help="of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="this one alone, here")
    parser.add_argument("--seeds", type=Path, help="a folder of good things, made where there is none")
    parser.add_argument("--room", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.kind[0], given.seeds, given.room, range(given.first, given.cases), given.seed)
        return
    from fuzzing import seeds
    from fuzzing.kinds import KINDS

    with tempfile.TemporaryDirectory() as folder:
        good = (given.seeds or Path(folder) / "seeds").resolve()
        if not good.is_dir():
            seeds.make(good)
        kinds = given.kind or list(KINDS)
        if given.case is not None:
            _warm(kinds[0], good, Path(folder), given.seed)
            one = range(given.case, given.case + 1)
            for each in cases(kinds[0], good, Path(folder), one, given.seed, debug=True):
                print(each)
            return
        share = -(-given.cases // len(kinds))
        started = time.perf_counter()
        counts = {}
        for kind in kinds:
            counts[kind] = fuzz(kind, good, Path(folder) / kind, range(share), given.seed)
            print(f"{kind}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
        code = report(counts)
        print(f"{time.perf_counter() - started:.0f} s")
        sys.exit(code)


if __name__ == "__main__":
    main()
