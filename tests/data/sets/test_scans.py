"""Scans that are read from scikit-learn's file are those that scikit-learn gives."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dgbench.data.sets.drawing import scans


def test_they_are_scikit_learns_wherever_its_file_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    known = load_digits()
    read = scans.scans()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(scans.Path, "is_file", lambda path: False)
        loaded = scans.scans()
    for pictures, labels in (read, loaded):
        np.testing.assert_array_equal(pictures, known.images)
        np.testing.assert_array_equal(labels, known.target)
        assert (pictures.dtype, labels.dtype) == (np.float64, np.int64)
