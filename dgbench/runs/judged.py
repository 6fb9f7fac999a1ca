"""What judges of candidates measured, as records of the candidates, and who still waits for one."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from dgbench.core.spec import Spec
from dgbench.runs.store import Store
from dgbench.selection.records import CANDIDATE, CELL, METRICS, WEIGHED

ENTRY = (*CELL, "draw")
JUDGES = pl.Schema(
    {
        **{name: METRICS[name] for name in (*ENTRY, "split")},
        **dict.fromkeys(("dataset", "training", "run"), pl.String()),
        **dict.fromkeys(("domains", "views"), pl.List(pl.String())),
    }
)
"""What a board's list of runs says of each judge, as :class:`dgbench.runs.judges.Judge` has it."""
_READS: Mapping[str, str] = {"folds": "validation", "domains": "target", "weights": "validation"}
"""Which of its own records each kind of judge is read by."""


def judges_of(index: Spec) -> pl.DataFrame:
    """The judges on a list of runs: none where its criterion has none."""
    rows = [[judge[name] for name in JUDGES] for judge in index.get("judges", ())]
    return pl.DataFrame(rows, JUDGES, orient="row")


def diverged(store: Store, judges: pl.DataFrame, done: pl.Series) -> pl.DataFrame:
    """The judges whose training diverged.

    Args:
        store: Holds notes of what failed.
        judges: Which.
        done: The runs that are finished.
    """
    left = judges.filter(~pl.col("run").is_in(done.implode()))
    ended = {id_: store.failure(id_) for id_ in left["training"].unique()}
    lost = [id_ for id_, end in ended.items() if end is not None and end.status == "diverged"]
    return left.filter(pl.col("training").is_in(lost))


def waited_for(judges: pl.DataFrame, lost: pl.DataFrame, done: pl.DataFrame) -> pl.DataFrame:
    """The judges whose ``run`` is neither done nor diverged: until they are, nothing is known of their candidates."""
    return judges.join(done, on="run", how="anti").join(lost, on="training", how="anti")


def judged(judges: pl.DataFrame, lost: pl.DataFrame, candidates: pl.DataFrame, measured: pl.DataFrame) -> pl.DataFrame:
    """The records of judgements, as :data:`METRICS`.

    The n-th step of a candidate's run is judged by the n-th of the judge's: averages may end at different steps. What
    a judge that diverged would say of a candidate is not a number, so the candidate is never chosen.

    Args:
        judges: As :data:`JUDGES`.
        lost: Those of them that diverged.
        candidates: The records of candidates.
        measured: What runs measured, as :data:`dgbench.runs.finished.MEASURED`; maybe with a ``headline``.
    """
    own = _places(candidates.select(*ENTRY, "title", "track", "run", "step").unique(), *ENTRY)
    asked = judges.select(*ENTRY, "split", "domains", "views", judge="run")
    theirs = _places(measured, "run").rename({"run": "judge", "split": "seen"}).drop("step")
    counts = (
        (pl.col("seen") == pl.col("split").replace_strict(_READS))
        & pl.col("domains").list.contains(pl.col("domain"))
        & pl.col("views").list.contains(pl.col("view"))
    )
    found = asked.join(theirs, on="judge").filter(counts).join(own, on=[*ENTRY, "at"])
    if "headline" in measured.columns:
        found = found.with_columns(accuracy=pl.coalesce("headline", "accuracy"))
    nothing = {"accuracy": float("nan"), "nll": float("nan"), "n": 0, "digest": ""}
    unknown = (
        lost.select(*ENTRY, "split", domain="domains", view="views")
        .explode("domain")
        .explode("view")
        .join(own, on=ENTRY)
        .with_columns(pl.lit(value).alias(name) for name, value in nothing.items())
    )
    parts = [part.select(pl.col(name).cast(kind) for name, kind in METRICS.items()) for part in (found, unknown)]
    return pl.concat(parts).sort(*ENTRY, "step", "split", "domain", "view")


def weighed(judges: pl.DataFrame, candidates: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """What was found of the weights of candidates: :data:`CANDIDATE`, and :data:`WEIGHED`.

    Args:
        judges, candidates: As for :func:`judged`.
        weights: What runs that look at weights found, as :data:`dgbench.runs.finished.LOOKED_AT`.
    """
    own = _places(candidates.select(CANDIDATE).unique(), *ENTRY)
    theirs = _places(weights, "run").drop("step")
    return judges.select(*ENTRY, "run").join(theirs, on="run").join(own, on=[*ENTRY, "at"]).select(*CANDIDATE, *WEIGHED)


def _places(rows: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Rows with the number of their step among those of a run."""
    return rows.with_columns(at=pl.col("step").rank("dense").over(by))
