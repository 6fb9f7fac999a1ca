"""Networks that are not filled with random numbers: shapes, and those that are given weights."""

import torch
from torch import nn

from dgbench.models.undrawn import Undrawn
from dgbench.models.weightless import weightless


def test_what_has_memory_is_filled_in_there_as_well() -> None:
    with weightless(), torch.no_grad():
        whole, hollow = torch.zeros(3, device="cpu"), torch.zeros(3)
        for tensor in (whole, hollow):
            assert nn.init.constant_(tensor, 2.0) is tensor
            assert tensor.mul_(3).add_(1).clamp_(max=6) is tensor
    assert whole.tolist() == [6.0, 6.0, 6.0]
    assert hollow.is_meta


def test_steps_of_a_computation_are_done_there() -> None:
    """A gradient goes through them."""
    with weightless():
        x = torch.ones(3, requires_grad=True)
        (x * 2).mul_(torch.ones(1, requires_grad=True)).add_(1).sum().backward()
        assert x.grad is not None
        y = torch.zeros(2)
        assert y.add_(x[:2]).grad_fn is not None


def test_where_nothing_is_drawn_what_is_no_random_number_is_there() -> None:
    before = torch.get_rng_state()
    with Undrawn():
        norm, layer, zeros = nn.BatchNorm2d(3), nn.Conv2d(3, 5, 1), nn.init.zeros_(torch.empty(3))
    assert torch.equal(torch.get_rng_state(), before)
    assert layer.weight.shape == (5, 3, 1, 1)
    expected = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0, "num_batches_tracked": 0}
    assert {name: tensor.unique().item() for name, tensor in norm.state_dict().items()} == expected
    assert zeros.tolist() == [0.0] * 3
