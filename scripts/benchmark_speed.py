"""How fast is dgbench: against the way in which the field's reference benchmark works, and against what is possible?

    python scripts/benchmark_speed.py                      # about 15 minutes on two cores
    python scripts/benchmark_speed.py --only step --only input
    python scripts/benchmark_speed.py --peer ~/DomainBed   # times a checkout of it as well, by its own command line

Every row is a ratio of two sides that are measured in turns in this one run: median, and in brackets least and most.
``parity`` rows compute in float32 with exactly the reference's augmentation; ``fast`` rows in bfloat16, and only where
the processor multiplies it. Images are drawn: JPEG files like those of PACS. The other sides are

* ``reference``: ``scripts/reference_pipeline.py``, PIL in worker processes, a process for each training, everything
  evaluated at every checkpoint. How many workers its loaders have is said; the reference benchmark gives them eight;
* ``the benchmark itself``: a checkout (``--peer``) on the same images. Its environment must be this one, and the
  weights that its network starts from on this machine;
* ``physical limit``: the network alone, forward (and backward) on tensors that lie in memory.

Whole jobs are processes from their start to their end; ours also draw and look at shifted validation images, from an
empty store and an empty cache. The rest is CPU time of one thread, in this process, which keeps the memory that it
frees, as workers do: for both sides.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from draw_pacs_like import evenly

from dgbench.core.memory import keep_freed_memory
from dgbench.core.processes import cores
from dgbench.train.environment import bfloat16, environment
from speed import in_process, whole
from speed.row import HEAD, Mode, Row, line
from speed.setup import CPU, QUICK, Setup, Size, prepared

ROWS: dict[str, Callable[[Setup, list[Mode]], Iterator[Row]]] = {
    "step": in_process.training_step,
    "input": in_process.input_pipeline,
    "evaluation": in_process.evaluation,
    "penalty": in_process.penalty,
    "probe": in_process.probe,
    "views": in_process.views,
}
WHOLE = {"jobs": whole.jobs, "board": whole.board}


def main() -> None:
    """Draw the images, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[*ROWS, *WHOLE], help="repeat for several")
    parser.add_argument("--rounds", type=int, default=3, help="of each row; whole jobs are done once for every three")
    parser.add_argument("--workers", type=int, help="of each loader of the reference; eight, as it has, by default")
    parser.add_argument("--peer", type=Path, help="a checkout of the reference benchmark")
    parser.add_argument("--json", action="store_true", help="print JSON, with every round")
    parser.add_argument("--quick", action="store_true", help="few images at 32 px: whether it works")
    asked = parser.parse_args()
    began = time.perf_counter()
    keep_freed_memory()
    size = QUICK if asked.quick else Size()
    size = size if asked.workers is None else dataclasses.replace(size, workers=asked.workers)
    modes: list[Mode] = ["parity", "fast"] if bfloat16(CPU.type) else ["parity"]
    machine = described(size, modes)
    said = [f"{key}: {value}" for key, value in machine.items()]
    tell = (lambda text: None) if asked.json else partial(print, flush=True)
    tell("\n".join((*said, "", HEAD)))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        setup = prepared(Path(name), size, asked.rounds, evenly(size.images))
        theirs = [whole.Theirs(setup), *([whole.Theirs(setup, asked.peer.resolve())] if asked.peer else [])]
        for what in asked.only or [*ROWS, *WHOLE]:
            for row in ROWS[what](setup, modes) if what in ROWS else WHOLE[what](setup, modes, theirs):
                rows.append(row.spec())
                tell(line(row))
    ends = {"minutes": round((time.perf_counter() - began) / 60, 1), "load": round(os.getloadavg()[-1], 1)}
    tell("\n" + ", ".join(f"{key}: {value}" for key, value in ends.items()))
    if asked.json:
        print(json.dumps({"machine": machine | ends, "rows": rows}, indent=2))


def described(size: Size, modes: list[Mode]) -> dict[str, object]:
    """In words, what this was measured on: no more of the machine than results note."""
    machine = environment(CPU)
    return {
        "machine": f"{machine['processor']}, {cores()} cores, {machine['vectors']}",
        "software": f"Python {machine['python']}, torch {torch.__version__}",
        "bfloat16": bfloat16(CPU.type) or "emulated by torch, many times slower: no fast rows",
        "size": f"{size.images} images, {size.network} at {size.pixels} px, {size.steps} steps of 3 x {size.batch}",
    }


if __name__ == "__main__":
    main()
