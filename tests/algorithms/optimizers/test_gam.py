from __future__ import annotations

import torch

from dgbench.algorithms.optimizers.gam import GAM, further


def test_worked_example(direction):
    expected = torch.tensor([1.029448, 5.110211]).double()
    got = direction(GAM(difference=0.1, rho=0.2, alpha=0.1, beta=0.1, gamma=0.05))
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)


def test_the_points_of_the_worked_example(quadratic):
    closure = quadratic([1, 4], [1, 1])
    got = further(closure, [closure.network.weight], [torch.tensor([1, 4]).double()], difference=0.1, rho=0.2)
    expected = [[1.024254, 4.388057], [1.012476, 4.798442], [1.033121, 5.189824]]
    for (g,), values in zip(got, expected, strict=True):
        torch.testing.assert_close(g, torch.tensor(values).double(), atol=1e-6, rtol=0)


def test_a_difference_of_gradients_is_that_of_the_gradients_norm(quadratic):
    """On a quadratic exactly: H g / ||g||."""
    closure = quadratic([1, 4], [1, 1])
    g0 = torch.tensor([1, 4]).double()
    g1 = further(closure, [closure.network.weight], [g0], difference=0.1, rho=0.2)[0][0]
    torch.testing.assert_close((g1 - g0) / 0.1, torch.tensor([1, 16]).double() / 17**0.5)


def test_without_distances_it_is_the_gradient(direction):
    torch.testing.assert_close(direction(GAM(difference=0, rho=0, alpha=0.3)), torch.tensor([1, 4]).double())


def test_without_gamma_it_is_the_mean_of_the_gradients_across(direction):
    got = direction(GAM(difference=0.1, rho=0.2, alpha=0.1, gamma=0))
    expected = 0.1 * torch.tensor([1.024254, 4.388057]) + 0.9 * torch.tensor([1.033121, 5.189824])
    torch.testing.assert_close(got, expected.double(), atol=1e-6, rtol=0)
