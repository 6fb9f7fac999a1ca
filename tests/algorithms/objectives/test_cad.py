from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from dgbench.algorithms.objectives.cad import CAD
from dgbench.algorithms.objectives.condcad import CondCAD


@pytest.mark.parametrize(
    ("part", "temperature", "expected"),
    [(CAD, 1.0, 0.697578), (CondCAD, 1.0, 0.693150), (CAD, 0.1, 1.956e-9), (CondCAD, 0.1, 0.000801)],
)
def test_the_worked_example_of_features_of_any_length(toy, part, temperature, expected):
    penalty = part(temperature=temperature, normalized=False).penalty(toy())
    assert penalty.item() == pytest.approx(expected, abs=1e-6, rel=1e-3)


@pytest.mark.parametrize("part", [CAD, CondCAD])
def test_it_is_the_sum_over_examples_one_by_one(uneven, part):
    phi = F.normalize(uneven.features, dim=1)
    y, domain, found = uneven.batch.y.tolist(), uneven.batch.domain.tolist(), []
    for i in range(len(y)):
        among = [j for j in range(len(y)) if j != i and (part is CAD or y[j] == y[i])]
        likes = {j: torch.exp(phi[i] @ phi[j] / 0.2) for j in among}
        others = [likes[j] for j in among if domain[j] != domain[i]]
        if others:
            found.append(-(0.2 / 0.07) * torch.log(sum(others) / sum(likes.values())))
    objective = part(penalty_weight=3, temperature=0.2)
    torch.testing.assert_close(objective.loss(uneven), uneven.cross_entropy.mean() + 3 * torch.stack(found).mean())


@pytest.mark.parametrize("part", [CAD, CondCAD])
def test_where_nobody_has_a_partner_there_is_no_penalty_and_a_gradient(one, part):
    forward = one()
    objective = part()
    loss = objective.loss(forward)
    torch.testing.assert_close(loss, forward.cross_entropy.mean())
    assert torch.isfinite(torch.autograd.grad(loss, forward.network.head.weight)[0]).all()
    features = forward.features.clone().requires_grad_()
    (slope,) = torch.autograd.grad(objective.penalty(replace(forward, features=features)), features)
    assert not slope.any()
