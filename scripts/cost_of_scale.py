"""What a large board costs, by the real planner: trainings, images, bytes, files, and the plan itself.

    python scripts/cost_of_scale.py                                  # 70 algorithms, 7 datasets, 5 trials, 20 draws
    python scripts/cost_of_scale.py --learn 1200 --look 4000         # by what a device of yours does a second

The board is planned with one trial and two draws, and with one trial and four; trials and draws are linear in what
they ask for, so the two plans say what any number of them does. Data and weights need not be here.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

from dgbench.api.boards import rules
from dgbench.core.amounts import in_words
from dgbench.core.cards import BoardCard
from dgbench.core.errors import DGBenchError
from dgbench.runs.counts import Counts
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.sizes import sizes

DATASETS = ("pacs", "vlcs", "office-home", "terra-incognita", "domainnet", "nico", "digits-dg")
FILES = {"training": 4, "run": 4}
"""Files of a piece: what it is, what it measured (two of a run, one and a piece of weights of a training), its seal."""
REQUESTS = {"training": 16, "run": 14}
"""Of a piece on a shared file system, from the first question to the seal: looks for the seal and the lock, the lock
taken and given back, and three for every file, which is written beside its place, flushed and moved."""


def fitting(board: BoardCard, most: int) -> list[str]:
    """The first algorithms of the board of all of them that this board's backbone serves."""
    found: list[str] = []
    for name in rules("digits-all").algorithms:
        try:
            make_plan(rules(board, algorithms=[name], datasets=["pacs"], trials=1, draws=1))
        except DGBenchError:
            continue
        found.append(name)
    return found[:most]


def amounts(plan: Plan, learn: float, look: float) -> dict[str, float]:
    """What a plan asks for."""
    counts, passes, runs = Counts(plan), plan.passes(), {id_: list[object]() for id_ in plan.trainings}
    for run in plan.runs.values():
        runs[run.training].append(run)
    learned = sum(spec.steps * spec.batch * passes[id_] for id_, spec in plan.trainings.items())
    looked = sum(
        spec.checkpoints * counts.validation(spec) * bool(spec.steps) + sum(counts.looked_at(spec, runs[id_]))  # type: ignore[arg-type]
        for id_, spec in plan.trainings.items()
    )
    room = sizes(plan, "chosen", 1000)
    trainings, done = len(plan.trainings), len(plan.runs)
    return {
        "trainings": trainings,
        "runs": done,
        "images learnt from, by passes": learned,
        "images looked at": looked,
        "device-hours": (learned / learn + looked / look) / 3600,
        "bytes of predictions and notes": room.predictions + room.notes,
        "bytes of weights that stay": room.weights,
        "files": FILES["training"] * trainings + FILES["run"] * done,
        "requests": REQUESTS["training"] * trainings + REQUESTS["run"] * done,
    }


def linear(two: float, four: float, trials: int, draws: int) -> float:
    """One trial of two draws, and one of four, as so many trials of so many draws."""
    return trials * (two + (four - two) / 2 * (draws - 2))


def main() -> None:
    """Plan twice, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--algorithms", type=int, default=70)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--learn", type=float, default=1000.0, help="images a second, forth and back")
    parser.add_argument("--look", type=float, default=3000.0, help="images a second, forth")
    asked = parser.parse_args()
    base = rules("domainbed-resnet50", datasets=DATASETS)
    names = fitting(base, asked.algorithms)
    found, took = {}, {}
    for draws in (2, 4):
        began = time.process_time()
        plan = make_plan(rules(base, algorithms=names, trials=1, draws=draws))
        took[draws] = time.process_time() - began
        found[draws] = amounts(plan, asked.learn, asked.look)
    say: dict[str, Callable[[float], str]] = {"bytes": lambda value: in_words(int(value))}
    print(f"{len(names)} algorithms, {len(DATASETS)} datasets, {asked.trials} trials, {asked.draws} draws")
    for name in found[2]:
        value = linear(found[2][name], found[4][name], asked.trials, asked.draws)
        print(f"{name}: {say.get(name.partition(' ')[0], lambda v: f'{v:,.0f}')(value)}")
    seconds = linear(took[2], took[4], asked.trials, asked.draws)
    print(f"planning: {seconds:,.0f} s of the processor, by {took} for one trial")
    print(f"most memory here: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:,.0f} MB")


if __name__ == "__main__":
    main()
