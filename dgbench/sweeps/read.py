"""A sweep of the reference benchmark, DomainBed, as it lies on a disk: read as data, and checked line by line.

    DIR/JOB/results.jsonl   a line of JSON for each checkpoint: step, args, hparams, env0_in_acc, env0_out_acc, ...
    DIR/JOB/done            is there when the training came to its end
    DIR/JOB/model.pkl       a pickle, never opened

Every domain is split once, by the trial's seed: a fifth is "out", the rest "in", and every checkpoint is tested on both
parts of every domain. A job trains on the "in" of all domains but those that it holds out: one, or two for
leave-one-domain-out cross-validation.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgbench.core.errors import RecordError, StoreError, shown
from dgbench.core.visible import visible

LONGEST = 1 << 20
"""Bytes of a line. One of the reference has about two thousand."""
_LARGEST = 1 << 63
_SPLIT = re.compile(r"env([0-9]{1,9})_(in|out)_acc")
_FOREIGN = "is no record of DomainBed's training script"


@dataclass(frozen=True, eq=False)
class Job:
    """What one training measured.

    Attributes:
        folder: Its name in the sweep.
        dataset, algorithm: As the reference calls them.
        held_out: Numbers of the domains that it did not train on.
        trial: Seed of the splits.
        draw: Seed of the hyperparameters; 0 for the default ones.
        finished: Whether it came to its end.
        hyperparameters: As JSON.
        steps: Of the checkpoints, as they were written.
        inside, outside: Accuracy in [0, 1], or NaN, of each checkpoint on the "in" and the "out" of each domain:
            (checkpoints, domains).
    """

    folder: str
    dataset: str
    algorithm: str
    held_out: tuple[int, ...]
    trial: int
    draw: int
    finished: bool
    hyperparameters: str
    steps: tuple[int, ...]
    inside: NDArray[np.float64]
    outside: NDArray[np.float64]

    @property
    def domains(self) -> int:
        """How many the dataset has."""
        return int(self.inside.shape[1])

    @property
    def key(self) -> tuple[str, str, tuple[int, ...], int, int]:
        """What tells it from the other jobs of a sweep."""
        return self.dataset, self.algorithm, tuple(sorted(self.held_out)), self.trial, self.draw


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a folder holds.

    Attributes:
        folder: Where it lies.
        jobs: By the names of their folders; never empty.
        empty: Names of the folders without a single record.
        cut: Names of the unfinished jobs whose last line was cut off; it is left out.
    """

    folder: Path
    jobs: tuple[Job, ...]
    empty: tuple[str, ...]
    cut: tuple[str, ...]


def read_sweep(folder: Path) -> Sweep:
    """Read a sweep: every folder in ``folder`` that has a ``results.jsonl``, whatever it is called.

    Raises:
        StoreError: there is no such folder, or no job in it, or something in it cannot be read.
        RecordError: a line does not fit; the message names the file, the line and the field.
    """
    if not folder.is_dir():
        raise StoreError(f"{folder}: is no folder; name the folder that sweep.py had as --output_dir")
    jobs: list[Job] = []
    empty: list[str] = []
    cut: list[str] = []
    try:
        for place in sorted(each for each in folder.iterdir() if each.is_dir()):
            name = visible(place.name)
            found = _job(place, name, cut)
            if found is None:
                empty.append(name)
            else:
                jobs.append(found)
    except OSError as error:
        where = visible(str(error.filename or folder))
        raise StoreError(f"{where}: cannot be read ({error.strerror or error})") from error
    if not jobs:
        raise StoreError(
            f"{folder}: no folder in it has a results.jsonl with a record; name the folder that sweep.py had as "
            "--output_dir, which has a folder for each job"
        )
    counts: dict[str, Job] = {}
    for job in jobs:
        first = counts.setdefault(job.dataset, job)
        if first.domains != job.domains:
            raise RecordError(
                f"{folder}: {shown(job.dataset)} has {first.domains} domains in {first.folder} and {job.domains} in "
                f"{job.folder}; these are two datasets: import them from two folders"
            )
    return Sweep(folder, tuple(jobs), tuple(empty), tuple(cut))


def _job(place: Path, name: str, cut: list[str]) -> Job | None:
    """The job of a folder; None where it has no record. Adds its name to ``cut`` where the last line was cut off."""
    path, finished = place / "results.jsonl", (place / "done").exists()
    if not path.exists():
        return None
    where = visible(str(path))
    if path.is_symlink() or not path.is_file():  # it may lead out of the sweep, or be a pipe that never ends
        raise RecordError(f"{where}: is no file; take it away")
    first: _Record | None = None
    records = []
    for number, line in _lines(path, where):
        at = f"{where}, line {number}"
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            if not finished and not line.endswith(b"\n"):
                cut.append(name)
                break
            raise RecordError(f"{at}: is no JSON; mend the line, or take the job's folder away") from error
        record = _record(content, at)
        first = first or record
        if record.args != first.args or len(record.inside) != len(first.inside):
            raise RecordError(
                f"{at}: args: are those of another job than in line 1; a folder holds one job: part them, or take the "
                "folder away"
            )
        records.append(record)
    if first is None:
        return None
    return Job(
        name,
        *first.args,
        finished,
        records[-1].hyperparameters,
        tuple(record.step for record in records),
        np.array([record.inside for record in records], dtype=np.float64),
        np.array([record.outside for record in records], dtype=np.float64),
    )


def _lines(path: Path, where: str) -> Iterator[tuple[int, bytes]]:
    """Every line of a file with its number, none of them longer than it may be."""
    with path.open("rb") as file:
        for number in itertools.count(1):
            line = file.readline(LONGEST + 1)
            if len(line) > LONGEST:
                raise RecordError(f"{where}, line {number}: has more than {LONGEST:,} bytes, and so {_FOREIGN}")
            if not line:
                return
            yield number, line


@dataclass(frozen=True)
class _Record:
    """A line. ``args`` are dataset, algorithm, held-out domains, trial and draw."""

    args: tuple[str, str, tuple[int, ...], int, int]
    step: int
    hyperparameters: str
    inside: list[float]
    outside: list[float]


def _record(content: Any, at: str) -> _Record:
    """A line that fits.

    Raises:
        RecordError: a field is missing or holds something else.
    """
    if not isinstance(content, dict):
        raise RecordError(f"{at}: {_FOREIGN}: expected an object with args, hparams, step and env0_in_acc, got a value")
    args = _field(content, "args", at)
    if not isinstance(args, dict):
        raise RecordError(f"{at}: args: expected an object, got {shown(args)}; it {_FOREIGN}")
    hyperparameters = _field(content, "hparams", at)
    if not isinstance(hyperparameters, dict):
        raise RecordError(f"{at}: hparams: expected an object, got {shown(hyperparameters)}; it {_FOREIGN}")
    domains = next(number for number in itertools.count() if f"env{number}_out_acc" not in content)
    for key in content:
        found = _SPLIT.fullmatch(key)
        if found and int(found[1]) >= max(domains, 1):
            raise RecordError(f"{at}: env{domains}_out_acc: missing, though there is {shown(key)}; it {_FOREIGN}")
    if domains < 2:
        raise RecordError(f"{at}: env{domains}_out_acc: missing; a record has it of every domain, and two at least")
    held_out = _field(args, "test_envs", at, "args.")
    if (
        not isinstance(held_out, list)
        or not all(_whole(number) and number < domains for number in held_out)
        or not 1 <= len(set(held_out)) == len(held_out) < domains
    ):
        raise RecordError(
            f"{at}: args.test_envs: expected a list of some of the {domains} domains by number, each once, got "
            f"{shown(held_out)}"
        )
    named = [_text(args, key, at) for key in ("dataset", "algorithm")]
    seeds = [_count(args, key, at, "args.") for key in ("trial_seed", "hparams_seed")]
    return _Record(
        (named[0], named[1], tuple(held_out), seeds[0], seeds[1]),
        _count(content, "step", at),
        json.dumps(hyperparameters, sort_keys=True),
        [_accuracy(content, f"env{number}_in_acc", at) for number in range(domains)],
        [_accuracy(content, f"env{number}_out_acc", at) for number in range(domains)],
    )


def _field(content: Mapping[str, Any], key: str, at: str, before: str = "") -> Any:
    if key not in content:
        raise RecordError(f"{at}: {before}{key}: missing; it {_FOREIGN}")
    return content[key]


def _text(args: Mapping[str, Any], key: str, at: str) -> str:
    value = _field(args, key, at, "args.")
    if not isinstance(value, str) or not 1 <= len(value) <= 200:
        raise RecordError(f"{at}: args.{key}: expected a name of at most 200 characters, got {shown(value)}")
    return visible(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST


def _count(content: Mapping[str, Any], key: str, at: str, before: str = "") -> int:
    value = _field(content, key, at, before)
    if not _whole(value):
        raise RecordError(f"{at}: {before}{key}: expected a whole number, 0 or more, got {shown(value)}")
    return int(value)


def _accuracy(content: Mapping[str, Any], key: str, at: str) -> float:
    value = _field(content, key, at)
    if isinstance(value, bool) or not isinstance(value, int | float) or not (value != value or 0 <= value <= 1):
        raise RecordError(f"{at}: {key}: expected an accuracy in [0, 1], or NaN, got {shown(value)}")
    return float(value)
