"""TAST-BN against a loop over images, neighbours and classes, with gradients and Adam of torch."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgbench.algorithms.predictors.tast_bn import TASTBN
from dgbench.core.errors import RecipeError
from dgbench.models.network import Backbone, Network

CLASSES = 3


def network(freeze: str | None = None) -> Network:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5), nn.LayerNorm(5)
    )
    made = Network(Backbone("toy", module, 5, 4, (0, 0, 0), (1, 1, 1), freeze=freeze), CLASSES)
    made.requires_grad_(False)
    module[1].running_mean.normal_()
    module[1].running_var.uniform_(0.5, 2)
    made.head.weight.mul_(6)
    return made.eval()


class Naive:
    """All supports in a list, which each class sorts and cuts on every call; every image goes alone."""

    def __init__(self, settings: TASTBN) -> None:
        self.settings, self.network = settings, copy.deepcopy(network())
        self.slots = max(1, settings.supports // CLASSES)
        self.moves = [p for layer in (1, 5) for p in self.network.backbone[layer].parameters()]
        self.adam = torch.optim.Adam([p.requires_grad_() for p in self.moves], lr=settings.lr)
        self.held: list[tuple[float, int, int, Tensor]] = []
        self.arrived = 0

    def phi(self, image: Tensor) -> Tensor:
        features: Tensor = self.network.features(image[None])
        return features[0]

    def join(self, images: Tensor) -> None:
        with torch.no_grad():
            for image in images:
                p = self.network.head(self.phi(image)).softmax(0)
                self.held.append((float(-(p * p.log()).sum()), self.arrived, int(p.argmax()), image))
                self.arrived += 1
        kept = []
        for c in range(CLASSES):
            kept += sorted((one for one in self.held if one[2] == c), key=lambda one: one[:2])[: self.slots]
        self.held = kept

    def said(self, image: Tensor) -> Tensor:
        """Logits, with a graph; 0 for a class without supports."""
        found = []
        for c in range(CLASSES):
            mine = [self.phi(support) for _, _, label, support in self.held if label == c]
            own = self.phi(image)
            found.append(10 * F.cosine_similarity(own, torch.stack(mine).mean(0), dim=0) if mine else own.sum() * 0)
        return torch.stack(found)

    def observe(self, images: Tensor) -> Tensor:
        self.join(images)
        k = min(self.settings.k, self.slots)
        for _ in range(self.settings.steps):
            found, loss = torch.zeros(len(images), CLASSES), torch.zeros(())
            for row, image in enumerate(images):
                own = self.phi(image)
                near = sorted(
                    self.held, key=lambda one, z=own: -float(F.cosine_similarity(self.phi(one[3]), z, dim=0).detach())
                )[:k]
                target = torch.zeros(CLASSES)
                for *_, support in near:
                    p = self.said(support).softmax(0).detach()
                    found[row] += p / len(near)
                    target[p.argmax()] += 1 / len(near)
                logs = self.said(image).log_softmax(0)
                terms = [t * (math.log(t) - logs[c]) for c, t in enumerate(target.tolist()) if t]
                loss = loss + sum(terms) / (len(images) * CLASSES)
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()
        return found


@pytest.fixture
def images() -> Tensor:
    return torch.randn(24, 3, 4, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "settings", [TASTBN(supports=9, k=2, lr=0.02, steps=2), TASTBN(lr=0.05), TASTBN(supports=2, k=4, lr=0.0)], ids=str
)
def test_it_is_a_loop_of_torch(settings, images) -> None:
    stream = settings.prepare(network(), None)
    found = [stream.observe(batch) for batch in images.split(8)]
    with torch.enable_grad():
        naive = Naive(settings)
        for batch, scores in zip(images.split(8), found, strict=True):
            torch.testing.assert_close(scores, naive.observe(batch), rtol=1e-3, atol=1e-4)


def test_an_image_alone_is_its_own_neighbour(images) -> None:
    """It joins before it is predicted, so it is given the class that the network gives it."""
    one = images[:1]
    p = TASTBN().prepare(network(), None).observe(one)
    assert p.argmax(1).tolist() == network()(one).argmax(1).tolist()
    cosines = torch.zeros(CLASSES)
    cosines[p.argmax()] = 10
    torch.testing.assert_close(p[0], cosines.softmax(0))


@pytest.mark.parametrize(("supports", "slots"), [(150, 50), (8, 2), (1, 1)])
def test_supports_are_shared_out_among_classes(supports, slots, images) -> None:
    stream = TASTBN(supports=supports).prepare(network(), None)
    stream.observe(images)
    assert len(stream.images) == CLASSES * slots


def test_a_backbone_that_freezes_its_layers_is_refused() -> None:
    with pytest.raises(RecipeError, match="freezes all"):
        TASTBN().prepare(network(freeze=r"[15]\."), None)


def test_passes_count_supports_beside_a_usual_batch() -> None:
    assert TASTBN(supports=64, steps=2).passes == 1 + 2 * 3 * (1 + 2)
