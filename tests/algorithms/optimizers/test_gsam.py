from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dgbench.algorithms.optimizers.gsam import GSAM
from dgbench.algorithms.optimizers.sam import SAM


def near(value: list[float]) -> Tensor:
    return torch.tensor(value).double()


def test_worked_example(direction):
    got = direction(GSAM(rho=0.1, alpha=0.5))
    torch.testing.assert_close(got, near([0.992804, 4.395398]), atol=1e-6, rtol=0)


def test_what_is_taken_away_is_orthogonal_to_the_gradient_nearby(direction):
    """g has parts (1, 4) along and across g_p; alpha takes of the latter alone."""
    nearby, got = direction(SAM(rho=0.1)), direction(GSAM(rho=0.1, alpha=1))
    across = nearby - got
    assert (across @ nearby).item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(across, near([0.062899, -0.014682]), atol=1e-6, rtol=0)
    along = near([1, 4]) - across
    assert (along / nearby).std().item() == pytest.approx(0, abs=1e-12)


def test_without_alpha_it_is_sam(direction):
    assert torch.equal(direction(GSAM(rho=0.1, alpha=0)), direction(SAM(rho=0.1)))


@pytest.mark.parametrize("alpha", [0.1, 0.7])
def test_without_a_neighbourhood_there_is_no_gap(direction, alpha: float):
    torch.testing.assert_close(direction(GSAM(rho=0, alpha=alpha)), near([1, 4]))


def test_the_radius_follows_the_rate():
    assert {GSAM(rho=0.3, rho_min=0.1).radius(step, 10) for step in range(10)} == {0.3}
    part = GSAM(rho=0.3, rho_min=0.1, schedule="cosine", lr=2.0)
    assert part.radius(0, 10) == pytest.approx(0.3)
    assert part.radius(5, 10) == pytest.approx(0.2)  # half of the rate
    assert GSAM(rho=0.3, warmup=0.5).radius(0, 10) == pytest.approx(0.06)


def test_the_radius_of_the_step_is_taken(direction):
    part = GSAM(rho=0.3, rho_min=0.1, alpha=0, schedule="cosine")
    torch.testing.assert_close(direction(part, step=5), direction(SAM(rho=0.2)))
