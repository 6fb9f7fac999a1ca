"""Tent and PL on the head, and Tent before it, against worked examples and against torch's own gradients and Adam."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.predictors.learning_head import entropy_slopes
from dgbench.algorithms.predictors.pl_head import PLHead
from dgbench.algorithms.predictors.tent_bn import TentBN
from dgbench.algorithms.predictors.tent_head import TentHead
from dgbench.models.network import Network


@pytest.fixture
def network(head_of) -> Network:
    return head_of((2 * torch.randn(3, 5, generator=torch.Generator().manual_seed(0))).tolist())


@pytest.fixture
def batches() -> list[Tensor]:
    return list(torch.randn(24, 5, generator=torch.Generator().manual_seed(1)).split(6))


def entropy(logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return -(p * p.log()).sum(1).mean()


def test_slopes_are_those_of_the_mean_entropy_of_a_batch() -> None:
    """Which Adam would hardly tell from those of a sum."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
        (expected,) = torch.autograd.grad(entropy(logits), logits)
        torch.testing.assert_close(entropy_slopes(logits.detach()), expected)


def sure_ones(threshold: float):
    def loss(logits: Tensor) -> Tensor | None:
        p = logits.softmax(1)
        kept = p.max(1).values > threshold
        return nn.functional.cross_entropy(logits[kept], p[kept].argmax(1)) if kept.any() else None

    return loss


def reference(head: nn.Sequential, moving, loss, batches: list[Tensor], lr: float, steps: int, after: bool) -> Tensor:
    """The loop as anyone would write it: torch's gradients, its Adam, and scores before the last step or after it."""
    found = []
    with torch.inference_mode(mode=False), torch.enable_grad():
        adam = torch.optim.Adam(moving, lr=lr)
        for batch in batches:
            x = batch.clone()
            for _ in range(steps):
                logits = head(x)
                value = loss(logits)
                if value is not None:
                    adam.zero_grad()
                    value.backward()
                    adam.step()
            found.append((head(x) if after else logits).detach())
    return torch.cat(found)


def copied(network: Network) -> nn.Linear:
    with torch.inference_mode(mode=False):
        head = nn.Linear(network.head.in_features, network.head.out_features)
        head.load_state_dict({key: value.clone() for key, value in network.head.state_dict().items()})
    return head


def test_the_worked_example_of_entropy() -> None:
    logits = torch.tensor([[1.0, 0.0]])
    torch.testing.assert_close(entropy(logits), torch.tensor(0.5822), rtol=0, atol=5e-5)
    torch.testing.assert_close(entropy_slopes(logits), torch.tensor([[-0.1966, 0.1966]]), rtol=0, atol=5e-5)


@pytest.mark.parametrize("timing", ["before", "after"])
@pytest.mark.parametrize(("lr", "steps"), [(1e-3, 1), (0.05, 3)])
def test_tent_on_the_head_is_the_loop_of_torch(lr, steps, timing, network, batches) -> None:
    head = copied(network)
    expected = reference(nn.Sequential(head), head.parameters(), entropy, batches, lr, steps, timing == "after")
    stream = TentHead(lr, steps, timing).prepare(network, None)
    torch.testing.assert_close(torch.cat([stream.observe(batch) for batch in batches]), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("timing", ["before", "after"])
@pytest.mark.parametrize(("threshold", "lr", "steps"), [(0.9, 1e-3, 1), (0.6, 0.05, 3), (0.9999, 0.05, 2)])
def test_pseudo_labels_are_the_loop_of_torch(threshold, lr, steps, timing, network, batches) -> None:
    head = copied(network)
    loss = sure_ones(threshold)
    expected = reference(nn.Sequential(head), head.parameters(), loss, batches, lr, steps, timing == "after")
    stream = PLHead(threshold, lr, steps, timing).prepare(network, None)
    torch.testing.assert_close(torch.cat([stream.observe(batch) for batch in batches]), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("timing", ["before", "after"])
@pytest.mark.parametrize(("lr", "steps"), [(1e-3, 1), (0.05, 3)])
def test_tent_before_the_head_is_a_layer_of_torch_in_training(lr, steps, timing, network, batches) -> None:
    with torch.inference_mode(mode=False):
        layer = nn.BatchNorm1d(5, track_running_stats=False)
    whole = nn.Sequential(layer, copied(network))
    expected = reference(whole, layer.parameters(), entropy, batches, lr, steps, timing == "after")
    stream = TentBN(lr, steps, timing).prepare(network, None)
    torch.testing.assert_close(torch.cat([stream.observe(batch) for batch in batches]), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "predictor", [TentHead(lr=0), PLHead(lr=0), PLHead(threshold=1), PLHead(threshold=1, lr=1, steps=3)], ids=str
)
def test_where_nothing_moves_it_is_the_network(predictor, network, batches) -> None:
    stream = predictor.prepare(network, None)
    assert predictor.track == "inductive"
    for batch in batches:
        assert torch.equal(stream.observe(batch), network(batch))


@pytest.mark.parametrize("predictor", [TentHead(), PLHead(threshold=0)], ids=str)
def test_the_first_scores_are_those_of_the_network(predictor, network, batches) -> None:
    stream = predictor.prepare(network, None)
    assert predictor.track == "online"
    assert torch.equal(stream.observe(batches[0]), network(batches[0]))
    assert not torch.equal(stream.observe(batches[0]), network(batches[0]))


@pytest.mark.parametrize("predictor", [TentHead(lr=0.01, timing="after"), PLHead(lr=0.01, timing="after")], ids=str)
def test_predictions_become_surer(predictor, network, batches) -> None:
    stream = predictor.prepare(network, None)
    for _ in range(5):
        learnt = stream.observe(batches[0])
    assert entropy(learnt) < entropy(network(batches[0]))


def test_a_single_example_is_normalised_as_the_last_batch_was(network, batches) -> None:
    stream = TentBN(lr=0).prepare(network, None)
    alone = batches[1][:1]
    plain = network(alone / (1 + 1e-5) ** 0.5)
    torch.testing.assert_close(stream.observe(alone), plain)  # a new layer does next to nothing
    stream.observe(batches[0])
    mean, variance = batches[0].mean(0), batches[0].var(0, correction=0)
    torch.testing.assert_close(stream.observe(alone), network((alone - mean) / (variance + 1e-5).sqrt()))
    stream.reset(0)
    torch.testing.assert_close(stream.observe(alone), plain)
