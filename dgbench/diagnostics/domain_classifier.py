"""How well two domains are told apart.

S. Ben-David, J. Blitzer, K. Crammer, F. Pereira: Analysis of Representations for Domain Adaptation, NIPS 2006: where
nobody can tell from which of two domains an example comes, what is learned on one holds on the other. Their proxy of
the A-distance is ``2 (1 - 2 error)``, here ``4 (accuracy - 1/2)``.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from dgbench.diagnostics.arrays import Points

FOLDS = 5


def told_apart(first: Points, second: Points, seed: int) -> float | None:
    """Share of examples whose domain a linear classifier finds, half of them of each domain; 1/2 is chance.

    It is fitted by logistic regression and asked about examples that it did not see, in five folds. None where a domain
    has fewer examples than there are folds.

    Args:
        first: Of one domain, ``[n, d]``, each coordinate with a variance of about one.
        second: Of another, ``[m, d]``.
        seed: Deals examples to folds.
    """
    if min(len(first), len(second)) < FOLDS:
        return None
    points = np.concatenate([first, second])
    domain = np.repeat([0, 1], [len(first), len(second)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    fit = LogisticRegression(class_weight="balanced", max_iter=1000)
    right = cross_val_predict(fit, points, domain, cv=folds) == domain
    return float(right[domain == 0].mean() + right[domain == 1].mean()) / 2
