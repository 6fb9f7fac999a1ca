"""Is it work of its own? Trials that differ, and predictions that are nobody else's.

Two recipes of dgbench may come to the same in some runs: a greedy soup that keeps one member is that member, and a
search may draw the value at which a part does nothing. What a recipe gives can be computed again, so that is marked. A
submission all of whose runs are another's is a copy, whatever it is called.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from dgbench.submissions.evidence import Evidence
from dgbench.submissions.verdicts import Check, Finding, mark, refuse

_TELLING = (pl.col("view") == "clean") & (pl.col("n") >= 10) & ~(pl.col("nll") < 1e-4)
"""Streams whose predictions are as good as a signature: not where all is certain, or there is next to nothing. Of
classes alone many methods predict the same where they are easy, so that is marked, and not refused."""
_CLASSES = pl.col("nll").is_nan()
"""Whether only classes are known."""
_PLACE = ("target", "trial")


def work_of_its_own(seen: Evidence) -> Iterator[Finding]:
    """E09: no trial, and no other method, has the same predictions bit for bit."""
    yield from _between_trials(seen)
    yield from _between_methods(seen)


def _between_trials(seen: Evidence) -> Iterator[Finding]:
    metrics, _ = seen.records
    target = metrics.filter(_TELLING & (pl.col("split") == "target"))
    same = (
        target.group_by("target", "draw", "step", "digest")
        .agg(pl.col("trial").unique().sort(), _CLASSES.any().alias("classes"))
        .filter(pl.col("trial").list.len() > 1)
        .sort("target", "draw", "step")
    )
    places = target.select("target", "draw", "step").n_unique()
    if seen.submission.claims.deterministic:
        if same.height < places and seen.asked.board.most > 1:
            yield refuse("it claims to have no chance in it, and its trials differ")
        elif same.height:
            yield mark("it claims to have no chance in it: its trials predict the same")
        return
    for name, draw, step, _, trials, classes in same.iter_rows():
        where = f"target {name}, draw {draw}, step {step}: trials {', '.join(map(str, trials))} predict the same"
        yield mark(f"{where} classes") if classes else refuse(f"{where}, bit for bit")


def _between_methods(seen: Evidence) -> Iterator[Finding]:
    """Whoever shares validation predictions shares those of the target, and the training, or copied."""
    metrics, runs = seen.records
    other, other_runs = seen.others.metrics, seen.others.runs
    streams = ("split", "domain", "step")
    own = metrics.filter(_TELLING).select(*_PLACE, *streams, "digest", "run", _CLASSES.alias("classes"))
    theirs = other.filter(_TELLING).select(*_PLACE, *streams, "digest", "algorithm", pl.col("run").alias("theirs"))
    pairs = own.join(theirs, on=[*_PLACE, "split", "domain", "digest"])
    if pairs.is_empty():
        return
    trained = runs.select("run", "training").unique()
    others_trained = other_runs.select(pl.col("run").alias("theirs"), pl.col("training").alias("other")).unique()
    matched = (
        pairs.group_by(*_PLACE, "algorithm", "run", "theirs", "step", "step_right")
        .agg(
            (pl.col("split") == "target").any().alias("target_too"),
            (pl.col("split") != "target").any().alias("val"),
            pl.col("classes").any(),
        )
        .join(trained, on="run")
        .join(others_trained, on="theirs")
        .sort("algorithm", *_PLACE, "step")
    )
    alike = set()
    runs_of = matched.group_by("algorithm").agg(pl.col("run").n_unique()).iter_rows()
    partly = {method for method, count in runs_of if seen.submission.method.recipe and count < trained.height}
    for row in matched.iter_rows(named=True):
        method, target_too, validation = row["algorithm"], row["target_too"], row["val"]
        where = f"target {row['target']}, trial {row['trial']}, step {row['step']}"
        if row["classes"]:
            yield mark(f"{where}: it predicts classes that '{method}' predicts, all of them the same")
        elif target_too and validation and row["training"] == row["other"]:
            alike.add(method)
        else:
            said = _in_words(method, target_too, validation)
            yield (
                mark(f"{where}: {said}; 'dgbench verify' tells that from a copy")
                if method in partly
                else refuse(f"{where}: {said}")
            )
    for method in sorted(alike):
        yield mark(f"it shares trainings and predictions with '{method}': where all are the same, they are one result")


def _in_words(method: str, target: bool, validation: bool) -> str:
    if target and validation:
        return f"it predicts what '{method}' predicts, bit for bit"
    same, other = ("target", "validation") if target else ("validation", "target")
    return f"its {same} predictions are those of '{method}', and its {other}'s are not"


CHECKS = (
    Check(
        "E09",
        "trials differ, and predictions are nobody else's",
        "Run every trial by its own seed. A method without chance says 'deterministic' in its claims",
        work_of_its_own,
    ),
)
