from __future__ import annotations

import numpy as np
import pytest
import torch

import domainbed_toy as toy
from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.rsc import RSC


def test_the_worked_example() -> None:
    forward = toy.seen()
    mask = RSC().mask(forward)
    assert mask.tolist() == [[0, 1], [1, 1], [0, 1], [1, 1], [1, 1], [1, 1]]
    assert RSC().loss(forward).item() == pytest.approx(0.827206, abs=1e-6)


@pytest.mark.parametrize("shares", [(0.2, 0.7), (0.5, 0.5), (1 / 3, 0.1)])
def test_mutes_what_is_above_numpys_quantiles(uneven, shares: tuple[float, float]) -> None:
    phi, y = uneven.features.numpy(), uneven.batch.y.numpy()
    weight, bias = (p.detach().numpy() for p in uneven.network.head.parameters())

    def own(features: np.ndarray) -> np.ndarray:
        z = np.exp(features @ weight.T + bias)
        return (z / z.sum(1, keepdims=True))[np.arange(len(y)), y]

    g = weight[y]
    kept = g <= np.quantile(g, 1 - shares[0], axis=1, keepdims=True)
    fall = own(phi) - own(phi * kept)
    kept = np.where((fall > np.quantile(fall, 1 - shares[1]))[:, None], kept, True)
    assert RSC(*shares).mask(uneven).numpy().tolist() == kept.tolist()
    assert RSC(*shares).loss(uneven).item() == pytest.approx(-np.log(own(phi * kept)).mean())


@pytest.mark.parametrize("part", [RSC(0, 0.5), RSC(0.5, 0)])
def test_where_nothing_is_muted_it_is_erm(part: RSC, uneven) -> None:
    torch.testing.assert_close(part.loss(uneven), CrossEntropy().loss(uneven))


def test_equal_gradients_mute_nothing() -> None:
    forward = toy.seen()
    with torch.no_grad():
        forward.network.head.weight.fill_(1)
    assert RSC().mask(forward).min() == 1


def test_muted_features_learn_nothing() -> None:
    forward = toy.seen()
    slope = torch.autograd.grad(RSC().loss(forward), forward.features)[0]
    assert ((slope == 0) == (RSC().mask(forward) == 0)).all()
