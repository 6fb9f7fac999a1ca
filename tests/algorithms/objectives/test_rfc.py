"""RFC's episodes: groups that earlier networks leave, their weights, and strata, against loops over examples."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dgbench.algorithms.objectives.rfc_discovery import RFCDiscovery, right
from dgbench.algorithms.objectives.rfc_synthesis import RFCSynthesis
from dgbench.algorithms.step import Forward

POOLS = [torch.arange(4), torch.arange(4)]
EXAMPLES = [4, 4]


def says(classes: list[int], others: int = 3) -> Tensor:
    """Logits of a network that predicts these classes."""
    return torch.nn.functional.one_hot(torch.tensor(classes), others).float()


@pytest.fixture
def batch(two: Callable[..., Forward]) -> Forward:
    """Both domains, four images each, whose rows are numbered within their domains."""
    forward = two()
    index = torch.empty(8, dtype=torch.int64)
    for domain in (0, 1):
        index[forward.batch.domain == domain] = torch.arange(4)
    return Forward(
        forward.network, forward.batch.replace(index=index), forward.features, forward.logits, 0, 10, domains=2
    )


LABELS = [torch.tensor([0, 1, 2, 0]), torch.tensor([1, 0, 2, 1])]
SAID = [
    [says([0, 1, 2, 2]), says([0, 0, 0, 1])],  # right, right, right, wrong; wrong, right, wrong, right
    [says([1, 1, 2, 2]), says([0, 0, 2, 1])],  # wrong, right, right, wrong; wrong, right, right, right
]
RIGHT = [[1, 0], [1, 1], [1, 1], [0, 0], [0, 0], [1, 1], [0, 1], [1, 1]]


def flat(forward: Forward) -> list[int]:
    """The place of each example of the batch among all images."""
    return [4 * int(d) + int(i) for d, i in zip(forward.batch.domain, forward.batch.index, strict=True)]


def risks(forward: Forward) -> list[float]:
    """Of those whom the first and the second network had right, and of those whom they had wrong."""
    losses = torch.nn.functional.cross_entropy(forward.logits, forward.batch.y, reduction="none").tolist()
    found = []
    for was_right in (1, 0):
        for model in (0, 1):
            mine = [loss for place, loss in zip(flat(forward), losses, strict=True) if RIGHT[place][model] == was_right]
            found.append(sum(mine) / len(mine))
    return found


def test_each_network_parts_the_images_into_two_groups() -> None:
    assert torch.cat(right(LABELS, SAID)).int().tolist() == RIGHT


def heard(objective: RFCDiscovery | RFCSynthesis, forward: Forward) -> None:
    objective.attach(forward.network, EXAMPLES)
    objective.hear(forward.network, POOLS, LABELS, SAID)


def test_a_discovery_weighs_groups_by_their_risks(batch: Forward) -> None:
    objective = RFCDiscovery(known=2, eta=0.7)
    heard(objective, batch)
    expected, q = risks(batch), torch.full((4,), 0.25, dtype=torch.float64)
    for _ in range(3):
        q = q * (0.7 * torch.tensor(expected, dtype=torch.float64)).exp()
        q = q / q.sum()
        loss = objective.loss(batch)
        assert loss.item() == pytest.approx(float(q @ torch.tensor(expected, dtype=torch.float64)))
        assert max(expected) >= loss.item() >= sum(expected) / 4
        with torch.no_grad():
            objective.remember(batch.detached())
    torch.testing.assert_close(batch.network.auxiliary.get_buffer("log_weights").exp(), q)


def test_much_weight_is_the_worst_group(batch: Forward) -> None:
    objective = RFCDiscovery(known=2, eta=1e4)
    heard(objective, batch)
    assert objective.loss(batch).item() == pytest.approx(max(risks(batch)))


def test_a_discovery_says_its_gradient(batch: Forward) -> None:
    objective = RFCDiscovery(known=2, eta=0.7)
    heard(objective, batch)
    logits = batch.logits.detach().requires_grad_()
    forward = Forward(batch.network, batch.batch, batch.features, logits, 0, 10, domains=2)
    (slopes,) = torch.autograd.grad(objective.loss(forward), [logits])
    loss, closed = objective.slopes(forward)
    torch.testing.assert_close(loss, objective.loss(forward))
    torch.testing.assert_close(closed, slopes)


def test_a_group_that_is_absent_counts_as_no_risk(batch: Forward) -> None:
    objective = RFCDiscovery(known=1)
    objective.attach(batch.network, EXAMPLES)
    objective.hear(batch.network, POOLS, LABELS, [[says(label.tolist()) for label in LABELS]])
    mean = torch.nn.functional.cross_entropy(batch.logits.detach(), batch.batch.y)
    weight = 1 / (1 + torch.exp(-0.01 * mean))
    assert objective.loss(batch).item() == pytest.approx(float(weight * mean))


@pytest.mark.parametrize("apart", ["mixed", "wrong"])
def test_a_synthesis_predicts_predictions_and_weighs_strata_alike(apart: str, batch: Forward) -> None:
    batch.network.domain_heads = torch.nn.Linear(2, 6).double()
    objective = RFCSynthesis(2, apart)  # type: ignore[arg-type]
    heard(objective, batch)
    logits = batch.network.domain_heads(batch.features).detach().view(8, 2, 3).log_softmax(2)
    strata: dict[bool, list[float]] = {True: [], False: []}
    for number, place in enumerate(flat(batch)):
        said = [int(SAID[model][place // 4][place % 4].argmax()) for model in (0, 1)]
        loss = -sum(float(logits[number, model, said[model]]) for model in (0, 1)) / 2
        alone = sum(RIGHT[place]) == 1 if apart == "mixed" else sum(RIGHT[place]) < 2
        strata[alone].append(loss)
    assert len(strata[True]) == {"mixed": 2, "wrong": 4}[apart]
    expected = sum(sum(mine) / len(mine) for mine in strata.values()) / 2
    assert objective.loss(batch).item() == pytest.approx(expected)


def test_one_stratum_alone_is_the_loss(batch: Forward) -> None:
    batch.network.domain_heads = torch.nn.Linear(2, 3).double()
    objective = RFCSynthesis(1)
    objective.attach(batch.network, EXAMPLES)
    objective.hear(batch.network, POOLS, LABELS, SAID[:1])
    logits = batch.network.domain_heads(batch.features)
    said = torch.tensor([int(SAID[0][place // 4][place % 4].argmax()) for place in flat(batch)])
    assert objective.loss(batch).item() == pytest.approx(
        float(torch.nn.functional.cross_entropy(logits.detach(), said))
    )


def test_labels_are_not_seen_by_a_synthesis_where_all_are_right_or_wrong(batch: Forward) -> None:
    batch.network.domain_heads = torch.nn.Linear(2, 3).double()
    objective = RFCSynthesis(1)
    objective.attach(batch.network, EXAMPLES)
    objective.hear(batch.network, POOLS, LABELS, SAID[:1])
    loss = objective.loss(batch)
    assert torch.equal(loss, objective.loss(Forward(
        batch.network, batch.batch.replace(y=1 - batch.batch.y.clamp(max=1)), batch.features, batch.logits, 0, 10, 2
    )))  # fmt: skip
