"""What another interpreter draws, which iterates sets in another order and has another number of threads.

One is asked in a session for all of it: most of its time goes into importing torch.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from dgbench.core.shift_families import FAMILIES
from dgbench.data.cache.views import Shifted
from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble
from dgbench.data.sets.drawing import dot_matrix
from dgbench.data.shifts import shift
from once import once

PROGRAM = """
import json, torch
torch.set_num_threads(2)
from drawn_elsewhere import shifts, views
print(json.dumps({"shifts": shifts(), "views": views([5, 3, 0])}))
"""


def toy(name: str = "toy", offset: int = 0) -> Dataset:
    """Two domains of noise."""
    rng = np.random.default_rng(offset)
    domains = [
        Domain(n, rng.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8), np.arange(8) % 2, np.arange(8)) for n in "ab"
    ]
    return assemble(name, ("x", "y"), domains)


def shifts() -> str:
    """A digest of ten shifts of each family, of a digit on a display."""
    image = dot_matrix.domain("dot-matrix").inputs[7]
    return _digest([shift(image, family, seed) for family in FAMILIES for seed in range(10)])


def views(rows: list[int]) -> str:
    """A digest of views that are drawn, and kept, in some order; in that of their rows."""
    drawn = Shifted(toy(), "a", np.array(rows), "segmentation")[np.arange(len(rows))]
    return _digest([drawn[at] for at in np.argsort(rows)])


def _digest(images: list[np.ndarray]) -> str:
    return hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()


def elsewhere(what: str) -> str:
    """What another interpreter says of ``shifts``, or of ``views``."""
    said: dict[str, str] = json.loads((once("drawn elsewhere", _ask) / "said.json").read_text())
    return said[what]


def _ask(folder: Path) -> None:
    folder.mkdir()
    environment = os.environ | {"PYTHONHASHSEED": "5", "PYTHONPATH": str(Path(__file__).parent)}
    environment["DGBENCH_CACHE"] = str(folder / "cache")
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    (folder / "said.json").write_text(done.stdout)
