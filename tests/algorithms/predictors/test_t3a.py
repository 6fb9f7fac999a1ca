"""T3A against worked examples and a naive reference that keeps every support and filters anew."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.algorithms.predictors.t3a import T3A
from dgbench.models.network import Network

UNIT = [[1.0, 0.0], [0.0, 1.0]]
SURE, UNSURE = torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 0.9]])


class Naive:
    """All supports ever seen, in order of arrival; each class sorts and cuts them on every call."""

    def __init__(self, network: Network, filter_size: int | None) -> None:
        self.head, self.filter_size = network.head, filter_size
        self.seen: list[tuple[float, int, int, Tensor]] = []
        self.join(network.head.weight)

    def join(self, features: Tensor) -> None:
        for z in features:
            p = F.softmax(self.head(z), 0)
            entropy = float(-(p * p.log()).sum())
            self.seen.append((entropy, len(self.seen), int(p.argmax()), F.normalize(z, dim=0)))

    def observe(self, features: Tensor) -> Tensor:
        self.join(features)
        prototypes = torch.zeros_like(self.head.weight)
        for c in range(len(prototypes)):
            mine = sorted(support[:2] for support in self.seen if support[2] == c)[: self.filter_size]
            for _, arrival in mine:
                prototypes[c] += self.seen[arrival][3]
        return features @ F.normalize(prototypes, dim=1).T


@pytest.mark.parametrize(("filter_size", "expected"), [(1, 3.1623), (20, 3.1214), ("all", 3.1214)])
def test_worked_example(filter_size, expected, head_of) -> None:
    logits = T3A(filter_size).prepare(head_of(UNIT), None).observe(SURE)
    torch.testing.assert_close(logits, torch.tensor([[expected, 1.0]]), rtol=0, atol=5e-5)


def test_entropies_of_the_worked_example(head_of) -> None:
    network = head_of(UNIT)
    entropy = torch.special.entr(network.head(torch.cat([torch.tensor(UNIT), SURE])).softmax(1)).sum(1)
    torch.testing.assert_close(entropy, torch.tensor([0.5822, 0.5822, 0.3653]), rtol=0, atol=5e-5)


def test_order_of_arrival_matters_to_predictions(head_of) -> None:
    stream = T3A(20).prepare(head_of(UNIT), None)
    first = stream.observe(SURE)
    stream.observe(UNSURE)
    stream.reset(0)
    stream.observe(UNSURE)
    last = stream.observe(SURE)
    torch.testing.assert_close(
        torch.stack([first[0, 0], last[0, 0]]), torch.tensor([3.1214, 3.1609]), rtol=0, atol=5e-5
    )


@pytest.mark.parametrize("filter_size", [1, 2, 5, 20, "all"])
@pytest.mark.parametrize("batch", [1, 7, 64])
def test_slots_equal_filtering_everything_anew(filter_size, batch, head_of) -> None:
    torch.manual_seed(0)
    network = head_of(torch.randn(5, 6).tolist())
    stream, naive = (
        T3A(filter_size).prepare(network, None),
        Naive(network, None if filter_size == "all" else filter_size),
    )
    for chunk in torch.randn(90, 6).split(batch):
        torch.testing.assert_close(stream.observe(chunk), naive.observe(chunk), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("filter_size", [2, 20, "all"])
def test_supports_do_not_depend_on_order_or_batch(filter_size, head_of) -> None:
    torch.manual_seed(0)
    network, z = head_of(torch.randn(4, 6).tolist()), torch.randn(60, 6)
    streams = [T3A(filter_size).prepare(network, None) for _ in range(3)]
    for stream, order, batch in zip(streams, [torch.arange(60)] * 2 + [torch.randperm(60)], [60, 1, 9], strict=True):
        for chunk in z[order].split(batch):
            stream.observe(chunk)
    for stream in streams[1:]:
        torch.testing.assert_close(stream.sums, streams[0].sums)


def test_without_a_confident_example_it_is_the_cosine_to_the_heads_rows(head_of) -> None:
    """With M = 1 and rows of length 4, no example of length 1 is as certain as the row itself."""
    rows = 4 * F.normalize(torch.randn(3, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    network = head_of(rows.tolist())
    z = F.normalize(torch.randn(20, 5, generator=torch.Generator().manual_seed(1)), dim=1)
    assert torch.equal(network.head(rows).argmax(1), torch.arange(3))
    torch.testing.assert_close(T3A(1).prepare(network, None).observe(z), z @ F.normalize(rows, dim=1).T)


def test_equal_entropies_keep_the_first_to_arrive(head_of) -> None:
    """(2, 0) and (2, 0, 1): the third feature does not reach the head, so entropies are equal and supports differ."""
    network = head_of([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    first, second = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[2.0, 0.0, 1.0]])
    for batches in ([first, second], [torch.cat([first, second])]):
        stream = T3A(1).prepare(network, None)
        for batch in batches:
            stream.observe(batch)
        assert stream.sums[0].tolist() == [1, 0, 0]


def test_all_keeps_the_only_support_of_a_class(head_of) -> None:
    """The released code's M = -1 loses it at the first batch."""
    stream = T3A("all").prepare(head_of(UNIT), None)
    for _ in range(3):
        logits = stream.observe(SURE)
    assert logits[0, 1].item() == pytest.approx(1.0)


def test_a_class_that_no_row_is_assigned_to_scores_zero(head_of) -> None:
    """The head calls its own third row class 0, so class 2 starts without support."""
    network = head_of([[4.0, 0.0], [0.0, 4.0], [1.0, 0.0]])
    logits = T3A(20).prepare(network, None).observe(torch.tensor([[2.0, 0.1]]))
    assert logits[0, 2].item() == 0
