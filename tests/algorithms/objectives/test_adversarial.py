"""DANN and CDANN against the worked example, and what each player moves."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dgbench.algorithms.objectives.cdann import CDANN
from dgbench.algorithms.objectives.dann import DANN


@pytest.fixture
def played(toy):
    """An objective attached to the toy pass, its discriminator that of the worked example."""

    def attached(part, **given):
        forward, objective = toy(), part(layers=2, width=2, **given)
        objective.attach(forward.network, [2, 2, 2])
        auxiliary = forward.network.auxiliary
        with torch.no_grad():
            first, last = (layer for layer in auxiliary.get_submodule("discriminator") if hasattr(layer, "weight"))
            first.weight.copy_(torch.eye(2))
            first.bias.fill_(0.5)
            last.weight.copy_(torch.tensor([[1, 0], [0, 1], [-1, 0.5]]))
            last.bias.zero_()
            if part is CDANN:
                auxiliary.get_submodule("classes").weight.copy_(torch.tensor([[0.5, 0], [0, 0.5]]))
        return objective, forward

    return attached


@pytest.mark.parametrize(("part", "told", "both"), [(DANN, 1.563803, 2.124990), (CDANN, 1.487272, 2.065096)])
def test_the_worked_example(played, part, told, both):
    """The discriminator's cross-entropy, and with half of the penalty of its gradient."""
    objective, forward = played(part, adversary_weight=2.0)
    risk = forward.cross_entropy.mean().item()
    assert objective.auxiliary_loss(forward.detached()).item() == pytest.approx(told, abs=1e-6)
    assert objective.loss(forward).item() == pytest.approx(risk - 2 * told, abs=1e-5)
    objective, forward = played(part, gradient_penalty=0.5)
    assert objective.auxiliary_loss(forward.detached()).item() == pytest.approx(both, abs=1e-6)


def test_shares_of_the_worked_example(played):
    objective, forward = played(CDANN)
    assert objective.shares(forward).tolist() == [0.25, 0.125, 0.25, 0.125, 0.125, 0.125]


@pytest.mark.parametrize("part", [DANN, CDANN])
def test_it_is_gradient_reversal(played, part):
    """Features go down w times the slope that the discriminator's loss goes up, and its weights down its own loss."""
    objective, forward = played(part, adversary_weight=0.7)
    weights = [p for p in forward.network.auxiliary.parameters() if p.requires_grad]
    seen = forward.detached()
    own = torch.autograd.grad(objective.auxiliary_loss(seen), weights, allow_unused=True)

    inputs = forward.features
    if part is CDANN:
        inputs = inputs + forward.network.auxiliary.get_submodule("classes")(forward.batch.y)
    scores = forward.network.auxiliary.get_submodule("discriminator")(inputs)
    shares = objective.shares(forward)
    errors = (shares * F.cross_entropy(scores, forward.batch.domain, reduction="none")).sum()
    game = torch.autograd.grad(errors, [forward.features, *weights], retain_graph=True, allow_unused=True)
    risk = torch.autograd.grad(forward.cross_entropy.mean(), forward.features, retain_graph=True)[0]
    (mine,) = torch.autograd.grad(objective.loss(forward), forward.features)
    torch.testing.assert_close(mine, risk - 0.7 * game[0])
    for one, other in zip(own, game[1:], strict=True):
        torch.testing.assert_close(one, other)


def test_what_the_discriminator_says_of_itself():
    objective = DANN(discriminator_rate=3.0, discriminator_steps=4)
    assert objective.auxiliary_rate() == 3.0
    assert objective.auxiliary_steps() == 4


def test_classes_that_are_absent_do_not_count(played):
    objective, forward = played(CDANN)
    forward.network.classes = 7
    assert objective.shares(forward).sum().item() == pytest.approx(1)
