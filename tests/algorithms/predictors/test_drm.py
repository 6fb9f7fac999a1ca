"""DRM steering against worked examples."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dgbench.algorithms.predictors.drm import DRMSteering, steering_weights


@pytest.mark.parametrize(
    ("gamma", "expected"),
    [
        (0, [1 / 3, 1 / 3, 1 / 3]),
        (0.5, [0.453, 0.320, 0.227]),
        (1, [0.571, 0.286, 0.143]),
        (5, [0.9688, 0.0303, 0.0009]),
        ("hard", [1, 0, 0]),
    ],
)
def test_weights_of_the_worked_example(gamma, expected) -> None:
    weights = steering_weights(torch.tensor([[0.1, 0.2, 0.4]]), gamma)
    torch.testing.assert_close(weights, torch.tensor([expected], dtype=torch.float32), rtol=0, atol=6e-4)


@pytest.mark.parametrize(
    ("gamma", "expected"),
    [(1, [0.5537, 0.2970, 0.1493]), (5, [0.7129, 0.1670, 0.1201]), ("hard", [0.7870, 0.1065, 0.1065])],
)
def test_mixture_of_two_heads(gamma, expected, head_of) -> None:
    """The first head says (2, 0, 0), the second (0, 1, 0)."""
    network = head_of([[1.0], [0.0], [0.0]])
    network.domain_heads = nn.Linear(1, 6)
    network.domain_heads.weight.zero_()
    network.domain_heads.bias.copy_(torch.tensor([2.0, 0, 0, 0, 1, 0]))
    p = DRMSteering(gamma).prepare(network, None).observe(torch.ones(1, 1))
    torch.testing.assert_close(p, torch.tensor([expected]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("gamma", [0, 1, 5, "hard"])
@pytest.mark.parametrize("heads", [1, 3])
def test_identical_heads_are_one_head(gamma, heads, head_of) -> None:
    torch.manual_seed(0)
    network = head_of(torch.randn(3, 4).tolist())
    network.domain_heads = nn.Linear(4, heads * 3)
    network.domain_heads.weight.copy_(network.head.weight.repeat(heads, 1))
    network.domain_heads.bias.copy_(network.head.bias.repeat(heads))
    z = torch.randn(5, 4)
    p = DRMSteering(gamma).prepare(network, None).observe(z)
    torch.testing.assert_close(p, network.head(z).softmax(1))


def test_hard_is_the_limit_of_large_gamma() -> None:
    entropy = torch.rand(20, 3) + 0.01
    torch.testing.assert_close(steering_weights(entropy, 1e4), steering_weights(entropy, "hard"), rtol=0, atol=1e-2)


def test_heads_without_doubt_share_and_outvote_the_others() -> None:
    weights = steering_weights(torch.tensor([[0.0, 0.0, 1.0]]), 1.0)
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0.5, 0.0]]), rtol=0, atol=1e-6)


def test_a_network_without_domain_heads_is_refused(head_of) -> None:
    with pytest.raises(RuntimeError, match="domain_heads"):
        DRMSteering().prepare(head_of([[1.0], [0.0]]), None).observe(torch.ones(1, 1))
