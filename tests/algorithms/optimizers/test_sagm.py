from __future__ import annotations

import pytest
import torch

from dgbench.algorithms.optimizers.sagm import SAGM
from dgbench.algorithms.optimizers.sam import SAM


def test_worked_example(direction):
    expected = torch.tensor([1.007127, 4.114029]).double()
    torch.testing.assert_close(direction(SAGM(rho=0.1, alpha=0.01)), expected, atol=1e-6, rtol=0)


def test_the_shift_turns_downhill_where_the_gradient_is_long():
    slopes = [torch.tensor([3.0, 4.0]).double()]
    up, none, down = (SAGM(rho=0.5, alpha=alpha).ascent(None, [], slopes)[0] for alpha in (0.05, 0.1, 0.2))
    torch.testing.assert_close(up, 0.05 * slopes[0])
    assert none.norm().item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(down, -0.1 * slopes[0])


def test_without_alpha_it_is_halfway_from_the_gradient_to_sams(direction):
    expected = (torch.tensor([1, 4]).double() + direction(SAM(rho=0.1))) / 2
    torch.testing.assert_close(direction(SAGM(rho=0.1, alpha=0)), expected)


def test_without_both_it_is_the_gradient(direction):
    assert torch.equal(direction(SAGM(rho=0, alpha=0)), torch.tensor([1, 4]).double())


def test_on_a_quadratic_it_is_the_gradient_of_its_objective():
    """L(w) + L(w - alpha grad L(w)), differentiated without the terms in alpha^2, halved, at rho = 0."""
    H = torch.diag(torch.tensor([1.0, 4.0])).double()
    w, alpha = torch.tensor([1.0, 1.0]).double(), 1e-3
    got = (H @ w + H @ (w + SAGM(rho=0, alpha=alpha).ascent(None, [], [H @ w])[0])) / 2
    torch.testing.assert_close(got, H @ w - alpha / 2 * H @ H @ w)
