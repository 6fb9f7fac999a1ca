"""Two precisions are compared in pairs: against scipy's paired test, and against counts taken by hand."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import ttest_rel
from scripts_loaded import load_script

precision = load_script("measure_precision")


def test_the_interval_is_that_of_the_paired_test() -> None:
    random = np.random.default_rng(0)
    full = random.normal(90, 2, 5)
    half = full + random.normal(0.1, 0.3, 5)
    mean, width = precision.interval((half - full).tolist())
    low, high = ttest_rel(half, full).confidence_interval(0.95)
    assert (mean - width, mean + width) == pytest.approx((low, high))


def test_a_line_counts_other_predictions_and_averages_over_targets(capsys: pytest.CaptureFixture[str]) -> None:
    cells = [("erm", target, trial, f"{n}", n % 2) for target in ("a", "b") for trial in (0, 1) for n in range(4)]
    frame = pl.DataFrame(cells, ["algorithm", "target", "trial", "sample", "label"], orient="row")
    full = frame.with_columns(prediction=pl.col("label"))
    wrong = (pl.col("target") == "b") & (pl.col("trial") == 1) & (pl.col("sample") == "2")
    half = full.with_columns(prediction=pl.when(wrong).then(1).otherwise(pl.col("label"))).reverse()
    precision.report(full, half)
    line = capsys.readouterr().out.splitlines()[-1]
    # Trial 0 is all right; in trial 1 one of two targets loses a quarter: -12.5, so -6.25 on average.
    width = 12.706 * 12.5 / 2  # t of one degree of freedom, times the standard error of two values 12.5 apart
    assert line.startswith("| erm | 100.00 | 93.75 | -6.25 ± ")
    assert float(line.split("± ")[1].split(" ")[0]) == pytest.approx(width, abs=0.01)
    assert line.endswith("| 1 of 16 |")
