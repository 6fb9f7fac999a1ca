"""Records with known answers: what a board would have measured, written down by hand or drawn from a simple law."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from dgbench.board.leaderboard import BoardInfo, Entry, Leaderboard
from dgbench.selection.records import METRICS, RUNS

FAMILIES = (
    "arithmetic", "artistic", "blur", "color", "contrast", "convolutional", "edges", "geometric", "segmentation",
    "weather",
)  # fmt: skip
DOMAINS = ("handwritten", "print", "dot-matrix", "seven-segment")


def candidate(
    algorithm: str,
    target: str = "b",
    trial: int = 0,
    draw: int = 0,
    step: int = 100,
    *,
    clean: Mapping[str, float] | None = None,
    shifted: Mapping[str, Mapping[str, float]] | None = None,
    judged: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None,
    on_target: float = 0.5,
    trained: Iterable[str] = (),
    track: str = "inductive",
    digest: str = "",
    **run: Any,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The metrics of one candidate and the row of its run.

    ``clean`` maps source domains to accuracies, ``shifted`` maps families to the same, ``judged`` maps kinds of judges
    to views to that.
    """
    clean = {"a": 0.9} if clean is None else clean
    place = {"algorithm": algorithm, "target": target, "trial": trial, "draw": draw}
    id_ = f"{algorithm}-{target}-{trial}-{draw}"
    streams = [("validation", domain, "clean", value) for domain, value in clean.items()]
    streams += [("validation", d, family, v) for family, values in (shifted or {}).items() for d, v in values.items()]
    streams += [
        (kind, domain, view, value)
        for kind, views in (judged or {}).items()
        for view, values in views.items()
        for domain, value in values.items()
    ]
    streams += [("target", target, "clean", on_target)]
    metrics = [
        {
            **place, "title": algorithm.upper(), "track": track, "step": step, "split": split, "domain": domain,
            "view": view, "accuracy": value, "nll": 1 - value, "n": 100,
            "digest": digest or f"{id_}-{step}-{domain}-{view}", "run": id_,
        }
        for split, domain, view, value in streams
    ]  # fmt: skip
    defaults = {
        "run": id_, "training": id_, "dataset": "toy", "sources": sorted(clean),
        "backbone": "dgbench:vit-micro@letters", "pretrained_on": "Letters A to Z", "families": list(trained),
        "hyperparameters": "{}", "train_seconds": 10.0, "run_seconds": 1.0, "device": "cpu", "torch": "2.9",
        "passes": 1.0, "without_effect": "",
    }  # fmt: skip
    return metrics, {**defaults, **place, **run}


def tables(candidates: Iterable[tuple[list[dict[str, Any]], dict[str, Any]]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The two tables of records; steps of one draw share its run."""
    rows, runs = [], {}
    for metrics, run in candidates:
        rows += metrics
        runs[run["algorithm"], run["target"], run["trial"], run["draw"]] = run
    return (
        pl.DataFrame([[row[name] for name in METRICS] for row in rows], schema=METRICS, orient="row"),
        pl.DataFrame([[row[name] for name in RUNS] for row in runs.values()], schema=RUNS, orient="row"),
    )


def info(**changes: Any) -> BoardInfo:
    """The rules of a board over the domains a and b."""
    rules = {
        "name": "toy", "title": "Toy board", "version": 1, "rules": "0123456789abcdef", "dataset": "toy",
        "domains": ("a", "b"), "classes": 2, "protocol": "One domain is left out.", "criterion": "source",
        "trials": 2, "draws": 1, "algorithms": ("erm", "sam", "irm"), "recompute": "dgbench board toy",
    }  # fmt: skip
    return BoardInfo(**{**rules, **changes})


def board(
    skills: Mapping[str, float], *, trials: int = 2, domains: tuple[str, ...] = ("a", "b"), noise: float = 0.0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Algorithms whose target accuracy is their skill, a little more on later targets and trials, plus noise."""
    random = np.random.default_rng(0)
    return tables(
        candidate(
            algorithm,
            target,
            trial,
            clean={domain: 0.95 for domain in domains if domain != target},
            on_target=skill + 0.05 * number + 0.01 * trial + noise * random.standard_normal(),
        )
        for algorithm, skill in skills.items()
        for number, target in enumerate(domains)
        for trial in range(trials)
    )


def picture(seed: int) -> bytes:
    """A small PNG."""
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 64, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def entries(made: Leaderboard, track: str = "inductive") -> dict[str, Entry]:
    """The algorithms of a track, by name."""
    return {entry.algorithm: entry for each in made.tracks if each.name == track for entry in each.entries}
