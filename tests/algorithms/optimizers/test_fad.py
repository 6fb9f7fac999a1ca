from __future__ import annotations

import pytest
import torch

from dgbench.algorithms.optimizers.fad import FAD
from dgbench.algorithms.optimizers.sam import SAM


def test_worked_example(direction):
    expected = torch.tensor([1.023275, 4.388993]).double()
    torch.testing.assert_close(direction(FAD(rho=0.1, alpha=0.5, beta=1)), expected, atol=1e-6, rtol=0)


def test_with_the_losss_flatness_alone_it_is_sam(direction):
    torch.testing.assert_close(direction(FAD(rho=0.1, alpha=1, beta=1)), direction(SAM(rho=0.1)))


@pytest.mark.parametrize("part", [FAD(rho=0), FAD(beta=0)])
def test_without_flatness_it_is_the_gradient(direction, part):
    torch.testing.assert_close(direction(part), torch.tensor([1, 4]).double())


@pytest.mark.parametrize(("alpha", "flat"), [(1, [0.024254, 0.388057]), (0, [0.022297, 0.389930])])
def test_each_kind_of_flatness_by_itself(direction, alpha: float, flat: list[float]):
    got = (direction(FAD(rho=0.1, alpha=alpha, beta=3)) - torch.tensor([1, 4])) / 3
    torch.testing.assert_close(got, torch.tensor(flat).double(), atol=1e-6, rtol=0)
