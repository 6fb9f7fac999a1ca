"""Networks as shapes: what is without memory is not filled, and whatever else is done there is done."""

import torch
from torch import nn

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
