"""DivDis, D-BAT and RSS: sums by loops, closed forms, and the examples that are known of each."""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.objectives.dbat import DBAT, agreement
from dgbench.algorithms.objectives.divdis import DivDis, imbalance, mutual_information
from dgbench.algorithms.objectives.rss import RSS, ramp, robust
from dgbench.algorithms.predictors.divdis import DivDisChoice
from dgbench.algorithms.slots import Source
from dgbench.algorithms.step import Batch, Closure, Forward, Unlabelled
from dgbench.core.errors import RecipeError
from dgbench.models.network import Backbone, Network

DIM, CLASSES, DOMAINS, EACH, SEEN = 4, 3, 2, 5, 7


def toy(heads: int = 1, module: nn.Module | None = None) -> Network:
    torch.manual_seed(0)
    backbone = Backbone("toy", module or nn.Linear(DIM, DIM), DIM, 1, (0, 0, 0), (1, 1, 1))
    network = Network(backbone, CLASSES).double()
    if heads > 1:
        network.domain_heads = nn.Linear(DIM, (heads - 1) * CLASSES).double()
    return network


def batch() -> Batch:
    draw = torch.Generator().manual_seed(1)
    n = DOMAINS * EACH
    return Batch(
        torch.randn(n, DIM, generator=draw).double(),
        torch.randint(CLASSES, (n,), generator=draw),
        torch.arange(DOMAINS).repeat_interleave(EACH),
        torch.arange(n),
        sizes=(EACH,) * DOMAINS,
        unlabelled=Unlabelled(torch.randn(SEEN, DIM, generator=draw).double(), torch.arange(SEEN).flip(0)),
    )


def passed(network: Network) -> Forward:
    return Closure(network, lambda forward: forward.features.sum(), batch(), step=0, steps=1, domains=DOMAINS).forward()


def test_a_pass_sees_unlabelled_images_without_moving_statistics_and_labelled_ones_as_without_them() -> None:
    network = toy(module=nn.Sequential(nn.BatchNorm1d(DIM), nn.Linear(DIM, DIM))).train()
    other = copy.deepcopy(network)
    forward = passed(network)
    moved = {name: buffer.clone() for name, buffer in network.named_buffers()}
    alone = replace(batch(), unlabelled=None)
    bare = Closure(other, lambda forward: forward.features.sum(), alone, step=0, steps=1, domains=DOMAINS).forward()
    assert torch.equal(forward.features, bare.features)
    assert all(torch.equal(buffer, moved[name]) for name, buffer in other.named_buffers())
    assert forward.unlabelled is not None
    expected = other.features(batch().unlabelled.x)  # type: ignore[union-attr]
    torch.testing.assert_close(forward.unlabelled, expected)
    assert bare.unlabelled is None
    detached = forward.detached().unlabelled
    assert detached is not None
    assert not detached.requires_grad


SURE = torch.tensor([[0.99, 0.01], [0.01, 0.99]])


def test_mutual_information_of_the_known_examples() -> None:
    same = torch.stack([SURE, SURE], 1)
    assert float(mutual_information(same)) == pytest.approx(0.5959, abs=1e-4)
    told = torch.tensor([[[0.99, 0.01]] * 1, [[0.01, 0.99]]]).repeat(2, 1, 1)
    other = torch.tensor([[0.99, 0.01], [0.99, 0.01], [0.01, 0.99], [0.01, 0.99]])[:, None]
    assert float(mutual_information(torch.cat([told, other], 1))) == pytest.approx(0, abs=1e-6)
    certain = torch.eye(2).repeat(3, 1)[:, None].repeat(1, 2, 1)
    assert float(mutual_information(certain)) == pytest.approx(math.log(2), abs=1e-6)


def heads_of(network: Network, features: Tensor | None) -> Tensor:
    assert features is not None
    return torch.cat([network.head(features)[:, None], network.domain_logits(features)], 1)


def naive_divdis(network: Network, seen: Batch, l1: float, l2: float) -> float:
    """Image by image, class by class, pair by pair."""

    def heads(x: Tensor) -> list[list[list[float]]]:
        features = network.features(x)
        weights, biases = network.domain_heads.weight, network.domain_heads.bias  # type: ignore[union-attr]
        rows = range(0, len(biases), CLASSES)
        further = [features @ weights[at : at + CLASSES].T + biases[at : at + CLASSES] for at in rows]
        return [torch.softmax(logits, 1).tolist() for logits in [network.head(features), *further]]

    labels, n = seen.y.tolist(), len(seen)
    risk = sum(-math.log(p[i][labels[i]]) for p in heads(seen.x) for i in range(n)) / n
    told = heads(seen.unlabelled.x)  # type: ignore[union-attr]
    count, classes = len(told), range(CLASSES)
    means = [[sum(row[c] for row in p) / SEEN for c in classes] for p in told]
    prior = [(labels.count(c) + 1) / (n + CLASSES) for c in classes]
    pairs = list(itertools.combinations(range(count), 2))
    shared = 0.0
    for g, h in pairs:
        for c, d in itertools.product(classes, classes):
            joint = sum(told[g][u][c] * told[h][u][d] for u in range(SEEN)) / SEEN
            shared += joint * math.log(joint / (means[g][c] * means[h][d]))
    apart = sum(m[c] * math.log(m[c] / prior[c]) for m in means for c in classes)
    return risk / count + l1 * shared / len(pairs) + l2 * apart / count


@pytest.mark.parametrize("heads", [2, 4])
def test_divdis_is_the_sum_over_heads_and_pairs(heads: int) -> None:
    network = toy(heads)
    found = DivDis(mutual_information=3.0, balance=0.7).loss(passed(network))
    assert found.item() == pytest.approx(naive_divdis(network, batch(), 3.0, 0.7), rel=1e-9)


def test_the_other_prior_is_what_heads_say_of_the_sources_and_has_no_gradient() -> None:
    network = toy(2)
    forward = passed(network)
    by_labels, by_predictions = (DivDis(balance=1.0, prior=prior).loss(forward) for prior in ("labels", "predictions"))
    rest = DivDis(balance=0.0).loss(forward)
    assert by_labels.item() != pytest.approx(by_predictions.item())
    network.zero_grad()
    (by_predictions - rest).backward(retain_graph=True)
    assert network.head.weight.grad is not None
    moved = network.head.weight.grad.clone()
    network.zero_grad()
    said, told = (torch.softmax(heads_of(network, x), 2) for x in (forward.features.detach(), forward.unlabelled))
    imbalance(told, said.mean((0, 1)).detach()).backward()
    torch.testing.assert_close(moved, network.head.weight.grad)


def test_no_class_of_the_prior_that_a_batch_lacks_is_impossible() -> None:
    seen = batch()
    lacking = replace(passed(toy(2)), batch=seen.replace(y=torch.zeros_like(seen.y)))
    assert DivDis().loss(lacking).item() < 100


def test_the_head_is_the_one_that_is_right_most_often_over_the_domains() -> None:
    """One domain has a single image, which counts as much as all nine of the other."""
    network = toy(3, nn.Identity())
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(10, DIM, generator=draw).double()
    logits = heads_of(network, x)
    guesses = logits.argmax(2)
    domains = torch.tensor([0] * 9 + [1])
    for wanted in range(3):
        labels = guesses[:, wanted].clone()
        labels[0] = (labels[0] + 1) % CLASSES
        stream = DivDisChoice().prepare(network, Source(x, labels, domains))
        right = [(guesses[:, h] == labels).double() for h in range(3)]
        means = [(float(r[:9].mean()) + float(r[9])) / 2 for r in right]
        best = means.index(max(means))
        assert torch.equal(stream.observe(x), torch.softmax(logits, 2)[:, best])
    assert torch.equal(DivDisChoice(2).prepare(network, None).observe(x), torch.softmax(logits, 2)[:, 2])
    with pytest.raises(RecipeError, match="there are 3 heads, counted from 0, got 3"):
        DivDisChoice(3).prepare(network, None)
    assert torch.equal(DivDisChoice("mean").prepare(network, None).observe(x), torch.softmax(logits, 2).mean(1))


@pytest.mark.parametrize(
    ("earlier", "own", "known", "within"),
    [(0.9, 0.9, 1.715, 1e-3), (0.9, 0.5, 0.6931, 1e-4), (0.9, 0.1, 0.1985, 1e-4), (1.0, 1.0, 16.12, 1e-2)],
)
def test_agreement_of_the_known_examples(earlier: float, own: float, known: float, within: float) -> None:
    assert float(agreement(torch.tensor(earlier), torch.tensor(own))) == pytest.approx(known, abs=within)


@pytest.mark.parametrize("at", ["earlier", "own"])
def test_dbat_is_the_sum_over_images_and_earlier_networks(at: str) -> None:
    network, objective = toy(), DBAT(networks=3, agreement=0.3, at=at)  # type: ignore[arg-type]
    said = [torch.randn(SEEN, CLASSES, generator=torch.Generator().manual_seed(m)).double() for m in (5, 6)]
    objective.hear(network, [], [], [[torch.empty(0), logits] for logits in said])
    forward = passed(network)
    told, own = [torch.softmax(one, 1).tolist() for one in said], torch.softmax(network.head(forward.unlabelled), 1)
    total = 0.0
    for earlier in told:
        for row, index in enumerate(range(SEEN - 1, -1, -1)):  # as the batch numbers them
            p, q = earlier[index], own[row].tolist()
            c = max(range(CLASSES), key=(p if at == "earlier" else q).__getitem__)
            total -= math.log(p[c] * (1 - q[c]) + q[c] * (1 - p[c]) + 1e-7)
    expected = float(forward.cross_entropy.mean()) + 0.3 * total / (2 * SEEN)
    assert float(objective.loss(forward)) == pytest.approx(expected, rel=1e-9)


def test_each_network_reads_all_before_it() -> None:
    before = DBAT(networks=4, agreement=0.2).earlier()
    assert [name for name, _ in (one.parts["objective"] for one in before)] == ["cross_entropy", "dbat", "dbat"]
    assert [given.get("networks") for _, given in (one.parts["objective"] for one in before)] == [None, 2, 3]


def test_the_robust_form_of_a_linear_loss_is_known_after_one_step() -> None:
    """``-y <w, x> + |w|^2 / 4g``: w = (2, 0), x = (1, 0), g = 1 gives -1."""
    weight, x = torch.tensor([2.0, 0.0]), torch.tensor([[1.0, 0.0], [0.5, 3.0]])
    y = torch.tensor([1.0, -1.0])
    found = robust(lambda z: -y * (z @ weight), x, 1.0, 1)
    assert found.tolist() == [-1.0, 2.0]
    assert robust(lambda z: -y * (z @ weight), x, 0.25, 3).tolist() == [2.0, 5.0]


@pytest.mark.parametrize("gamma", [0.5, 2.0, 50.0])
def test_steps_climb_towards_the_supremum_of_cross_entropy(gamma: float) -> None:
    """Found by a fine search in two dimensions; more steps come nearer, and the gradient is that of the loss there."""
    torch.manual_seed(4)
    head, y = nn.Linear(2, 3).double(), torch.tensor([1])
    x = torch.tensor([[0.3, -0.2]]).double()

    def loss(z: Tensor) -> Tensor:
        return nn.functional.cross_entropy(head(z), y.expand(len(z)), reduction="none")

    sides = torch.linspace(-3, 3, 601).double() / gamma
    moves = torch.cartesian_prod(sides, sides)
    best = float((loss(x + moves) - gamma * moves.square().sum(1)).max())
    found = [float(robust(loss, x, gamma, steps)) for steps in (1, 2, 20)]
    assert float(loss(x)) < found[0] <= found[1] + 1e-12
    assert found[2] == pytest.approx(best, abs=2e-3)
    assert max(found) <= best + 2e-3


@pytest.mark.parametrize("gamma", [0.4, 3.0])
def test_the_ramp_is_the_zero_one_loss_less_the_cost_of_the_nearest_boundary(gamma: float) -> None:
    """By a search along many directions."""
    torch.manual_seed(5)
    head, x = nn.Linear(2, 3).double(), torch.randn(20, 2).double()
    labels = torch.randint(3, (20,))
    found = ramp(head(x), head.weight, labels, gamma)
    angles = torch.linspace(0, 2 * math.pi, 721)[:-1].double()
    for each, (place, label) in zip(found.tolist(), zip(x, labels, strict=True), strict=True):
        lengths = torch.linspace(0, 1 / gamma, 800).double()
        moves = lengths[:, None, None] * torch.stack([angles.cos(), angles.sin()], 1)
        wrong = head(place + moves).argmax(2) != label
        best = (wrong.double() - gamma * lengths[:, None]).max().clamp(min=0)
        assert each == pytest.approx(float(best), abs=5e-3)


@pytest.mark.parametrize("many", [10, 60])
def test_the_ramp_keeps_its_digits_where_rows_have_much_in_common(many: int) -> None:
    """As those of heads made of texts do: single precision against double, with few examples and with many."""
    torch.manual_seed(6)
    weight = 5 * torch.randn(64) + 0.01 * torch.randn(40, 64)
    labels, x = torch.randint(40, (many,)), torch.randn(many, 64)
    logits = x.double() @ weight.double().T
    logits.scatter_(1, labels[:, None], logits.amax(1, keepdim=True) + 0.05)
    exact = ramp(logits, weight.double(), labels, 1.0)
    assert (exact > 0).any()
    assert (exact < 1).all()
    spread = (logits - logits.mean(1, keepdim=True)).float()  # differences count, so their digits are all there
    torch.testing.assert_close(ramp(spread, weight, labels, 1.0), exact.float(), atol=1e-4, rtol=0)


def test_rss_is_erm_and_the_robust_loss_of_its_own_labels() -> None:
    network = toy()
    forward = passed(network)
    u = forward.unlabelled
    assert u is not None
    own = network.head(u).argmax(1)
    far = RSS(weight=0.5, gamma=1e12).loss(forward)
    plain = nn.functional.cross_entropy(network.head(u), own)
    assert float(far) == pytest.approx(float(forward.cross_entropy.mean() + 0.5 * plain), rel=1e-6)
    near = RSS(weight=0.5, gamma=1.0).loss(forward)
    assert float(near) > float(far)
    both = RSS(weight=0.5, gamma=1.0, labelled_gamma=1.0).loss(forward)
    assert float(both) > float(near)
    exact = RSS(weight=2.0, gamma=0.3, form="ramp").loss(forward)
    expected = forward.cross_entropy.mean() + 2 * ramp(network.head(u), network.head.weight, own, 0.3).mean()
    assert float(exact) == pytest.approx(float(expected))
