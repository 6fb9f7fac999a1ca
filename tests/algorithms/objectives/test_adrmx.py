"""ADRMX against the worked example, term by term, and against its losses written out for each player."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dgbench.algorithms.objectives.adrmx import ADRMX, drawn_together, remixed, seen_by_second
from dgbench.algorithms.step import Batch


class Scaled(nn.Module):
    """Features of the second network of the worked example, with a weight to learn."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5).double())

    def forward(self, x):
        return self.scale * x


def linear(weight, bias=None):
    made = nn.Linear(len(weight[0]), len(weight), bias=bias is not None).double()
    with torch.no_grad():
        made.weight.copy_(torch.tensor(weight))
        if bias is not None:
            made.bias.copy_(torch.tensor(bias))
    return made


DOMAINS = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]]
PARTNERS = torch.tensor([2, 3, -1, -1, -1, -1])  # the first two of each class, one pair each


@pytest.fixture
def example(toy):
    """g is half of f, h' is h, h'' and the discriminator are one linear map."""
    forward = toy()
    network, auxiliary = forward.network, forward.network.auxiliary
    ADRMX(layers=1).attach(network, [2, 2, 2])
    auxiliary.second.backbone, auxiliary.second.head = Scaled(), linear(DOMAINS)
    auxiliary.add_module("residual", linear([[1.0, 0.0], [-0.5, 0.5]], [0.1, -0.1]))
    auxiliary.add_module("discriminator", linear(DOMAINS))
    object.__setattr__(forward.batch, "drawn", (PARTNERS,))
    return forward


def test_the_worked_example_of_the_contrastive_loss(example):
    """DomainBed divides the sum over six rows by seven."""
    features, y = example.features, example.batch.y
    assert drawn_together(features, y).item() * 6 / 7 == pytest.approx(4.479377, abs=1e-5)
    assert drawn_together(features / 2, y).item() == pytest.approx(drawn_together(features, y).item())


def test_the_contrastive_loss_pair_by_pair(uneven):
    features, y = uneven.features, uneven.batch.y
    means = []
    for i in range(10):
        cosines = [F.cosine_similarity(features[i], features[j], dim=0).item() / 0.07 for j in range(10)]
        total = sum(math.exp(cosines[k]) for k in range(10) if k != i)
        pairs = [-math.log(math.exp(cosines[j]) / total + 1e-5) for j in range(10) if j != i and y[j] == y[i]]
        means += [sum(pairs) / len(pairs)] if pairs else []
    assert drawn_together(features, y).item() == pytest.approx(sum(means) / len(means))


def test_the_worked_example_of_the_mixed_loss_with_partners_of_the_class(example):
    said = seen_by_second(example)
    assert remixed(example, example.features - said, said).item() == pytest.approx(0.219537, abs=1e-6)


def test_the_worked_example_of_the_whole(example):
    """With its mixed and its contrastive loss as they are here; what only the second network descends comes beside."""
    classified, domains, contrastive = 0.623928 + 0.624893, 1.215981, 4.479377 * 7 / 6
    expected = classified + 0.219537 + 2 * contrastive - 0.75 * domains
    part = ADRMX()
    assert part.loss(example).item() == pytest.approx(expected, abs=1e-5)
    whole = 10.914757 - 0.403186 + 0.219537 + 2 * (contrastive - 4.479377)
    assert part.loss(example).item() + domains == pytest.approx(whole, abs=1e-5)


def test_each_player_descends_its_own_loss(example):
    part = ADRMX(adversary_weight=0.4, contrastive_weight=0.3, remix_weight=0.2, domain_weight=0.6)
    auxiliary, batch, head = example.network.auxiliary, example.batch, example.network.head
    second, residual, discriminator = auxiliary.second, auxiliary.residual, auxiliary.discriminator

    def written_out(f):
        g = second.backbone(batch.x.detach())
        r = f - g
        mixed = F.cross_entropy(head(r[:2] + g[[2, 3]]), batch.y[:2])
        adversary = F.cross_entropy(discriminator(r), batch.domain)
        shared = F.cross_entropy(residual(r), batch.y) + 0.3 * drawn_together(r, batch.y) + 0.2 * mixed
        return shared - 0.4 * adversary, F.cross_entropy(second.head(g), batch.domain), adversary

    shared, _, _ = written_out(example.features)
    own = example.cross_entropy.mean() + 0.3 * drawn_together(example.features, batch.y) + shared
    players = [example.features, head.weight]
    found = torch.autograd.grad(part.loss(example), players, retain_graph=True)
    torch.testing.assert_close(found, torch.autograd.grad(own, players))

    shared, domains, adversary = written_out(example.features.detach())
    players = [second.backbone.scale, second.head.weight, residual.weight]
    found = torch.autograd.grad(part.auxiliary_loss(example.detached()), [*players, discriminator.weight])
    torch.testing.assert_close(found[:3], torch.autograd.grad(shared + 0.6 * domains, players, retain_graph=True))
    torch.testing.assert_close(found[3:], torch.autograd.grad(adversary, [discriminator.weight]))


def test_the_second_network_sees_a_batch_once(example):
    seen = seen_by_second(example)
    with torch.no_grad():
        assert seen_by_second(example.detached()) is seen
    assert seen.requires_grad


def test_partners_are_of_the_class_and_of_another_domain():
    draw = torch.Generator().manual_seed(0)
    y, domain = torch.randint(3, (40,), generator=draw), torch.randint(3, (40,), generator=draw)
    y[0], domain[1:][y[1:] == 2] = 3, 1
    batch = Batch(torch.zeros(40, 1), y, domain, torch.arange(40))
    partners = torch.stack([ADRMX().prepare(batch, 4, draw).drawn[0] for _ in range(200)])
    for i in range(40):
        allowed = {j for j in range(40) if y[j] == y[i] and domain[j] != domain[i]}
        assert set(partners[:, i].tolist()) == (allowed or {-1})
    assert partners[0, 0] == -1


def test_the_second_network_starts_as_the_first(toy):
    forward = toy()
    forward.network.backbone = Scaled()
    ADRMX().attach(forward.network, [2, 2, 2])
    second = forward.network.auxiliary.second
    assert torch.equal(second.backbone.scale, forward.network.backbone.scale)
    assert second.backbone.scale is not forward.network.backbone.scale
    assert second.head.out_features == 3
    maps = [m for m in forward.network.auxiliary.discriminator if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in (maps[0], maps[1], maps[-1])] == [(2, 256), (256, 256), (256, 3)]
    assert len(maps) == 9
