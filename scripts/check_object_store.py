"""Does a sweep through a server of objects give what one in a folder gives, whoever is killed on the way?

    pip install 'dgbench[s3]' 'moto[server]'
    python scripts/check_object_store.py

Starts moto's S3 server on this machine, or takes the store at ``--url`` (empty; credentials are those of the
environment). *Machines* are processes that have nothing in common but the server: each has a cache, and so a copy of
the store, of its own. The first is killed by SIGKILL soon after it has finished something. Two others begin at once, do
the rest between them, and take what the first was at when its leases are over. A fourth finds nothing to do. Then every
file that a seal lists is compared, by its SHA-256, with that of a store in a folder: weights, histories, predictions
and metrics are the same to the bit. At last the server's store is verified, and merged into another folder, twice.
Prints what came of it with the requests that the server was sent, and exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from dgbench.core.remote import remote_at
from dgbench.core.seals import DONE
from dgbench.runs.store import Kind, Store

BUCKET = "dgbench-check"
DGBENCH = (sys.executable, "-m", "dgbench.cli")


def main() -> int:
    """Run, compare, and say what came of it; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an empty store on a server that is there; by default moto's is started")
    parser.add_argument("--board", default="quick")
    parser.add_argument("--algorithm", "-a", action="append", help="by default erm and sam")
    parser.add_argument("--trials", type=int, default=1)
    arguments = parser.parse_args()
    rules = [arguments.board, *(word for name in arguments.algorithm or ["erm", "sam"] for word in ("-a", name))]
    rules += ["--trials", str(arguments.trials), "--workers", "1", "--device", "cpu"]
    with tempfile.TemporaryDirectory(prefix="dgbench-check-") as room, _server(arguments.url, Path(room)) as served:
        return _check(rules, Path(room), *served)


def _check(rules: list[str], room: Path, url: str, log: Path | None) -> int:
    alone, reference = _timed(lambda: _did(_machine(rules, room / "alone", str(room / "folder"))))
    first = _machine(rules, room / "first", url)
    killed = _kill_when_something_is_done(first, url)
    sent = _requests(log)
    together, counts = _timed(
        lambda: [_did(one) for one in [_machine(rules, room / name, url) for name in ("second", "third")]]
    )
    sent_together = _requests(log) - sent
    nothing = _did(_machine(rules, room / "fourth", url))
    os.environ["DGBENCH_CACHE"] = str(room / "reader")
    different = _different(Store(room / "folder"), Store.at(url))
    verified = _dgbench(room / "reader", "store", "verify", "--store", url)
    merged = [_dgbench(room / "reader", "store", "merge", url, "--store", str(room / "merged")) for _ in range(2)]
    different += _different(Store(room / "folder"), Store(room / "merged"))
    total = [sum(each) for each in zip(killed, *counts, strict=True)]
    print(f"a folder, one machine: {reference[0]} trainings and {reference[1]} runs in {alone:.0f} s")
    print(f"killed: had done {killed[0]} and {killed[1]}")
    for done in counts:
        print(f"beside another: did {done[0]} trainings and {done[1]} runs")
    print(f"both in {together:.0f} s, {together / alone:.2f} times one machine on a folder")
    print(f"requests of these two: {', '.join(f'{count:,} {name}' for name, count in sorted(sent_together.items()))}")
    print(f"a fourth machine: did {nothing[0]} and {nothing[1]}")
    print(f"files that differ from those of the folder: {len(different)} {different[:5]}")
    print(verified.strip())
    print("".join(merged).strip())
    sound = total == reference and nothing == [0, 0] and not different
    print("all is as it should be" if sound else "that is not as it should be")
    return 0 if sound else 1


def _machine(rules: list[str], cache: Path, store: str) -> subprocess.Popen[str]:
    """A sweep that shares nothing with others but the store."""
    environment = os.environ | {"DGBENCH_CACHE": str(cache)}
    command = [*DGBENCH, "run", *rules, "--store", store]
    quiet, pipe = subprocess.DEVNULL, subprocess.PIPE
    return subprocess.Popen(command, env=environment, text=True, stdout=quiet, stderr=pipe, start_new_session=True)


def _did(machine: subprocess.Popen[str]) -> list[int]:
    """How many trainings and runs a sweep did, as it says in the end."""
    _, said = machine.communicate()
    if machine.returncode:
        raise RuntimeError(said)
    found = re.search(r"(\d+) trainings and (\d+) runs", said)
    return [int(count) for count in found.groups()] if found else [0, 0]


def _kill_when_something_is_done(machine: subprocess.Popen[str], url: str) -> list[int]:
    """Kill a sweep and its workers soon after it has finished a run; what is finished then, as the server has it."""
    remote = remote_at(url)

    def finished() -> list[int]:
        return [sum(key.endswith(f"/{DONE}") for key in remote.below(f"{kind}/")) for kind in ("trainings", "runs")]

    while not all(finished()):
        if machine.poll() is not None:
            raise RuntimeError(f"it ended before it could be killed: {machine.communicate()[1]}")
        time.sleep(0.5)
    time.sleep(2)
    os.killpg(machine.pid, signal.SIGKILL)
    machine.communicate()
    return finished()


def _different(one: Store, other: Store) -> list[str]:
    """Files that two stores do not have alike; seconds that were measured differ, and are in seals alone."""
    found = []
    kinds: tuple[Kind, ...] = ("training", "run")
    for kind in kinds:
        ids = sorted({*one.pieces(kind), *other.pieces(kind)})
        for id_ in ids:
            mine, theirs = ((store.done(kind, id_) or {"files": {}})["files"] for store in (one, other))
            names = sorted({*mine, *theirs})
            found += [f"{kind} {id_} {name}" for name in names if mine.get(name) != theirs.get(name)]
    return found


def _dgbench(cache: Path, *words: str) -> str:
    environment = os.environ | {"DGBENCH_CACHE": str(cache)}
    done = subprocess.run([*DGBENCH, *words], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def _timed(do: Any) -> tuple[float, Any]:
    clock = time.perf_counter()
    found = do()
    return time.perf_counter() - clock, found


@contextmanager
def _server(url: str | None, room: Path) -> Iterator[tuple[str, Path | None]]:
    """The address of a store, and where its server logs requests, if it is ours."""
    if url is not None:
        yield url, None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint, log = f"http://127.0.0.1:{port}", room / "server.log"
    os.environ |= {
        "AWS_ENDPOINT": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    with log.open("w") as out:
        server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=out, stderr=out)
        try:
            for _ in range(120):
                try:
                    urlopen(Request(f"{endpoint}/{BUCKET}", method="PUT")).close()
                    break
                except URLError:
                    time.sleep(0.5)
            yield f"s3://{BUCKET}/store", log
        finally:
            server.terminate()
            server.wait()


def _requests(log: Path | None) -> Counter[str]:
    """By method; of PUT those that were refused because there is an object."""
    found: Counter[str] = Counter()
    for line in log.read_text(errors="replace").splitlines() if log else ():
        match = re.search(r'"[^A-Z]*([A-Z]+) (\S+) HTTP[^"]*" (\d+)', line)
        if match:
            listing = "list-type" in match[2]
            found["LIST" if listing else f"{match[1]} refused" if match[3] == "412" else match[1]] += 1
    return found


if __name__ == "__main__":
    sys.exit(main())
