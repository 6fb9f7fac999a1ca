"""Does a sweep that everything happens to end with what an undisturbed one ends with? Counts what happened to it.

    python scripts/chaos.py --kills 100 --seed 0

A small board is run once undisturbed. Then it is run again and again, each time into a new store that is gone on with
until it is finished, while workers and whole sweeps get SIGKILL, rival sweeps work on the same store, the disk is full
or takes nothing for a while, clocks of processes and files are wrong by up to an hour, and files are cut off or have a
byte changed, finished or not. At the end of each round the store is verified, and every weight, history, prediction
and metric is compared with the undisturbed one, bit for bit.

Nothing is believed of the program that is tested: its processes carry a hook of this script (through
``sitecustomize``), which writes down every seal that comes under its name and every piece that is set aside, and ends
its process after a drawn number of file operations. A piece that is sealed twice with nothing set aside in between was
completed twice, unless the second seal only names fewer files: weights were let go.

A full disk and a disk that cannot be written need mounts, so an administrator; else they are left out, which is said.
Draws follow from the seed; what they meet depends on how busy the machine is. Prints a log and counts as Markdown, and
exits with 1 if anything differs, was completed twice, or ended in a way that is no message of dgbench.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import haunted
from haunted import CHAOS, HOUR, PIECES, log

ALGORITHMS = ("erm", "erm + ema", "erm + swad", "sam", "udim(sam_phase=0.5)", "linear_probe")
STEPS, CHECKPOINTS, BATCH, VIEWS = 60, 6, 4, 20
STATES = "0.2"
"""Seconds between two states to resume from."""
WORKERS = 2
DISK = 64
"""Megabytes of the disk that is filled."""


# --- the sweeps and what happens to them ---


@dataclass
class Arena:
    """A store, the sweeps at work on it, and what was done to them.

    Attributes:
        folder: Of this round.
        store: Where the store lies; a disk of its own, where mounting is allowed.
        draw: Where chance comes from.
        mounted: Whether it is.
        sweeps: Those that live.
        did: What was done, counted.
        ends: How sweeps ended, counted.
    """

    folder: Path
    store: Path
    draw: random.Random
    mounted: bool
    sweeps: list[subprocess.Popen[bytes]] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    ends: Counter[int] = field(default_factory=Counter)
    read: int = 0

    @property
    def notes(self) -> Path:
        """Where hooks write."""
        return self.folder / "notes"

    def start(self) -> None:
        """Another sweep."""
        command = [sys.executable, "-m", "dgbench.cli", "run", str(self.folder.parent / "chaos.toml"), "--quiet"]
        command += ["--store", str(self.store), "--device", "cpu", "--workers", str(WORKERS)]
        said = (self.folder / f"said-{sum(self.ends.values()) + len(self.sweeps)}").open("wb")
        sweep = subprocess.Popen(
            command, env=self.environment(), cwd=self.folder, stdout=said, stderr=said, start_new_session=True
        )
        self.sweeps.append(sweep)
        self.did["sweeps started"] += 1
        self.did["rivals started"] += len(self.sweeps) > 1

    def prepare(self, seed: int) -> None:
        """Write down what hooks read."""
        (self.notes / "processes").mkdir(parents=True)
        (self.notes / "seed").write_text(str(seed))
        (self.notes / "store").write_text(str(self.store))
        hook = self.folder / "hook"
        hook.mkdir()
        shutil.copy(haunted.__file__, hook)
        (hook / "sitecustomize.py").write_text("import haunted\nhaunted.haunt()\n")

    def environment(self) -> dict[str, str]:
        """Of every process: its cache and settings, and the hook."""
        root = self.folder.parent
        own = {"DGBENCH_CACHE": str(root / "cache"), "DGBENCH_STATE_EVERY": STATES, "OMP_NUM_THREADS": "1"}
        own |= {CHAOS: str(self.notes), "PYTHONPATH": os.pathsep.join([str(self.folder / "hook"), *_paths()])}
        return {name: value for name, value in os.environ.items() if not name.startswith("DGBENCH_")} | own

    def command(self, *words: str) -> int:
        """Another command of dgbench on the store, with the hook; its exit code."""
        command = [sys.executable, "-m", "dgbench.cli", *words, "--store", str(self.store)]
        with (self.folder / f"said-{'-'.join(words)}").open("ab") as said:
            return subprocess.run(command, env=self.environment(), stdout=said, stderr=said, cwd=self.folder).returncode

    def happened(self) -> list[dict[str, Any]]:
        """Lines of the log since it was last read."""
        path = self.notes / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        new, self.read = lines[self.read :], len(lines)
        return [json.loads(line) for line in new]

    def reap(self) -> None:
        """Look which sweeps have ended, and how."""
        for sweep in [one for one in self.sweeps if one.poll() is not None]:
            self.sweeps.remove(sweep)
            self.ends[sweep.returncode] += 1

    def wait(self, seconds: float) -> None:
        """Until all sweeps have ended, or for so long."""
        deadline = time.monotonic() + seconds
        while self.sweeps and time.monotonic() < deadline:
            time.sleep(0.05)
            self.reap()

    def kill_a_sweep(self) -> None:
        """SIGKILL: the sweep alone, so that its workers find themselves alone, or all of its processes."""
        if self.sweeps:
            sweep = self.draw.choice(self.sweeps)
            if self.draw.random() < 0.5:
                sweep.kill()
                self.did["sweeps killed"] += 1
            else:
                children = [path.read_text() for path in Path(f"/proc/{sweep.pid}/task").glob("*/children")]
                for worker in " ".join(children).split():
                    log(self.notes, "killed", pid=int(worker), event="with its sweep")
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(sweep.pid, signal.SIGKILL)
                self.did["sweeps killed with their workers"] += 1

    def stop(self) -> None:
        """Have nobody go on with a store that is given up."""
        for sweep in self.sweeps:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(sweep.pid, signal.SIGKILL)
            sweep.wait()

    def damage(self) -> None:
        """Cut a file off, or change a byte of it; whichever file, but none in the moment in which it is written."""
        files = [
            path
            for path in self.store.glob("*/**/*")
            if path.is_file() and path.relative_to(self.store).parts[0] in {*PIECES, "boards", "failures"}
            and not any(part.startswith(".") for part in path.relative_to(self.store).parts)
        ]  # fmt: skip
        if not files:
            return
        path = self.draw.choice(sorted(files))
        partial = not (Path(*path.parts[: len(self.store.parts) + 2]) / "done.json").exists()
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            cut = not size or self.draw.random() < 0.5
            with path.open("rb+") as file:
                if cut:
                    file.truncate(int(size * self.draw.random()))
                else:
                    place = self.draw.randrange(size)
                    file.seek(place)
                    byte = file.read(1)
                    file.seek(place)
                    file.write(bytes([byte[0] ^ 1 << self.draw.randrange(8)]))
            kind = "cut off" if cut else "changed in a byte"
            self.did[f"{'unfinished' if partial else 'finished'} files {kind}"] += 1
            log(self.notes, "damaged", path=str(path.relative_to(self.store)), cut=cut)

    def touch(self) -> None:
        """Set times of files to an hour from now, or an hour ago."""
        for path in self.store.glob("**/*"):
            if self.draw.random() < 0.2:
                when = time.time() + self.draw.choice((-HOUR, HOUR))
                with contextlib.suppress(OSError):
                    os.utime(path, (when, when))
        self.did["times of files set"] += 1

    def fill(self) -> None:
        """Leave no room on the disk for a while."""
        if not self.mounted:
            return
        try:
            with (self.store.parent / "fill").open("wb") as file:
                while file.write(b"x" * 2**16):
                    file.flush()
        except OSError:
            self.did["times that the disk was full"] += 1
        self.wait(20)
        (self.store.parent / "fill").unlink()

    def forbid(self) -> None:
        """Have the disk take nothing for a while: what is opened from now on cannot be written."""
        if not self.mounted:
            return
        disk = str(self.store.parent)
        subprocess.run(["mount", "--bind", disk, disk], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)
            self.did["times that the disk took nothing"] += 1
            self.wait(20)
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)

    def something(self) -> None:
        """One of all that can happen."""
        often = {self.damage: 8, self.kill_a_sweep: 3, self.fill: 1, self.forbid: 1, self.touch: 1, self.rival: 1}
        self.draw.choices([*often], [*often.values()])[0]()

    def rival(self) -> None:
        """A second sweep on the same store."""
        if len(self.sweeps) == 1:
            self.start()


def write_board(path: Path) -> None:
    """The rules of a small board: six algorithms, of which three share trainings."""
    from dgbench.core.paths import shipped

    text = (shipped("leaderboards") / "quick" / "board.toml").read_text(encoding="utf-8").replace("@letters", "")
    for old, new in (
        ('name = "quick"', 'name = "chaos"'),
        ("trials = 3", "trials = 1"),
        ("steps = 100", f"steps = {STEPS}"),
        ("checkpoints = 10", f"checkpoints = {CHECKPOINTS}"),
        ("batch_per_domain = 16", f"batch_per_domain = {BATCH}"),
        (text[text.index("algorithms = [") : text.index("]\n") + 1], f"algorithms = {json.dumps(ALGORITHMS)}"),
        (text[text.index("[overrides.irm]") :], f"[selection]\nviews_per_domain = {VIEWS}\n"),
    ):
        text = text.replace(old, new)
    path.write_text(text + '\n[cases.digits]\ntargets = ["print", "dot-matrix"]\n')


@contextlib.contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """A disk of its own at a folder, where that is allowed; whether it is."""
    folder.mkdir(parents=True)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], capture_output=True)
    try:
        yield made.returncode == 0
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", "--lazy", folder], check=True)


def _paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


# --- what came of it ---


def contents(root: Path) -> dict[str, Any]:
    """All that was computed in a store, by file."""
    import polars as pl

    found: dict[str, Any] = {}
    for path in sorted(root.glob("*/*/**/*")):
        name = path.relative_to(root).as_posix()
        if name.partition("/")[0] not in PIECES:
            continue
        if path.suffix in (".safetensors", ".npy") or path.name == "spec.json":
            found[name] = path.read_bytes()
        elif path.suffix == ".parquet":
            found[name] = pl.read_parquet(path).rows()
        elif path.name == "result.json":
            found[name] = json.loads(path.read_text())["metrics"]
    return found


def completions(lines: list[dict[str, Any]]) -> tuple[Counter[str], list[str]]:
    """How many pieces were completed, completed again after damage, and let go of; and which twice for no reason."""
    counts: Counter[str] = Counter()
    before: dict[tuple[str, str], dict[str, Any]] = {}
    twice, lost = [], False
    for line in lines:
        if line["what"] == "aside":
            before.pop((line["kind"], line["piece"]), None)
            lost = True
            counts["pieces set aside"] += 1
        elif line["what"] == "sealed":
            key = line["kind"], line["piece"]
            last = before.get(key)
            if last is None:
                counts["pieces completed"] += 1
            elif line["note"] == last["note"] and set(line["files"]) <= set(last["files"]):
                counts["seals written again as weights were let go"] += 1
            elif line["note"] == last["note"] and lost:
                counts["trainings done again for what was lost with a piece"] += 1
            else:
                twice.append("/".join(key))
            before[key] = line
    return counts, twice


@dataclass
class Total:
    """Of all rounds."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def disturb(arena: Arena, kills: int) -> list[dict[str, Any]]:
    """Sweeps one after another, and all that happens to them, until so many workers were killed; the log."""
    lines: list[dict[str, Any]] = []
    until = arena.draw.randint(1, 3)
    while not (arena.notes / "enough").exists():
        finished = arena.ends[0]
        arena.start()
        while arena.sweeps:
            time.sleep(0.05)
            arena.reap()
            new = arena.happened()
            lines += new
            until -= sum(line["what"] in ("killed", "sealed") for line in new)
            if sum(line["what"] == "killed" for line in lines) >= kills:
                (arena.notes / "enough").touch()
            elif until <= 0:
                until = arena.draw.randint(1, 4)
                arena.something()
        if arena.ends[0] > finished:  # nobody has anything left to do, so nobody would be killed
            arena.damage()
            arena.command("store", "verify")
    return lines


def round_of(arena: Arena, kills: int, expected: dict[str, Any], total: Total) -> int:
    """One store from nothing to the end; how many workers were killed."""
    from dgbench.runs.store import Store
    from dgbench.runs.verify import verify

    lines = disturb(arena, kills)
    (arena.notes / "enough").touch()
    for _ in range(4):  # as a user would: go on, read everything again, do what was found damaged
        arena.start()
        arena.wait(3600)
        if arena.command("store", "verify") == 0:
            break
    arena.start()
    arena.wait(3600)
    lines += arena.happened()
    killed = len([line for line in lines if line["what"] == "killed"])
    found = contents(arena.store)
    different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    counts, twice = completions(lines)
    said = [path.read_text(errors="replace") for path in sorted(arena.folder.glob("said-*"))]
    total.faults += [f"damaged at the end: {one.what}" for kind in verify(Store(arena.store)) for one in kind.damaged]
    total.faults += [f"differs: {name}" for name in different] + [f"completed twice: {piece}" for piece in twice]
    total.faults += [f"ended by a traceback: {text[-1500:]}" for text in said if "Traceback" in text]
    left = [path for path in arena.store.rglob(".*") if path.is_dir()] + [*arena.store.glob("locks/*")]
    total.faults += [f"left behind: {path}" for path in left]
    total.counts += counts + arena.did + Counter({"workers killed": killed, "files compared": len(expected)})
    total.counts["files that differ"] += len(different)
    for code, times in arena.ends.items():
        total.counts[f"sweeps that ended with {code}"] += times
    return killed


def undisturbed(root: Path) -> tuple[dict[str, Any], float]:
    """What one sweep that nothing happens to comes to, and how long it takes."""
    arena = Arena(root / "undisturbed", root / "undisturbed" / "store", random.Random(0), mounted=False)
    arena.prepare(0)
    (arena.notes / "enough").touch()
    started = time.monotonic()
    arena.start()
    arena.wait(3600)
    if arena.ends[0] != 1:
        sys.exit((arena.folder / "said-0").read_text())
    return contents(arena.store), time.monotonic() - started


def main() -> None:
    """Disturb, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="of workers, in all rounds")
    parser.add_argument("--each", type=int, default=100, help="of workers, in a round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="where to copy rounds in which something was wrong")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that its disk is taken away
    total, killed, number = Total(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_board(root / "chaos.toml")
        expected, seconds = undisturbed(root)
        print(f"undisturbed: {len(expected)} files in {seconds:.0f} s", flush=True)
        while killed < given.kills and number < given.kills:
            own = root / f"round-{number}"
            with disk(own / "disk", DISK) as mounted:
                arena = Arena(own, own / "disk" / "store", random.Random(f"{given.seed}-{number}"), mounted)
                arena.prepare(given.seed + number)
                before, started = len(total.faults), time.monotonic()
                try:
                    killed += round_of(arena, min(given.each, given.kills - killed), expected, total)
                finally:
                    arena.stop()
                took = time.monotonic() - started
                print(
                    f"round {number}: {killed} workers killed, {len(total.faults) - before} faults, {took:.0f} s",
                    flush=True,
                )
                if not mounted:
                    print("no administrator: the disk was never full, and took all that was written", flush=True)
                if len(total.faults) > before and given.keep:
                    shutil.copytree(own, given.keep / own.name)
            number += 1
    print("\n| what happened | times |\n|---|---:|")
    for what, times in sorted(total.counts.items()):
        print(f"| {what} | {times:,} |")
    for fault in total.faults:
        print(f"chaos: {fault}", file=sys.stderr)
    if total.faults or killed < given.kills:
        sys.exit(1)


if __name__ == "__main__":
    main()
