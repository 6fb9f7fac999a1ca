"""Scans that are read from scikit-learn's file are those that scikit-learn gives."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dgbench.data.sets.drawing import scans


def test_they_are_scikit_learns_wherever_its_file_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    known = load_digits()
    read = scans.scans()
    moved = SimpleNamespace(locate_file=lambda path: Path("elsewhere", path))
    monkeypatch.setattr("dgbench.data.sets.drawing.scans.distribution", lambda name: moved)
    loaded = scans.scans()
    for pictures, labels in (read, loaded):
        np.testing.assert_array_equal(pictures, known.images)
        np.testing.assert_array_equal(labels, known.target)
        assert pictures.dtype == np.float64
        assert labels.dtype == np.int64
