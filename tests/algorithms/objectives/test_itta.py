"""ITTA's training side: styles, the maps, the loss and the alignment of gradients against plain torch, in double."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgbench.algorithms.objectives.itta import ITTALoss
from dgbench.algorithms.step import Batch, Closure, Forward
from dgbench.algorithms.styles import restyled, style
from dgbench.models.consistency import Consistency
from dgbench.models.effective import effective_state, load_effective
from dgbench.models.network import Backbone, Network

CLASSES, IMAGES = 3, 6


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def network(stages: int = 2) -> Network:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 5, 2), nn.Tanh(), nn.Flatten(), nn.Linear(45, 4))
    module.feature_info = [{"module": "1", "num_chs": 4}, {"module": "3", "num_chs": 5}][:stages]
    made = Network(Backbone("toy", module, 4, 6, (0, 0, 0), (1, 1, 1)), CLASSES)
    ITTALoss(depth=3).leave(made)
    with torch.no_grad():
        made.consistency.bias.normal_(std=0.1)
    return made


def batch(early: bool = True) -> Batch:
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(IMAGES, 3, 6, 6, generator=draw, dtype=torch.float64)
    zeros = torch.zeros(IMAGES, dtype=torch.int64)
    made = Batch(x, torch.arange(IMAGES) % CLASSES, zeros, torch.arange(IMAGES), sizes=(IMAGES,))
    drawn = ITTALoss().prepare(made, CLASSES, draw).drawn
    shares = torch.rand(2, IMAGES, generator=draw)
    chosen = torch.tensor(early)
    return made.replace(drawn=(drawn[0], shares[0], chosen, drawn[3], shares[1], chosen))


def closure(of: Network, seen: Batch) -> Closure:
    return Closure(of, ITTALoss(depth=3).loss, seen, step=0, steps=1, domains=1)


def passed(of: Network, seen: Batch) -> Forward:
    return closure(of, seen).forward()


def by_hand(of: Network, x: Tensor, partner: Tensor, share: Tensor, early: bool) -> Tensor:
    """Layer by layer, and image by image."""
    for number, layer in enumerate(of.backbone):
        x = layer(x)
        if number == (1 if early else 3):
            mean = x.mean((2, 3)).detach()
            deviation = (x.var((2, 3), correction=0).detach() + 1e-6).sqrt()
            rows = []
            for i, (j, a) in enumerate(zip(partner.tolist(), share.tolist(), strict=True)):
                plain = (x[i] - mean[i, :, None, None]) / deviation[i, :, None, None]
                to, by = a * mean[i] + (1 - a) * mean[j], a * deviation[i] + (1 - a) * deviation[j]
                rows.append(plain * by[:, None, None] + to[:, None, None])
            x = torch.stack(rows)
    return x


def measured(of: Network, difference: Tensor) -> Tensor:
    for number in range(3):
        difference = F.relu(difference) if number else difference
        difference = of.consistency.weight[number] * difference + of.consistency.bias[number]
    return (difference**2).mean()


def test_maps_begin_as_what_is_above_nothing() -> None:
    """The worked example: of (1, -2, 0.5) the maps leave (1, 0, 0.5)."""
    found = Consistency(10, 3)(torch.tensor([[1.0, -2.0, 0.5]]))
    assert found.item() == pytest.approx((1 + 0.25) / 3)


@pytest.mark.parametrize("axis", [1, -1])
def test_a_style_is_exchanged_and_nothing_else(axis: int) -> None:
    x = torch.randn(4, 3, 5, 2) if axis == 1 else torch.randn(4, 7, 3)
    own, other = style(x, axis), torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(restyled(x, axis, own.of(other), torch.ones(4)), x)
    new = restyled(x, axis, own.of(other), torch.zeros(4))
    for mine, its in zip(style(new, axis), own.of(other), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(restyled(new, axis, own, torch.zeros(4)), x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("early", [True, False])
def test_the_loss_is_that_of_plain_torch(early: bool) -> None:
    of, seen = network(), batch(early)
    z, other = of.backbone(seen.x), by_hand(of, seen.x, *seen.drawn[:2], early)
    parts = [F.cross_entropy(of.head(one), seen.y) for one in (z, other)]
    expected = parts[0] + parts[1] + measured(of, other - z)
    torch.testing.assert_close(ITTALoss(depth=3).loss(passed(of, seen)), expected, rtol=1e-6, atol=1e-8)
    assert not torch.allclose(z, other, atol=1e-3)


def test_the_only_stage_is_always_the_one() -> None:
    of, seen = network(stages=1), batch(early=False)
    other = by_hand(of, seen.x, *seen.drawn[:2], early=True)
    z = of.backbone(seen.x)
    expected = sum(F.cross_entropy(of.head(one), seen.y) for one in (z, other)) + measured(of, other - z)
    torch.testing.assert_close(ITTALoss(depth=3).loss(passed(of, seen)), expected, rtol=1e-6, atol=1e-8)


def alignment(of: Network, seen: Batch) -> Tensor:
    """J, by gradients that are taken apart and standardised one after the other."""
    z, other = of.backbone(seen.x), by_hand(of, seen.x, *seen.drawn[3:5], bool(seen.drawn[5]))
    vectors = []
    for loss in (
        measured(of, other - z),
        F.cross_entropy(of.head(z), seen.y) + F.cross_entropy(of.head(other), seen.y),
    ):
        slopes = torch.autograd.grad(loss, list(of.backbone.parameters()), retain_graph=True)
        vectors.append(torch.cat([slope.flatten() for slope in slopes]))
    ours, theirs = ((one - one.mean()) / one.std() for one in vectors)
    return ((ours - theirs) ** 2).mean()


@pytest.mark.parametrize("early", [True, False])
def test_the_maps_descend_how_far_gradients_are_apart(early: bool) -> None:
    of, seen = network(), batch(early)
    objective = ITTALoss(depth=3, alignment_weight=0.3)
    found = objective.auxiliary_loss(passed(of, seen).detached())
    torch.testing.assert_close(found, 0.3 * alignment(of, seen), rtol=1e-5, atol=1e-8)


def test_their_gradient_is_that_of_differences() -> None:
    """Means and deviations of the gradients are constants in it, so they are held where they were."""
    of, seen = network(), batch()
    objective, forward = ITTALoss(depth=3), passed(of, seen).detached()
    weight = of.consistency.weight
    (slope,) = torch.autograd.grad(objective.auxiliary_loss(forward), weight)
    params = list(of.backbone.parameters())

    def gradients() -> tuple[Tensor, Tensor]:
        z, other = of.backbone(seen.x), by_hand(of, seen.x, *seen.drawn[3:5], early=True)
        main = F.cross_entropy(of.head(z), seen.y) + F.cross_entropy(of.head(other), seen.y)
        return tuple(
            torch.cat([one.flatten() for one in torch.autograd.grad(loss, params, retain_graph=True)])
            for loss in (measured(of, other - z), main)
        )

    ours, theirs = gradients()
    centre, spread, wanted = ours.mean(), ours.std(), (theirs - theirs.mean()) / theirs.std()
    for at in ((0, 0), (1, 2), (2, 3)):
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                weight[at] += step
            values.append((((gradients()[0] - centre) / spread - wanted) ** 2).mean() * 0.1)
            with torch.no_grad():
                weight[at] -= step
        assert float(slope[at]) == pytest.approx(float(values[0] - values[1]) / 2e-6, rel=1e-3, abs=1e-9)


def test_gradients_that_agree_leave_nothing_to_learn() -> None:
    """Where the maps are such that both losses have the same gradient but for scale, as when there is no gradient."""
    of, seen = network(), batch()
    with torch.no_grad():
        of.consistency.weight.zero_()
        of.head.weight.zero_()
    assert ITTALoss(depth=3).auxiliary_loss(passed(of, seen).detached()).item() == 0


def test_each_side_leaves_the_others_weights_alone() -> None:
    of, seen = network(), batch()
    closure(of, seen)("descent")
    assert all(p.grad is None for p in of.consistency.parameters())
    assert all(p.grad is not None for p in of.backbone.parameters())
    of.zero_grad()
    own = list(of.consistency.parameters())
    ITTALoss(depth=3).auxiliary_loss(passed(of, seen).detached()).backward(inputs=own)
    assert all(p.grad is None for p in of.backbone.parameters())
    assert all(p.grad is not None and p.grad.any() for p in own)


def test_statistics_move_in_the_first_pass_alone() -> None:
    of, seen = network(), batch()
    of.backbone.insert(1, norm := nn.BatchNorm2d(4))
    of.backbone.feature_info = [{"module": "2", "num_chs": 4}, {"module": "4", "num_chs": 5}]
    forward = passed(of.train(), seen)
    moved = norm.running_mean.clone()
    objective = ITTALoss(depth=3)
    objective.loss(forward)
    objective.auxiliary_loss(forward.detached())
    assert moved.any()
    assert torch.equal(norm.running_mean, moved)
    assert int(norm.num_batches_tracked) == 1


def test_the_maps_go_where_the_weights_go() -> None:
    of = network()
    plain = Network(of.info, CLASSES)
    load_effective(plain, effective_state(of))
    assert plain.consistency is not None
    assert torch.equal(plain.consistency.bias, of.consistency.bias)
