"""TAST against a loop over members, neighbours and classes, with gradients and Adam of torch."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.algorithms.predictors.tast import TAST, projections


class Naive:
    """All supports in a list; each class sorts and cuts them on every call; each member is computed alone."""

    def __init__(self, head: torch.nn.Linear, settings: TAST) -> None:
        self.head, self.settings, self.classes = head, settings, len(head.weight)
        self.held: list[tuple[float, int, int, Tensor]] = []
        self.weights = [weight.clone().requires_grad_() for weight in projections(head.weight, settings.members)]
        self.adam = torch.optim.Adam(self.weights, lr=settings.lr)
        self.arrived = 0
        self.join(head.weight)

    def join(self, features: Tensor) -> None:
        with torch.no_grad():
            for z in features:
                p = F.softmax(self.head(z), 0)
                self.held.append((float(-(p * p.log()).sum()), self.arrived, int(p.argmax()), z.clone()))
                self.arrived += 1
        kept = []
        for c in range(self.classes):
            kept += sorted((one for one in self.held if one[2] == c), key=lambda one: one[:2])[
                : self.settings.filter_size
            ]
        self.held = kept

    def said(self, member: int, z: Tensor) -> Tensor:
        shared, into, out, offset = self.weights

        def project(x: Tensor) -> Tensor:
            return out[member] * (shared @ (into[member] * x)) + offset[member]

        logits = []
        for c in range(self.classes):
            mine = [project(support) for _, _, label, support in self.held if label == c]
            centroid = torch.stack(mine).mean(0) if mine else torch.zeros(len(shared))
            logits.append(10 * F.cosine_similarity(project(z), centroid, dim=0, eps=1e-12) if mine else z.sum() * 0)
        return torch.stack(logits)

    def observe(self, features: Tensor) -> Tensor:
        self.join(features)
        k = min(self.settings.k, self.settings.filter_size)
        near = [
            sorted(self.held, key=lambda one, z=z: -float(F.cosine_similarity(one[3], z, dim=0)))[:k] for z in features
        ]
        for _ in range(self.settings.steps):
            found, loss = torch.zeros(len(features), self.classes), torch.zeros(())
            for member in range(self.settings.members):
                for row, (z, neighbours) in enumerate(zip(features, near, strict=True)):
                    target = torch.zeros(self.classes)
                    for _, _, _, support in neighbours:
                        p = self.said(member, support).softmax(0).detach()
                        found[row] += p / len(neighbours) / self.settings.members
                        target[p.argmax()] += 1 / len(neighbours)
                    log = self.said(member, z).log_softmax(0)
                    terms = [t * (math.log(t) - log[c]) for c, t in enumerate(target.tolist()) if t]
                    loss = loss + sum(terms) / features.numel() * features.shape[1] / self.classes
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()
        return found


@pytest.mark.parametrize(
    "settings",
    [
        TAST(members=1, filter_size=5, k=1),
        TAST(members=3, filter_size=2, k=4, lr=0.02, steps=2),
        TAST(members=2, filter_size=20, k=3, lr=0.0),
    ],
    ids=str,
)
def test_it_is_a_loop_of_torch(settings, head_of) -> None:
    with torch.inference_mode(mode=False):
        draw = torch.Generator().manual_seed(0)
        network = head_of((2 * torch.randn(3, 8, generator=draw)).tolist())
        batches = torch.randn(12, 8, generator=draw).split(4)
    stream = settings.prepare(network, None)
    found = [stream.observe(batch) for batch in batches]
    with torch.inference_mode(mode=False), torch.enable_grad():
        naive = Naive(network.head, settings)
        for batch, scores in zip(batches, found, strict=True):
            torch.testing.assert_close(scores.clone(), naive.observe(batch.clone()), rtol=1e-3, atol=1e-4)


def test_projections_are_the_same_for_every_stream_and_have_the_spread_of_he() -> None:
    shared, into, out, offset = projections(torch.zeros(2, 400), 30)
    assert [one.shape for one in (shared, into, out, offset)] == [(100, 400), (30, 400), (30, 100), (30, 100)]
    assert shared.std().item() == pytest.approx(math.sqrt(2 / 400), rel=0.02)
    assert into.std().item() == pytest.approx(math.sqrt(2 / 400), rel=0.05)
    assert out.std().item() == pytest.approx(math.sqrt(2 / 100), rel=0.05)
    assert not offset.any()
    assert torch.equal(projections(torch.zeros(5, 400), 30)[0], shared)


def test_an_example_alone_is_its_own_neighbour(head_of) -> None:
    """It joins before it is predicted, so with one neighbour it is given the class of its own side."""
    network = head_of([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    stream = TAST(k=1).prepare(network, None)
    p = stream.observe(torch.tensor([[3.0, 0.1, 0.0, 0.0]]))
    assert p.argmax(1).tolist() == [0]
    stream.reset(0)
    assert torch.equal(stream.observe(torch.tensor([[3.0, 0.1, 0.0, 0.0]])), p)
