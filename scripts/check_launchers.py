"""Do launchers give the same bits, and what is lost where a node is killed, or a job taken back?

    python scripts/check_launchers.py [--folder FOLDER] [--whole | --steps STEPS] [--long STEPS]

Needs the extras ``ray`` and ``slurm``. ERM and SAM of the board ``quick``, one trial, from random weights and in few
steps, or with ``--whole`` all of that board, are done by ``local``, by two raylets on this machine, and by submitit's
local executor; weights, histories, predictions and what was measured are compared byte by byte. Then two longer
trainings are under way on each, and one raylet is killed, or one job is taken back. Said is which state the store held
then, and where trainings went on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dgbench
from dgbench.core.cards import BoardCard, CaseRules

TARGETS = ("print", "dot-matrix")
os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # a busy machine takes its time


def board(steps: int, *algorithms: str) -> BoardCard:
    """Some of ``quick``: two targets, few steps from random weights, few images under shifts."""
    rules = dgbench.rules("quick", algorithms=algorithms, trials=1)
    training = rules.training.model_copy(update={"steps": steps, "checkpoints": 20})
    changes = {
        "training": training,
        "tracks": dict.fromkeys(rules.tracks, "dgbench:vit-micro"),
        "name": "launchers",
        "cases": {"digits": CaseRules(targets=TARGETS)},
        "selection": rules.selection.model_copy(update={"views_per_domain": 20}),
    }
    return rules.model_copy(update=changes)


def contents(store: Path) -> dict[str, str]:
    """A hash of all that a store keeps of its work, by path; of results without how long they took."""
    found = [*store.glob("trainings/*/weights/*"), *store.glob("trainings/*/history.parquet")]
    found += [*store.glob("runs/*/predictions.parquet"), *store.glob("runs/*/result.json")]
    return {str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def differing(one: Path, other: Path) -> str:
    """In words."""
    ours, theirs = contents(one), contents(other)
    different = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    return f"{len(ours)} files, {len(different)} of them differ" + (f": {sorted(different)[:3]}" if different else "")


@contextmanager
def two_raylets() -> Iterator[Callable[[], None]]:
    """A Ray cluster of two nodes on this machine, with a CPU each; what is given kills the second."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    node = cluster.add_node(num_cpus=1)
    ray.init(cluster.address, log_to_driver=False)
    try:
        yield lambda: cluster.remove_node(node, allow_graceful=False)
    finally:
        ray.shutdown()
        cluster.shutdown()


def state_of(store: Path) -> dict[str, int]:
    """The step that every training that is under way can be resumed at."""
    found = {}
    for path in store.glob("trainings/*/state/last.json"):
        with suppress(OSError, ValueError):  # it is just being written over, or taken away
            found[path.parents[1].name] = json.loads(path.read_text())["step"]
    return found


def take_back(jobs: Path) -> None:
    """Signal one of submitit's jobs, as Slurm does before it takes it back."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            said = (process / "cmdline").read_bytes().split(b"\0")
            if b"submitit.core._submit" in said and os.fsencode(jobs) in b" ".join(said):
                os.kill(int(process.name), signal.SIGUSR2)
                return
    raise RuntimeError(f"no job of {jobs} is under way")


def disturbed(rules: BoardCard, store: Path, disturb: Callable[[], None], **how: Any) -> str:
    """A board that is disturbed while two of its trainings have states to resume from; in words what that cost."""
    kept: dict[str, int] = {}
    fewest: dict[str, int] = {}

    def finished(training: str) -> bool:
        return (store / "trainings" / training / "done.json").exists()

    def watch() -> None:
        while len(state_of(store)) < 2:
            time.sleep(0.2)
        time.sleep(3)  # so that there is something to lose
        kept.update(state_of(store))
        disturb()
        while not all(finished(id_) for id_ in kept):
            states = state_of(store)
            for id_ in kept:
                if id_ in states or not finished(id_):  # one that begins anew takes its state away first
                    fewest[id_] = min(fewest.get(id_, kept[id_]), states.get(id_, 0))
            time.sleep(0.1)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    summary = dgbench.run(rules, store=store, device="cpu", workers=2, **how)
    watching.join(60)
    steps = rules.training.steps
    said = [f"{kept[id_]} of {steps} steps were kept, and from then on {fewest[id_]} or more" for id_ in kept]
    return f"{summary.trainings} trainings, {len(summary.failed)} failed; {'; '.join(said)}"


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where stores are kept; a temporary one by default")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--steps", type=int, default=20, help="of the short trainings")
    size.add_argument("--whole", action="store_true", help="the whole of quick in place of them")
    parser.add_argument("--long", type=int, default=3000, help="of those that are disturbed")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        short = dgbench.rules("quick") if asked.whole else board(asked.steps, "erm", "sam")
        check((asked.folder or Path(temporary)).absolute(), short, board(asked.long, "erm"))


def check(root: Path, short: BoardCard, long: BoardCard) -> None:
    """Do all of it in a folder."""
    submitit: dict[str, Any] = {
        "launcher": "slurm",
        "launcher_options": {"cluster": "local", "folder": str(root / "jobs")},
    }

    def say(what: str, store: str, name: str, seconds: float | None = None) -> None:
        took = "" if seconds is None else f", {seconds:.0f} s"
        print(f"{what}: {differing(root / store / 'local', root / store / name)}{took}", flush=True)

    for store, rules in (("short", short), ("long", long)):
        done = dgbench.run(rules, store=root / store / "local", device="cpu", workers=2)
        say(f"local, {done.trainings} trainings and {done.runs} runs", store, "local", done.seconds)
    with two_raylets() as kill:
        done = dgbench.run(short, store=root / "short" / "ray", device="cpu", launcher="ray")
        say("two raylets", "short", "ray", done.seconds)
        print("one of two raylets killed:", disturbed(long, root / "long" / "ray", kill, launcher="ray"), flush=True)
        say("then", "long", "ray")
    done = dgbench.run(short, store=root / "short" / "slurm", device="cpu", workers=2, **submitit)
    say("submitit", "short", "slurm", done.seconds)
    taken = disturbed(long, root / "long" / "slurm", lambda: take_back(root / "jobs"), **submitit)
    print("one of two jobs taken back:", taken, flush=True)
    say("then", "long", "slurm")


if __name__ == "__main__":
    main()
