"""ITTA's predicting side against a network that is written out layer by layer, with Adam of torch."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgbench.algorithms.objectives.itta import BETA
from dgbench.algorithms.objectives.mixing import symmetric_beta
from dgbench.algorithms.predictors.itta import ITTA
from dgbench.core.errors import RecipeError
from dgbench.core.seeds import seed
from dgbench.models.consistency import Consistency
from dgbench.models.network import Backbone, Network

CLASSES, STAGES = 3, (1, 3)


def network() -> Network:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(45, 4))
    module.feature_info = [{"module": "1", "num_chs": 4}, {"module": "3", "num_chs": 5}]
    made = Network(Backbone("toy", module, 4, 6, (0, 0, 0), (1, 1, 1)), CLASSES)
    made.head.weight.mul_(8)
    made.consistency = Consistency(2, 4)
    made.consistency.bias.uniform_(0, 0.1)
    return made.requires_grad_(False).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(24, 3, 6, 6, generator=torch.Generator().manual_seed(1))


class ByHand:
    """Maps of one kind after both stages; styles of past images in two lists."""

    def __init__(self, settings: ITTA) -> None:
        self.network, self.settings = network(), settings
        self.released = settings.compat == "released"
        shapes = [(5, 4, 4, 4), (5, 5, 3, 3)] if self.released else [(1, 4, 1, 1), (1, 5, 1, 1)]
        self.maps = [(torch.ones(shape).requires_grad_(), torch.zeros(shape).requires_grad_()) for shape in shapes]
        self.adam = torch.optim.Adam([one for pair in self.maps for one in pair], lr=settings.lr)
        self.past: list[list[tuple[Tensor, Tensor]]] = [[], []]
        self.batches = 0

    def features(self, x: Tensor, mixed: tuple[int, list[tuple[Tensor, Tensor]], Tensor] | None) -> Tensor:
        """``mixed``: at which stage, with whose styles, and how much of the own stays."""
        self.seen = []
        for number, layer in enumerate(self.network.backbone):
            x = layer(x)
            if number not in STAGES:
                continue
            place = STAGES.index(number)
            mean, deviation = x.mean((2, 3)).detach(), (x.var((2, 3), correction=0).detach() + 1e-6).sqrt()
            self.seen.append(list(zip(mean, deviation, strict=True)))
            if mixed is not None and mixed[0] == place:
                rows = []
                for i, (their_mean, their_deviation) in enumerate(mixed[1]):
                    a = mixed[2][i]
                    to, by = a * mean[i] + (1 - a) * their_mean, a * deviation[i] + (1 - a) * their_deviation
                    plain = (x[i] - mean[i, :, None, None]) / deviation[i, :, None, None]
                    rows.append(plain * by[:, None, None] + to[:, None, None])
                x = torch.stack(rows)
            scales, shifts = self.maps[place]
            for depth in range(len(scales)):
                x = scales[depth] * (F.relu(x) if depth else x) + shifts[depth]
        return x

    def observe(self, images: Tensor) -> Tensor:
        drawing = seed("itta", self.batches)
        place, generator = random.Random(drawing), torch.Generator().manual_seed(drawing)
        self.batches += 1
        for update in range(self.settings.steps):
            with torch.enable_grad():
                plain = self.features(images, None)
                if not update:
                    for held, seen in zip(self.past, self.seen, strict=True):
                        held += seen
                chosen, batch = place.randrange(2), self.seen
                share = symmetric_beta(BETA, generator, len(images)).float()
                if self.released:
                    partner = [batch[chosen][j] for j in torch.randperm(len(images), generator=generator)]
                else:
                    size = self.settings.bank
                    count = min(len(self.past[0]), size)
                    slots = (count * torch.rand(len(images), generator=generator)).long().tolist()
                    ring = {i % size: one for i, one in enumerate(self.past[chosen])}
                    partner = [ring[slot] for slot in slots]
                apart = self.network.consistency(self.features(images, (chosen, partner, share)) - plain)
                self.adam.zero_grad()
                (apart * (1e-6 if self.released else 1)).backward()
            self.adam.step()
        return self.network.head(self.features(images, None)).detach()


@pytest.mark.parametrize(
    "settings",
    [ITTA(lr=0.02), ITTA(lr=0.02, steps=2, bank=7), ITTA(lr=0.02, steps=2, compat="released")],
    ids=str,
)
def test_it_is_a_loop_of_torch(settings: ITTA, images: Tensor) -> None:
    stream, naive = settings.prepare(network(), None), ByHand(settings)
    for batch in images.split(5):
        torch.testing.assert_close(stream.observe(batch), naive.observe(batch), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(stream.observe(images[:5]), network()(images[:5]), atol=0.05)


@pytest.mark.parametrize("compat", ["none", "released"])
def test_as_it_begins_it_is_the_network(compat, images: Tensor) -> None:
    stream = ITTA(lr=0.0, compat=compat).prepare(network(), None)
    assert torch.equal(stream.observe(images), network()(images))


def test_released_and_one_at_a_time_nothing_moves(images: Tensor) -> None:
    """An image that is mixed with itself says the same; rounding is all that its loss is made of."""
    of = network()
    of.consistency = Consistency(10, 4)
    released, banked = (ITTA(lr=0.02, compat=compat).prepare(of, None) for compat in ("released", "none"))
    for image in images.split(1):
        torch.testing.assert_close(released.observe(image), of(image), rtol=1e-3, atol=1e-3)
        banked.observe(image)
    assert not torch.allclose(banked.observe(images[:1]), of(images[:1]), atol=0.05)


def test_the_first_image_of_a_stream_has_no_other_style(images: Tensor) -> None:
    of = network()
    of.consistency = Consistency(10, 4)
    assert torch.equal(ITTA(lr=0.02).prepare(of, None).observe(images[:1]), of(images[:1]))


def test_the_published_timing_updates_and_then_predicts(images: Tensor) -> None:
    before, after = (ITTA(lr=0.02, timing=timing).prepare(network(), None) for timing in ("before", "after"))
    assert torch.equal(before.observe(images[:5]), network()(images[:5]))
    assert not torch.equal(after.observe(images[:5]), network()(images[:5]))


def test_a_network_that_has_learnt_no_consistency_is_refused() -> None:
    plain = network()
    plain.consistency = None
    with pytest.raises(RecipeError, match="take the objective 'itta'"):
        ITTA().prepare(plain, None)
