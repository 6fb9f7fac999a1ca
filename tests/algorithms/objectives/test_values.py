"""Objectives where values are predicted: squared errors by hand, gradients by a graph, C-Mixup's law by a loop."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.label_kernel_mixup import LabelKernelMixup
from dgbench.algorithms.objectives.squared_error import SquaredError
from dgbench.algorithms.predictors.argmax import Argmax
from dgbench.algorithms.predictors.value import Value
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Batch, Forward
from dgbench.core import registry
from dgbench.models.network import Backbone, Network

VALUES = sorted(
    name for name in registry.BUILT_IN["objective"] if "values" in registry.load("objective", name)().serves()
)
SIZES = (5, 4, 3)


def passed(seed: int = 0, step: int = 9, objective: Objective | None = None) -> Forward:
    """A pass over three domains of values, as an objective has prepared it, whose logits are leaves of a graph."""
    torch.manual_seed(seed)
    network = Network(Backbone("toy", nn.Identity(), 4, size=1, mean=(0, 0, 0), std=(1, 1, 1)), 1).double()
    if objective is not None:
        objective.attach(network, SIZES)
    domain = torch.cat([torch.full((size,), number) for number, size in enumerate(SIZES)])
    n = len(domain)
    draw = torch.Generator().manual_seed(seed)
    batch = Batch(torch.randn(n, 4).double(), torch.randn(n).double(), domain, torch.arange(n), sizes=SIZES)
    if objective is not None:
        batch = objective.prepare(batch, 1, draw)
    features = batch.x.clone().requires_grad_()
    return Forward(network, batch, features, network.head(features), step, 10, len(SIZES))


def test_the_loss_of_values_is_their_squared_error() -> None:
    forward = passed()
    predicted = forward.logits.detach()[:, 0].tolist()
    errors = [(p - y) ** 2 for p, y in zip(predicted, forward.batch.y.tolist(), strict=True)]
    assert forward.losses.tolist() == pytest.approx(errors)
    assert float(SquaredError().loss(forward)) == pytest.approx(sum(errors) / len(errors))
    starts = [0, 5, 9]
    risks = [sum(errors[at : at + size]) / size for at, size in zip(starts, SIZES, strict=True)]
    assert forward.domain_risks().tolist() == pytest.approx(risks)


@pytest.mark.parametrize("name", [name for name in VALUES if name != "cross_entropy"])  # that becomes squared_error
def test_objectives_of_values_have_finite_losses_and_the_gradients_that_they_say(name: str) -> None:
    objective: Objective = registry.load("objective", name)()
    forward = passed(objective=objective)
    loss = objective.loss(forward)
    assert loss.isfinite()
    (wanted,) = torch.autograd.grad(loss, forward.logits, retain_graph=True, allow_unused=True)
    assert wanted.isfinite().all()
    assert wanted.abs().sum() > 0
    if (said := objective.slopes(forward)) is not None:
        assert torch.allclose(said[0], loss)
        assert torch.allclose(said[1], wanted, atol=1e-12)


def test_plain_parts_give_way_to_those_of_values() -> None:
    assert CrossEntropy(mixup=0.3).on_values() == SquaredError(mixup=0.3)
    assert Argmax().on_values() == Value()
    assert CrossEntropy(label_smoothing=0.1).serves() == {"classes"}
    assert VALUES == [
        "causirl", "coral", "cross_entropy", "domain_penalisation", "eqrm", "groupdro", "ib_erm", "inter_domain_mixup",
        "label_kernel_mixup", "mmd", "rdm", "squared_error", "vrex",
    ]  # fmt: skip


@pytest.mark.parametrize("mixup", [0.0, 0.4, 1.0])
def test_mixup_mixes_inputs_and_values_with_one_share_and_one_permutation(mixup: float) -> None:
    """And where it is off, the batch stays what it is and no random number is drawn."""
    n, draw = 7, torch.Generator().manual_seed(5)
    y = torch.arange(n).double()
    before = Batch(torch.eye(n).double(), y, torch.zeros(n, dtype=torch.long), torch.arange(n), sizes=(n,))
    start = draw.get_state()
    after = SquaredError(mixup=mixup).prepare(before, 1, draw)
    assert (after is before) == torch.equal(draw.get_state(), start) == (mixup == 0)
    if mixup:
        assert after.target is not None
        own = after.x.diagonal()
        (share,) = own[own < 1].unique()
        partner = (after.x - share * before.x).argmax(1)
        assert sorted(partner.tolist()) == list(range(n))
        torch.testing.assert_close(after.target[:, 0], share * y + (1 - share) * y[partner])


def test_cross_entropy_of_values_is_the_squared_error_with_the_same_mixup() -> None:
    one, other = passed(objective=CrossEntropy(mixup=0.4)), passed(objective=SquaredError(mixup=0.4))
    assert torch.equal(one.batch.targets(1), other.batch.targets(1))
    assert not torch.equal(one.batch.targets(1)[:, 0], one.batch.y)


def test_the_kernel_of_values_is_the_papers_law() -> None:
    y = torch.tensor([0.0, 0.1, 0.5, 2.0, -1.0, 0.1], dtype=torch.float64)
    part = LabelKernelMixup(bandwidth=0.2)
    found = part.kernel(y[:, None])
    for i in range(len(y)):
        row = [math.exp(-((float(y[i]) - float(y[j])) ** 2) / (2 * 0.2**2)) for j in range(len(y))]
        assert found[i].tolist() == pytest.approx(row)
        assert (found[i] / found[i].sum()).tolist() == pytest.approx([weight / sum(row) for weight in row])
    assert torch.equal(found, found.t())


def test_partners_of_values_are_drawn_by_the_law_and_values_are_mixed_as_images_are() -> None:
    y, copies, rounds = torch.tensor([-1.0, -0.9, 0.0, 0.3, 1.5, 1.6], dtype=torch.float64), 100, 40
    own = torch.arange(6).repeat(copies)
    x = torch.eye(6, dtype=torch.float64)[own]  # a mixed image says which value its partner has, and at which share
    batch = Batch(x, y[own], torch.zeros_like(own), torch.arange(len(own)), sizes=(len(own),))
    part, draw = LabelKernelMixup(alpha=2.0, bandwidth=0.5), torch.Generator().manual_seed(0)
    counts = torch.zeros(6, 6)
    for _ in range(rounds):
        mixed = part.prepare(batch, 1, draw)
        assert mixed.target is not None
        assert torch.allclose(mixed.target[:, 0], mixed.x @ y)  # values in the proportion of images
        others = mixed.x * (x == 0)
        partner = torch.where(others.sum(1) > 0, others.argmax(1), own)
        counts += torch.bincount(6 * own + partner, minlength=36).reshape(6, 6)
    law = [[math.exp(-((a - b) ** 2) / (2 * 0.5**2)) for b in y.tolist()] for a in y.tolist()]
    for row, weights in zip(counts / (copies * rounds), law, strict=True):
        for share, weight in zip(row.tolist(), weights, strict=True):
            chance = weight / sum(weights)
            assert abs(share - chance) < 4.5 * math.sqrt(chance * (1 - chance) / (copies * rounds)) + 1e-9


def test_far_values_never_meet_and_all_do_where_the_bandwidth_is_wide() -> None:
    y = torch.tensor([-5.0, 5.0], dtype=torch.float64)
    assert LabelKernelMixup(bandwidth=0.1).kernel(y[:, None]).tolist() == [[1, 0], [0, 1]]
    assert LabelKernelMixup(bandwidth=1e6).kernel(y[:, None]).tolist() == [[pytest.approx(1)] * 2] * 2


def test_where_targets_are_classes_nothing_has_changed() -> None:
    forward = passed()
    batch = forward.batch.replace(y=torch.zeros(len(forward.batch), dtype=torch.long))
    classes = replace(forward, batch=dataclasses.replace(batch), logits=torch.randn(len(batch), 3).double())
    assert torch.equal(classes.losses, classes.cross_entropy)
