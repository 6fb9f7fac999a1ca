from __future__ import annotations

import pytest
import torch

import domainbed_toy as toy
from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.sd import SD


def test_the_worked_example() -> None:
    assert SD(0.1).loss(toy.seen()).item() == pytest.approx(0.708887, abs=1e-6)
    assert (SD(1).loss(toy.seen()) - CrossEntropy().loss(toy.seen())).item() == pytest.approx(0.849583, abs=1e-6)


def test_without_weight_it_is_erm(uneven) -> None:
    assert torch.equal(SD(0).loss(uneven), CrossEntropy().loss(uneven))
