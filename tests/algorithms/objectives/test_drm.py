from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from dgbench.algorithms.objectives.drm import DRM


def test_is_the_mean_of_own_and_shared_risks(uneven):
    network = uneven.network
    own = network.domain_heads(uneven.features).view(10, 3, 4)
    risks = []
    for d in range(3):
        mine = uneven.batch.domain == d
        y = uneven.batch.y[mine]
        risks.append((F.cross_entropy(own[mine, d], y) + F.cross_entropy(uneven.logits[mine], y)) / 2)
    torch.testing.assert_close(DRM().loss(uneven), torch.stack(risks).mean())


def test_identical_heads_give_the_risk_of_erm(uneven):
    network = uneven.network
    with torch.no_grad():
        network.domain_heads.weight.copy_(network.head.weight.repeat(3, 1))
        network.domain_heads.bias.copy_(network.head.bias.repeat(3))
    torch.testing.assert_close(DRM().loss(uneven), uneven.domain_risks().mean())


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_a_domain_head_learns_nothing_from_other_domains(uneven, absent: int):
    kept = uneven.batch.domain != absent
    x, y, domain = (values[kept] for values in (uneven.batch.x, uneven.batch.y, uneven.batch.domain))
    batch = uneven.batch.replace(x=x, y=y, domain=domain)
    rest = replace(uneven, batch=batch, features=uneven.features[kept], logits=uneven.logits[kept])
    heads, head = uneven.network.domain_heads, uneven.network.head
    own, shared = torch.autograd.grad(DRM().loss(rest), [heads.weight, head.weight])
    learns = own.view(3, 4, 6).abs().sum((1, 2)) > 0
    assert learns.tolist() == [d != absent for d in range(3)]
    assert shared.abs().sum() > 0


def test_where_a_step_sees_some_of_many_domains_each_has_its_own_head(uneven):
    """The first, the fourth and the last of five."""
    network, y = uneven.network, uneven.batch.y
    network.domain_heads = torch.nn.Linear(6, 5 * 4).double()
    some = replace(uneven, batch=uneven.batch.replace(present=torch.tensor([0, 3, 4])))
    assert (uneven.present.tolist(), some.present.tolist()) == ([0, 1, 2], [0, 3, 4])
    assert some.batch.source.tolist() == [[0, 3, 4][domain] for domain in uneven.batch.domain]
    own = network.domain_heads(uneven.features).view(10, 5, 4)[torch.arange(10), some.batch.source]
    each = F.cross_entropy(own, y, reduction="none") + F.cross_entropy(uneven.logits, y, reduction="none")
    risks = [each[uneven.batch.domain == d].mean() / 2 for d in range(3)]
    torch.testing.assert_close(DRM().loss(some), torch.stack(risks).mean())


def test_needs_domain_heads():
    assert DRM().needs() == {"domain_heads"}
