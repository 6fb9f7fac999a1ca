from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import domainbed_toy as toy
from dgbench.algorithms.objectives.knn_nll import KNNLikelihood
from dgbench.algorithms.predictors.adanpc import AdaNPC
from dgbench.algorithms.slots import Source
from dgbench.algorithms.step import Batch, Forward

MEMORY = torch.tensor([[1, 0], [0.8, 0.6], [0, 1]]).double()
CLASSES = torch.tensor([0, 0, 1])


def passed(x: Tensor, y: Tensor, part: KNNLikelihood, network=None, step: int = 10) -> Forward:
    """A pass at a step of 10; the default is past the last, at temperature 0.1."""
    if network is None:
        network = toy.network()
        part.attach(network, [9])
    features = x.clone().requires_grad_()
    batch = Batch(features, y, torch.zeros_like(y), torch.arange(len(y)), sizes=(len(y),))
    return Forward(network, batch, features, network.head(features), step, 10, 1)


def remembering(part: KNNLikelihood, x: Tensor = MEMORY, y: Tensor = CLASSES):
    forward = passed(x, y, part)
    with torch.no_grad():
        part.remember(forward)
    return forward.network


@pytest.mark.parametrize(("k", "expected"), [(1, 1e-5), (2, 0.168), (3, 0.164)])
def test_votes_of_the_worked_example(k: int, expected: float) -> None:
    part = KNNLikelihood(k=k, queue=3)
    query = passed(torch.tensor([[0.6, 0.8]]).double() * 7, torch.tensor([1]), part, remembering(part))
    assert part.votes(query).item() == pytest.approx(expected, abs=5e-4 if k > 1 else 1e-9)


@pytest.mark.parametrize("step", [0, 5, 10])
def test_votes_are_those_of_adanpc_at_a_temperature_that_falls(step: int) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(40, 2).double(), torch.randint(2, (40,))
    part = KNNLikelihood(k=7, queue=40)
    query, own = torch.randn(20, 2).double(), torch.randint(2, (20,))
    forward = passed(query, own, part, remembering(part, x, y), step)
    predictor = AdaNPC(k=7, temperature=1 - 0.09 * step, threshold=2)
    votes = predictor.prepare(forward.network, Source(x, y, torch.zeros_like(y))).observe(query)
    torch.testing.assert_close(part.votes(forward), votes.gather(1, own[:, None]).squeeze(1))


def test_the_queue_holds_the_last_unit_features() -> None:
    part = KNNLikelihood(k=2, queue=5)
    network = remembering(part)
    x = torch.tensor([[0, -2], [3, 4], [-1, 0]]).double()
    with torch.no_grad():
        part.remember(passed(x, torch.tensor([1, 0, 1]), part, network))
    rows, classes = (network.auxiliary.get_buffer(name) for name in ("rows", "classes"))
    unit = F.normalize(x, dim=1)
    torch.testing.assert_close(rows, torch.stack([unit[2], MEMORY[1], MEMORY[2], unit[0], unit[1]]))
    assert classes.tolist() == [1, 0, 1, 1, 0]


def test_a_batch_larger_than_the_queue_leaves_its_end() -> None:
    part = KNNLikelihood(k=2, queue=2)
    assert sorted(remembering(part).auxiliary.get_buffer("classes").tolist()) == [0, 1]


def test_empty_rows_have_no_vote_and_an_empty_queue_teaches_nothing() -> None:
    part = KNNLikelihood(k=9, queue=9)
    full = KNNLikelihood(k=3, queue=3)
    query, own = torch.tensor([[0.6, 0.8], [1, 0.1]]).double(), torch.tensor([1, 0])
    some = part.votes(passed(query, own, part, remembering(part)))
    torch.testing.assert_close(some, full.votes(passed(query, own, full, remembering(full))))
    forward = passed(query, own, part)
    assert part.votes(forward).tolist() == [1e-5, 1e-5]
    assert torch.autograd.grad(part.loss(forward), forward.features)[0].abs().max() == 0


def test_features_learn_by_the_vote_alone_and_the_head_by_its_own_loss() -> None:
    part = KNNLikelihood(k=3, queue=3)
    forward = passed(torch.tensor([[0.6, 0.8]]).double(), torch.tensor([1]), part, remembering(part))
    head = forward.network.head
    loss = part.loss(forward)
    of_features, of_head = torch.autograd.grad(loss, [forward.features, head.weight], retain_graph=True)
    torch.testing.assert_close(of_features, torch.autograd.grad(-part.votes(forward).log().mean(), forward.features)[0])
    plain = F.cross_entropy(head(forward.features.detach()), forward.batch.y)
    torch.testing.assert_close(of_head, torch.autograd.grad(plain, head.weight)[0])
    torch.testing.assert_close(loss, plain - part.votes(forward).log().mean())


@pytest.mark.parametrize("y", [0, 1])
def test_a_pure_neighbourhood_teaches_nothing(y: int) -> None:
    part = KNNLikelihood(k=2, queue=2)
    network = remembering(part, MEMORY[:2], torch.zeros(2, dtype=torch.int64))
    forward = passed(torch.tensor([[0.6, 0.8]]).double(), torch.tensor([y]), part, network)
    assert torch.autograd.grad(part.loss(forward), forward.features)[0].abs().max() == 0
