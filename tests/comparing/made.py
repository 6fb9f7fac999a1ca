"""Comparisons of made-up algorithms, whose every prediction is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from board.synthetic import DOMAINS, candidate, tables

from dgbench.api.boards import rules
from dgbench.board.compare import Comparison, compare
from dgbench.runs.collect import Records

IMAGES, CLASSES = 40, 4
Right = dict[tuple[str, str, int], np.ndarray[Any, np.dtype[np.bool_]]]
"""By algorithm, target and trial: which images it gets right."""


def guesses(
    skills: Mapping[str, float], *, trials: int = 3, targets: tuple[str, ...] = DOMAINS, seed: int = 0
) -> Right:
    """Each algorithm gets a share of the images right; what is hard is hard for all."""
    random = np.random.default_rng(seed)
    hard = {(target, trial): random.random(IMAGES) for target in targets for trial in range(trials)}
    noise = {name: random.normal(0, 0.1, IMAGES) for name in skills}
    return {
        (name, *place): difficulty + noise[name] + random.normal(0, 0.05) < skill
        for name, skill in skills.items()
        for place, difficulty in hard.items()
    }


def table(right: np.ndarray[Any, np.dtype[np.bool_]], domain: str) -> pl.DataFrame:
    """Predictions on a target: the class of a wrong one is the next."""
    index = np.arange(len(right))
    label = index % CLASSES
    columns = {
        "domain": [domain] * len(right),
        "index": index.astype(np.int32),
        "sample": [f"{number:016x}" for number in index],
        "label": label.astype(np.int16),
        "prediction": np.where(right, label, (label + 1) % CLASSES).astype(np.int16),
        "p_label": np.where(right, 0.6, 0.01 + 0.3 * index / len(right)).astype(np.float32),
    }
    return pl.DataFrame(columns)


def made(right: Right, *, together: bool = False, blind: tuple[str, ...] = (), trainings: str = "") -> Comparison:
    """The comparison of all algorithms with the first.

    Args:
        right: What they get right.
        together: Whether one training serves all targets of a trial.
        blind: Algorithms whose predictions are not at hand.
        trainings: An algorithm whose trainings serve all.
    """
    names = tuple(dict.fromkeys(name for name, _, _ in right))
    targets = tuple(dict.fromkeys(target for _, target, _ in right))
    trials = 1 + max(trial for _, _, trial in right)
    pool = [
        candidate(
            name, target, trial,
            clean={"source" if together else f"all but {target}": 0.9},
            shifted={"blur": {"source" if together else f"all but {target}": 0.8}},
            on_target=float(correct.mean()), dataset="digits",
            training=f"{trainings or name}-{'all' if together else target}-{trial}",
            digest=f"{name}-{target}-{trial}", track="online" if name == "t3a" else "inductive",
        )
        for (name, target, trial), correct in right.items()
    ]  # fmt: skip
    card = rules("quick", trials=trials)
    found = Records(
        card, *tables(pool), names, 0, (), ("2",), ("0.1",), {"digits": "0"}, targets, dict.fromkeys(targets, 1.0)
    )

    def predicted(algorithm: str, run: str) -> pl.DataFrame | None:
        if algorithm in blind:
            return None
        target, trial = run.removeprefix(f"{algorithm}-").removesuffix("-0").rsplit("-", 1)
        chosen = table(right[algorithm, target, int(trial)], target)
        other = chosen.with_columns(
            pl.lit(50).alias("step"), pl.lit(0, pl.Int16).alias("prediction")
        )  # of another step
        return pl.concat([other, chosen.with_columns(pl.lit(100).alias("step")).select(other.columns)])

    return compare(found, names, predicted)
