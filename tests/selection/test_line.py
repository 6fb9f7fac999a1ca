"""The line through accuracies against scipy's regression, and models that were put on it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from dgbench.selection.line import EDGE, fit, probit


def test_the_line_is_scipys_regression_of_probits() -> None:
    random = np.random.default_rng(0)
    sources = random.uniform(0.6, 0.99, 12)
    targets = np.clip(sources - 0.2 + 0.05 * random.normal(size=12), 0.01, 0.99)
    line = fit(sources.tolist(), targets.tolist())
    found = scipy.stats.linregress(scipy.stats.norm.ppf(sources), scipy.stats.norm.ppf(targets))
    assert line is not None
    assert (line.slope, line.intercept, line.r2) == pytest.approx((found.slope, found.intercept, found.rvalue**2))
    assert line.n == 12


def test_models_on_a_line_have_no_robustness_and_one_above_it_has_what_it_was_given() -> None:
    sources = np.array([0.7, 0.8, 0.9, 0.95, 0.97])
    targets = scipy.stats.norm.cdf(-0.9 + 0.8 * scipy.stats.norm.ppf(sources))
    line = fit(sources.tolist(), targets.tolist())
    assert line is not None
    assert (line.slope, line.intercept, line.r2) == pytest.approx((0.8, -0.9, 1.0))
    assert line.robustness(sources, targets) == pytest.approx(np.zeros(5), abs=1e-12)
    assert line.robustness([0.85], [line.expected([0.85])[0] + 0.03]) == pytest.approx([0.03])


def test_where_there_is_no_line() -> None:
    assert fit([0.8, 0.9], [0.5, 0.6]) is None
    assert fit([0.8, 0.8, 0.8], [0.5, 0.6, 0.7]) is None
    assert fit([0.7, 0.8, 0.9], [0.5, 0.5, 0.5]) is None
    assert fit([], []) is None


def test_perfect_models_stay_on_the_scale() -> None:
    assert np.isfinite(probit([0.0, 1.0])).all()
    assert probit([1.0])[0] == pytest.approx(scipy.stats.norm.ppf(1 - EDGE))
    line = fit([1.0, 0.99, 0.9], [0.9, 0.8, 0.5])
    assert line is not None
    assert 0 < line.r2 <= 1
