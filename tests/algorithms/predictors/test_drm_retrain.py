"""DRM with retraining against a loop of torch, whose labels come from whom the setting says."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgbench.algorithms.predictors.drm import DRMSteering
from dgbench.algorithms.predictors.drm_retrain import DRMRetraining
from dgbench.models.network import Network

CLASSES, DIM, DOMAINS = 3, 4, 2


@pytest.fixture
def network(head_of) -> Network:
    draw = torch.Generator().manual_seed(0)
    network = head_of((2 * torch.randn(CLASSES, DIM, generator=draw)).tolist())
    with torch.inference_mode(mode=False):
        network.domain_heads = nn.Linear(DIM, DOMAINS * CLASSES).requires_grad_(False)
        network.domain_heads.weight.copy_(2 * torch.randn(DOMAINS * CLASSES, DIM, generator=draw))
        network.domain_heads.bias.copy_(torch.randn(DOMAINS * CLASSES, generator=draw))
    return network


@pytest.fixture
def batches() -> list[Tensor]:
    return list(torch.randn(24, DIM, generator=torch.Generator().manual_seed(1)).split(6))


def mixed(p: list[Tensor], gamma: float) -> Tensor:
    """Of the domain heads alone, as the formula has it."""
    powers = [(-(one * one.log()).sum(1) + 1e-8) ** -gamma for one in p]
    return sum(power[:, None] * one for power, one in zip(powers, p, strict=True)) / sum(powers)[:, None]


def reference(network: Network, settings: DRMRetraining, batches: list[Tensor]) -> Tensor:
    heads = []
    with torch.inference_mode(mode=False), torch.enable_grad():
        rows = list(
            zip(network.domain_heads.weight.split(CLASSES), network.domain_heads.bias.split(CLASSES), strict=True)
        )
        for weight, bias in [*rows, (network.head.weight, network.head.bias)]:
            heads.append((weight.clone().requires_grad_(), bias.clone().requires_grad_()))
        adam = torch.optim.Adam([one for head in heads for one in head], lr=settings.lr)
        found = []
        for batch in batches:
            x = batch.clone()
            for _ in range(settings.steps):
                logits = [F.linear(x, *head) for head in heads]
                p = [one.detach().softmax(1) for one in logits]
                mixture = mixed(p[:-1], settings.gamma)
                said = {
                    "own": p,
                    "last": [p[-1]] * len(p),
                    "uniform": [sum(p) / len(p)] * len(p),
                    "drm": [mixture] * len(p),
                }
                losses = []
                for one, labels in zip(logits, said[settings.label], strict=True):
                    kept = labels.max(1).values >= settings.threshold
                    if kept.any():
                        losses.append(F.cross_entropy(one[kept], labels.argmax(1)[kept]))
                    else:
                        losses.append(0 * one.sum())
                if any((labels.max(1).values >= settings.threshold).any() for labels in said[settings.label]):
                    adam.zero_grad()
                    sum(losses).backward()
                    adam.step()
            found.append(mixture)
    return torch.cat(found)


@pytest.mark.parametrize("label", ["drm", "uniform", "last", "own"])
@pytest.mark.parametrize(("threshold", "lr", "steps", "gamma"), [(0.75, 1e-3, 1, 1.0), (0.6, 0.05, 3, 2.0)])
def test_it_is_a_loop_of_torch(threshold, lr, steps, gamma, label, network, batches) -> None:
    settings = DRMRetraining(gamma, label, threshold, lr, steps)
    stream = settings.prepare(network, None)
    found = torch.cat([stream.observe(batch) for batch in batches])
    torch.testing.assert_close(found, reference(network, settings, batches), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(found, DRMSteering(gamma).prepare(network, None).observe(torch.cat(batches)), atol=1e-4)


@pytest.mark.parametrize("settings", [{"threshold": 1.1}, {"lr": 0.0}], ids=str)
@pytest.mark.parametrize("gamma", [0.0, 1.0, "hard"])
def test_where_nothing_moves_it_is_the_steering(gamma, settings, network, batches) -> None:
    predictor = DRMRetraining(gamma, **settings)
    assert predictor.track == "inductive"
    stream, steering = predictor.prepare(network, None), DRMSteering(gamma).prepare(network, None)
    for batch in batches:
        torch.testing.assert_close(stream.observe(batch), steering.observe(batch))


def test_heads_of_one_mind_are_one_head_on_its_own_labels(head_of, batches) -> None:
    """K domain heads that equal the shared one all learn the same: their mixture is a single head that does."""
    draw = torch.Generator().manual_seed(2)
    network = head_of((2 * torch.randn(CLASSES, DIM, generator=draw)).tolist())
    with torch.inference_mode(mode=False):
        network.domain_heads = nn.Linear(DIM, DOMAINS * CLASSES).requires_grad_(False)
        network.domain_heads.weight.copy_(network.head.weight.repeat(DOMAINS, 1))
        network.domain_heads.bias.zero_()
    found = []
    for label in ("drm", "uniform", "last", "own"):
        stream = DRMRetraining(label=label, threshold=0.6, lr=0.02).prepare(network, None)
        found.append(torch.cat([stream.observe(batch) for batch in batches]))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


def test_a_network_without_domain_heads_is_refused(head_of) -> None:
    with pytest.raises(RuntimeError, match="domain_heads"):
        DRMRetraining().prepare(head_of([[1.0], [0.0]]), None)
