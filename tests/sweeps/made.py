"""Sweeps in the format of DomainBed, made up: as a script, ``python made.py FOLDER`` writes one to look at."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Accuracies = Mapping[str, float]


def record(
    dataset: str,
    algorithm: str,
    test_envs: Sequence[int],
    trial: int,
    draw: int,
    step: int,
    accuracies: Accuracies,
) -> dict[str, Any]:
    """A line as the reference's training script writes it, with all that it says beside."""
    args = {
        "algorithm": algorithm, "checkpoint_freq": None, "data_dir": "/data", "dataset": dataset, "hparams": None,
        "holdout_fraction": 0.2, "hparams_seed": draw, "output_dir": "sweep/x", "save_model_every_checkpoint": False,
        "seed": 1_733_219_552, "skip_model_save": False, "steps": None, "task": "domain_generalization",
        "test_envs": list(test_envs), "trial_seed": trial, "uda_holdout_fraction": 0,
    }  # fmt: skip
    hparams = {"lr": 5e-05 * (1 + draw), "batch_size": 32, "nonlinear_classifier": False, "class_balanced": False}
    return {
        **accuracies, "args": args, "hparams": hparams, "step": step, "epoch": step / 40, "loss": float("nan"),
        "mem_gb": 7.5, "step_time": 0.4,
    }  # fmt: skip


def write_job(folder: Path, records: Iterable[Mapping[str, Any]], *, done: bool = True, name: str = "") -> Path:
    """A job's folder, called as the reference does by a hash unless a name is given."""
    lines = [json.dumps(each, sort_keys=True) + "\n" for each in records]
    place = folder / (name or hashlib.md5(lines[0].encode(), usedforsecurity=False).hexdigest())
    place.mkdir(parents=True)
    (place / "results.jsonl").write_text("".join(lines))
    (place / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch opened'\ntR.")
    if done:
        (place / "done").write_text("done")
    return place


def write_sweep(
    folder: Path,
    *,
    seed: int = 0,
    datasets: Mapping[str, int] | None = None,
    algorithms: Sequence[str] = ("ERM", "CORAL", "Mine"),
    trials: int = 3,
    draws: int = 3,
    steps: Sequence[int] = (0, 300, 600),
    pairs: bool = True,
    values: int = 8,
    nan: float = 0.0,
    unfinished: float = 0.0,
    missing: float = 0.0,
) -> None:
    """A whole sweep, drawn from a seed.

    Args:
        folder: Where it is written.
        seed: Of everything.
        datasets: How many domains each has.
        algorithms, trials, draws, steps: What there is of each.
        pairs: Whether there are jobs with two test envs, for leave-one-domain-out.
        values: How many different accuracies there are: with few of them ties abound.
        nan, unfinished, missing: How often an accuracy is NaN, a job is killed midway, a job is not there at all.
    """
    draw = random.Random(seed)
    for dataset, envs in (datasets or {"PACS": 4}).items():
        held_out = [(env,) for env in range(envs)]
        held_out += itertools.combinations(range(envs), 2) if pairs else []
        for algorithm, test_envs, trial, hparams in itertools.product(
            algorithms, held_out, range(trials), range(draws)
        ):
            if draw.random() < missing:
                continue
            killed = draw.random() < unfinished
            records = [
                record(
                    dataset,
                    algorithm,
                    test_envs,
                    trial,
                    hparams,
                    step,
                    {
                        f"env{env}_{part}_acc": float("nan")
                        if draw.random() < nan
                        else (draw.randrange(values) + 1) / (values + 1)
                        for env in range(envs)
                        for part in ("in", "out")
                    },
                )
                for step in steps[: draw.randrange(1, len(steps)) if killed else None]
            ]
            write_job(folder, records, done=not killed)


if __name__ == "__main__":
    write_sweep(Path(sys.argv[1]), datasets={"PACS": 4, "ColoredMNIST": 3}, unfinished=0.05, missing=0.02, nan=0.01)
