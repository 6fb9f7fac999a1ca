"""Predictions of a board as one table, against the files that it is read from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import dgbench
from dgbench.core.cards import BoardCard
from dgbench.core.errors import StoreError, UnknownNameError
from dgbench.core.seals import seal
from dgbench.runs.index import index
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.predictions import WHOSE
from dgbench.runs.store import Store
from dgbench.selection.predictions import PREDICTIONS, scores_kept
from small import small_board

# The first two are one run: the second says by hand what is the default.
RULES = small_board("erm", "erm(label_smoothing=0.0)", "t3a", trials=2)


def written(seed: int, classes: int = 10) -> pl.DataFrame:
    """A run's table of six examples in two views, at two steps."""
    random = np.random.default_rng(seed)
    parts = []
    for step, view in ((2, "clean"), (2, "blur"), (4, "clean"), (4, "blur")):
        scores = random.standard_normal((6, classes)).astype(np.float32)
        prediction = scores.argmax(1)
        kept = scores_kept(scores, prediction, "logits")
        rows = pl.DataFrame(
            {
                "step": [step] * 6, "split": ["validation"] * 6, "domain": ["handwritten"] * 6, "view": [view] * 6,
                "index": range(6), "sample": [f"{i:016x}" for i in range(6)], "group": [None] * 6,
                "label": random.integers(0, classes, 6), "prediction": prediction, "confidence": [0.5] * 6,
                "p_label": [0.25] * 6,
            }
        )  # fmt: skip
        parts.append(
            rows.hstack(kept if view == "clean" else kept.clear(6)).select(PREDICTIONS.names()).cast(PREDICTIONS)
        )
    return pl.concat(parts)


def filled(root: Path, rules: BoardCard = RULES) -> tuple[Plan, Store]:
    """A store in which each run of a board says something else."""
    plan, store = make_plan(rules), Store(root)
    store.write_index(rules, index(plan))
    for seed, run in enumerate(plan.runs.values()):
        with store.claim("run", run.spec()) as folder:
            assert folder is not None
            dataset = plan.trainings[run.training].dataset
            written(seed, len(plan.cards[dataset].classes)).write_parquet(folder / "predictions.parquet")
            seal(folder, {})
    return plan, store


def test_every_row_of_every_run_is_there_for_each_algorithm_that_it_serves(tmp_path: Path) -> None:
    plan, store = filled(tmp_path)
    assert len(plan.runs) < len(plan.entries)
    frame = dgbench.predictions(RULES, store=tmp_path)
    assert isinstance(frame, pl.LazyFrame)
    assert frame.collect_schema() == {**WHOSE, **PREDICTIONS}
    found = frame.collect()
    assert found.height == 24 * len(plan.entries)
    for entry in plan.entries:
        mine = found.filter(
            *(pl.col(name) == getattr(entry, name) for name in ("algorithm", "target", "trial", "draw"))
        )
        stored = pl.read_parquet(store.folder("run", entry.run) / "predictions.parquet")
        assert mine.select(PREDICTIONS.names()).equals(stored)
        assert mine["run"].unique().to_list() == [entry.run]


def test_only_what_is_asked_for_is_opened(tmp_path: Path) -> None:
    plan, store = filled(tmp_path)
    (entry,) = (e for e in plan.entries if (e.algorithm, e.target, e.trial) == ("t3a", "print", 1))
    for run in plan.runs:
        if run != entry.run:
            (store.folder("run", run) / "predictions.parquet").unlink()
    frame = dgbench.predictions(RULES, algorithm="t3a", target="print", trial=1, draw=0, store=tmp_path)
    assert frame.collect().height == 24


def test_the_chosen_models_are_one_join_away(tmp_path: Path) -> None:
    filled(tmp_path)
    frame = dgbench.predictions(RULES, algorithm="erm", store=tmp_path)
    whose = ["algorithm", "target", "trial", "draw", "step"]
    chosen = frame.select(whose).unique().filter(pl.col("step") == 4).collect()
    assert frame.join(chosen.lazy(), on=whose, how="semi").collect().height == 12 * 8


def test_what_is_missing_damaged_or_misspelt_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StoreError, match="'dgbench run small' fills it"):
        dgbench.predictions(RULES, store=tmp_path)
    plan, store = filled(tmp_path)
    with pytest.raises(UnknownNameError, match=r"no algorithm on 'small' named 't3b'. Did you mean 't3a'"):
        dgbench.predictions(RULES, algorithm="t3b", store=tmp_path)
    with pytest.raises(UnknownNameError, match="no target on 'small' named 'prince'"):
        dgbench.predictions(RULES, target="prince", store=tmp_path)
    with pytest.raises(
        StoreError, match=r"'small', trial 7: no run is finished in .*'dgbench run' does what is missing"
    ):
        dgbench.predictions(RULES, trial=7, store=tmp_path)
    one, two, *_ = plan.runs
    path = store.folder("run", one) / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    (store.folder("run", two) / "done.json").unlink()
    left = [entry for entry in plan.entries if entry.run not in (one, two)]
    found = dgbench.predictions(RULES, store=tmp_path).collect()
    assert found.height == 24 * len(left)
    assert "predictions.parquet is damaged" in caplog.text


def test_datasets_of_several_sizes_make_one_table(tmp_path: Path) -> None:
    rules = small_board("erm").model_copy(update={"dataset": ("digits", "letters")})
    filled(tmp_path, rules)
    found = dgbench.predictions(rules, store=tmp_path).filter(pl.col("view") == "clean").collect()
    sizes = found.group_by("dataset").agg(pl.col("logits").list.len().unique()).sort("dataset")
    assert sizes.rows() == [("digits", [10]), ("letters", [26])]


def test_reading_takes_no_torch(tmp_path: Path) -> None:
    filled(tmp_path)
    code = (
        "import sys; from pathlib import Path; import dgbench; from small import small_board\n"
        "rules = small_board('erm', 'erm(label_smoothing=0.0)', 't3a', trials=2)\n"
        "frame = dgbench.predictions(rules, store=Path(sys.argv[1])).collect()\n"
        "print(frame.height, [name for name in ('torch', 'timm', 'kornia') if name in sys.modules])"
    )
    here = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True, text=True, check=True, cwd=here,
    )  # fmt: skip
    assert done.stdout.split(" ", 1)[1].strip() == "[]"
