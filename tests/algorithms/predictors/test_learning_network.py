"""Tent, BN-adapt, PL and SHOT-IM against worked examples and against loops of plain torch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgbench.algorithms.predictors.bn_adapt import BNAdapt
from dgbench.algorithms.predictors.learning_network import entropy, of_the_sure
from dgbench.algorithms.predictors.pl import PL
from dgbench.algorithms.predictors.shot_im import SHOTIM, loss
from dgbench.algorithms.predictors.tent import Tent
from dgbench.core.errors import RecipeError
from dgbench.models.network import Backbone, Network
from dgbench.models.norms import affine, normalising_by_batch

LR = 0.05


def network(freeze: str | None = None) -> Network:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5), nn.BatchNorm1d(5), nn.Tanh(),
        nn.LayerNorm(5),
    )  # fmt: skip
    made = Network(Backbone("toy", module, 5, 4, (0, 0, 0), (1, 1, 1), freeze=freeze), 3)
    for layer in (module[1], module[5]):
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 2)
        layer.weight.uniform_(0.5, 2)
    made.head.weight.mul_(6)
    return made.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(30, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def by_hand(moved: nn.Module, moves: list[nn.Parameter], of: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Three batches of ten, two updates each: logits before the last one."""
    optimizer, said = torch.optim.Adam(moves, lr=LR), []
    for batch in images.split(10):
        for _ in range(2):
            with torch.enable_grad():
                logits = moved(batch)
                optimizer.zero_grad()
                of(logits).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        said.append(logits.detach())
    return torch.cat(said)


def streamed(predictor: Tent | PL | SHOTIM, images: Tensor) -> Tensor:
    stream = predictor.prepare(network(), None)
    stream.reset(0)
    return torch.cat([stream.observe(batch) for batch in images.split(10)])


def test_tent_is_its_released_loop(images) -> None:
    """Which puts batch normalisation into training mode and forgets its running statistics."""
    moved = network()
    for layer in moved.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.train()
            layer.track_running_stats, layer.running_mean, layer.running_var = False, None, None
    norms = (nn.BatchNorm2d, nn.BatchNorm1d, nn.LayerNorm)
    moves = [p for layer in moved.modules() if isinstance(layer, norms) for p in layer.parameters()]
    expected = by_hand(moved, moves, lambda x: -(F.softmax(x, 1) * F.log_softmax(x, 1)).sum(1).mean(), images)
    torch.testing.assert_close(streamed(Tent(lr=LR, steps=2), images), expected, rtol=1e-3, atol=1e-3)


def test_pseudo_labels_are_a_plain_loop(images) -> None:
    moved, counts = network(), []

    def on_the_sure(logits: Tensor) -> Tensor:
        sure = logits.softmax(1).max(1).values > 0.76
        counts.append(int(sure.sum()))
        return F.cross_entropy(logits[sure], logits[sure].argmax(1))

    expected = by_hand(moved, [*moved.backbone.parameters(), *moved.head.parameters()], on_the_sure, images)
    torch.testing.assert_close(streamed(PL(0.76, LR, steps=2), images), expected, rtol=1e-3, atol=1e-3)
    assert 0 < counts[0] < 10, "some of a batch are sure, others are not"


def test_information_maximisation_is_a_plain_loop_that_leaves_the_head(images) -> None:
    moved = network()

    def information(logits: Tensor) -> Tensor:
        p = logits.softmax(1)
        sure = p.max(1).values > 0.9
        pseudo = F.cross_entropy(logits[sure], logits[sure].argmax(1)) if sure.any() else 0.0
        apart = torch.distributions.Categorical(p).entropy().mean()
        return apart - torch.distributions.Categorical(p.mean(0)).entropy() + 0.3 * pseudo

    expected = by_hand(moved, [*moved.backbone.parameters()], information, images)
    torch.testing.assert_close(streamed(SHOTIM(0.3, LR, steps=2), images), expected, rtol=1e-3, atol=1e-3)


def test_statistics_of_the_batch_are_those_of_training_mode(images) -> None:
    trained = copy.deepcopy(network()).train()
    stream = BNAdapt().prepare(network(), None)
    torch.testing.assert_close(stream.observe(images), trained(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("prior", "expected"), [(0, [-1.0, 1.0]), (2, [0.0, 2.0]), (1e12, [1.0, 3.0])])
def test_the_worked_example_of_statistics(prior, expected) -> None:
    """Values 1 and 3, source mean 0 and variance 1: half of each gives mean 1 and variance 1."""
    layer = nn.BatchNorm1d(1, eps=1e-12).eval()
    out = normalising_by_batch(nn.Sequential(layer), prior)(torch.tensor([[1.0], [3.0]]))
    torch.testing.assert_close(out.squeeze(1), torch.tensor(expected), rtol=0, atol=1e-5)
    assert (layer.running_mean.item(), layer.running_var.item()) == (0, 1), "the layer itself stays"


def test_a_constant_batch_leaves_the_shift_alone() -> None:
    layer = nn.BatchNorm2d(2).eval()
    layer.bias.copy_(torch.tensor([3.0, -1.0]))
    out = normalising_by_batch(nn.Sequential(layer))(torch.full((4, 2, 3, 3), 7.0))
    torch.testing.assert_close(out, layer.bias.view(1, 2, 1, 1).expand(4, 2, 3, 3))


def test_entropy_and_its_slope_in_the_worked_example() -> None:
    with torch.enable_grad():
        logits = torch.tensor([[1.0, 0.0]], requires_grad=True)
        value = entropy(logits)
        (slope,) = torch.autograd.grad(value, logits)
    assert float(value) == pytest.approx(0.5822, abs=1e-4)
    torch.testing.assert_close(slope, torch.tensor([[-0.1966, 0.1966]]), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("logits", "expected", "informs"),
    [
        ([[2.0, 1.0], [2.0, 1.0]], 0.0, False),
        ([[40.0, 0.0], [0.0, 40.0]], -math.log(2), True),
        ([[3.0, 0.0]], 0.0, False),
    ],
    ids=["the same of all", "sure and balanced", "one"],
)
def test_information_of_the_worked_examples(logits, expected, informs) -> None:
    value, wanted = loss(torch.tensor(logits), 0.0)
    assert float(value) == pytest.approx(expected, abs=1e-6)
    assert bool(wanted) == informs
    assert bool(loss(torch.tensor(logits), 0.1)[1]) == (informs or logits == [[3.0, 0.0]]), "0.95 is sure, 0.73 is not"


@pytest.mark.parametrize("copies", [1, 7])
def test_an_image_and_copies_of_it_move_nothing(copies, images) -> None:
    stream = SHOTIM(lr=LR, steps=2, timing="after").prepare(network(), None)
    said = torch.cat([stream.observe(image.expand(copies, -1, -1, -1))[:1] for image in images.split(1)])
    torch.testing.assert_close(said, network()(images))


def test_where_nobody_is_sure_no_step_is_taken(images) -> None:
    value, wanted = of_the_sure(torch.tensor([[0.1, 0.0, 0.0]]), 0.9)
    assert (float(value), bool(wanted)) == (0.0, False)
    stream = PL(threshold=0.999999, lr=LR, steps=3).prepare(network(), None)
    plain = network()(images[:2])
    assert plain.softmax(1).max() < 0.999999
    torch.testing.assert_close(stream.observe(images[:2]), plain)
    torch.testing.assert_close(stream.observe(images[:2]), plain)


def test_after_is_what_the_next_batch_would_be_told(images) -> None:
    before, after = (Tent(lr=LR, timing=timing).prepare(network(), None) for timing in ("before", "after"))
    first = after.observe(images[:10])
    before.observe(images[:10])
    assert torch.equal(first, before.observe(images[:10]))


def test_what_the_name_of_the_backbone_freezes_stays(images) -> None:
    assert set(affine(network().backbone)) == {f"{at}.{kind}" for at in (1, 5, 7) for kind in ("weight", "bias")}
    some = Tent(lr=LR).prepare(network(freeze=r"[15]\."), None)
    assert some.names == ["backbone.7.weight", "backbone.7.bias"]
    with pytest.raises(RecipeError, match="freezes all"):
        Tent().prepare(network(freeze=r"[157]\."), None)


def test_a_batch_that_is_no_number_moves_nothing(images) -> None:
    clean, spoilt = (Tent(lr=LR, steps=2).prepare(network(), None) for _ in range(2))
    clean.observe(images[:10])
    spoilt.observe(images[:10])
    spoilt.observe(torch.full((4, 3, 4, 4), torch.nan))
    assert torch.equal(spoilt.observe(images[10:20]), clean.observe(images[10:20]))


@pytest.mark.parametrize("predictor", [Tent(lr=LR), PL(0.1, LR), SHOTIM(0.1, LR), BNAdapt()])
def test_networks_in_bfloat16_adapt_in_bfloat16_with_weights_in_float32(predictor, images) -> None:
    halved, plain = network(), network()
    halved.precision = "bfloat16"
    streams = [predictor.prepare(one, None) for one in (halved, plain)]
    said = [torch.cat([stream.observe(batch) for batch in images.split(10)]) for stream in streams]
    assert said[0].dtype == torch.float32
    assert not torch.equal(*said)
    torch.testing.assert_close(*said, rtol=0.2, atol=0.2)
    if not isinstance(predictor, BNAdapt):
        assert {weight.dtype for weight in streams[0].descent.weights} == {torch.float32}
