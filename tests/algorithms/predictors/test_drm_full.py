"""DRM with retraining of all against a loop of torch, and against the retraining of heads where nothing else moves."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.predictors.drm import DRMSteering
from dgbench.algorithms.predictors.drm_full import DRMFull
from dgbench.algorithms.predictors.drm_retrain import DRMRetraining, Label
from dgbench.models.network import Backbone, Network

CLASSES, DOMAINS = 3, 2


def network(module: nn.Module, dim: int) -> Network:
    torch.manual_seed(0)
    made = Network(Backbone("toy", module, dim, 4, (0, 0, 0), (1, 1, 1)), CLASSES)
    made.domain_heads = nn.Linear(dim, DOMAINS * CLASSES)
    for head in (made.head, made.domain_heads):
        head.weight.mul_(8)
    return made.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(24, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def seeing() -> Network:
    torch.manual_seed(3)
    return network(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5)), 5)


def by_hand(settings: DRMFull, batches: list[Tensor]) -> Tensor:
    """Head by head, with Adam of torch over all that there is; the shared head comes last."""
    moved, found, steps = copy.deepcopy(seeing()), [], []
    assert isinstance(moved.domain_heads, nn.Linear)
    adam = torch.optim.Adam(moved.parameters(), lr=settings.lr)
    for batch in batches:
        for _ in range(settings.steps):
            with torch.enable_grad():
                features = moved.backbone(batch)
                logits = [*moved.domain_heads(features).split(CLASSES, 1), moved.head(features)]
                p = [one.detach().softmax(1) for one in logits]
                doubts = [-(one * one.log()).sum(1, keepdim=True) + 1e-8 for one in p[:-1]]
                weights = [doubt**-settings.gamma for doubt in doubts]
                mixture = sum(w * one for w, one in zip(weights, p[:-1], strict=True)) / sum(weights)
                labelling = {"own": p, "last": [p[-1]] * 3, "uniform": [sum(p) / 3] * 3, "drm": [mixture] * 3}
                loss = torch.zeros(())
                for one, labels in zip(logits, labelling[settings.label], strict=True):
                    kept = labels.max(1).values >= settings.threshold
                    if kept.any():
                        loss = loss + nn.functional.cross_entropy(one[kept], labels.argmax(1)[kept])
                steps.append(loss.requires_grad)
                if loss.requires_grad:
                    adam.zero_grad()
                    loss.backward()
                    adam.step()
        found.append(mixture)
    assert any(steps)
    return torch.cat(found)


@pytest.mark.parametrize("label", ["drm", "uniform", "last", "own"])
def test_it_is_a_loop_of_torch(label: Label, images) -> None:
    settings = DRMFull(2.0, label, 0.7, 0.02, 2)
    stream, batches = settings.prepare(seeing(), None), list(images.split(6))
    found = torch.cat([stream.observe(batch) for batch in batches])
    torch.testing.assert_close(found, by_hand(settings, batches), rtol=1e-3, atol=1e-4)
    heads = DRMRetraining(2.0, label, 0.7, 0.02, 2).prepare(seeing(), None)
    alone = torch.cat([heads.observe(seeing().features(batch)) for batch in batches])
    assert not torch.allclose(found, alone, atol=1e-2), "features move, too"


@pytest.mark.parametrize("label", ["drm", "uniform", "last", "own"])
def test_on_a_backbone_without_weights_it_retrains_heads(label: Label, images) -> None:
    rows = images.flatten(1)
    given = (1.0, label, 0.5, 0.05, 2)
    one, other = (kind(*given).prepare(network(nn.Flatten(), 48), None) for kind in (DRMFull, DRMRetraining))
    for batch in rows.split(6):
        torch.testing.assert_close(one.observe(batch), other.observe(batch), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [{"threshold": 1.1}, {"lr": 0.0}], ids=str)
def test_where_nothing_moves_it_is_the_steering(settings, images) -> None:
    predictor = DRMFull(**settings)
    assert predictor.track == "inductive"
    stream, steering = predictor.prepare(seeing(), None), DRMSteering().prepare(seeing(), None)
    for batch in images.split(6):
        torch.testing.assert_close(stream.observe(batch), steering.observe(seeing().features(batch)))


def test_a_network_without_domain_heads_is_refused() -> None:
    plain = seeing()
    plain.domain_heads = None
    with pytest.raises(RuntimeError, match="domain_heads"):
        DRMFull().prepare(plain, None)
