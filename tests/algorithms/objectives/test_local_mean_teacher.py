"""The local mean teacher against loops over all weights that a training has had, and where it is the network itself."""

from __future__ import annotations

import copy
import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.local_mean_teacher import LocalMeanTeacher, reach
from dgbench.algorithms.step import Batch, Closure
from dgbench.models.network import Backbone, Network

DIM, CLASSES, EACH, STEPS = 4, 3, 6, 8


def attached(objective: LocalMeanTeacher, *layers: nn.Module) -> Network:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(DIM, DIM), nn.Tanh(), *layers)
    network = Network(Backbone("toy", module, DIM, 1, (0, 0, 0), (1, 1, 1)), CLASSES).double().train()
    objective.attach(network, [EACH])
    return network


def teacher(network: Network) -> Network:
    found = network.auxiliary.get_submodule("teacher")
    assert isinstance(found, Network)
    return found


def batch(step: int) -> Batch:
    draw = torch.Generator().manual_seed(step)
    x = torch.randn(EACH, DIM, generator=draw).double()
    return Batch(x, torch.arange(EACH) % CLASSES, torch.zeros(EACH).long(), torch.arange(EACH), sizes=(EACH,))


def closure(network: Network, objective: LocalMeanTeacher, step: int) -> Closure:
    return Closure(network, objective.loss, batch(step), step=step, steps=STEPS, domains=1)


def trained(network: Network, objective: LocalMeanTeacher) -> list[dict[str, Tensor]]:
    """Plain descent, as the loop has it; the network's state after every step."""
    own = [p for name, p in network.named_parameters() if not name.startswith("auxiliary.")]
    states = []
    for step in range(STEPS):
        passes = closure(network, objective, step)
        passes("descent")
        with torch.no_grad():
            for parameter in own:
                assert parameter.grad is not None
                parameter -= 0.3 * parameter.grad
            objective.remember(passes.whole())
        states.append({k: v.clone() for k, v in network.state_dict().items() if not k.startswith("auxiliary.")})
    return states


@pytest.mark.parametrize("window", [0.01, 0.3, 0.5, 1.0])
def test_the_teacher_is_the_mean_of_a_loop_over_all_weights(window: float) -> None:
    """Each state counts what it came in with, times what every later one has left of it."""
    objective = LocalMeanTeacher(window=window)
    network = attached(objective, nn.BatchNorm1d(DIM))
    states = trained(network, objective)
    reaches = [max(1, math.ceil(Fraction(str(window)) * step)) for step in range(1, STEPS + 1)]
    counts = [1 / m * math.prod(1 - 1 / later for later in reaches[at + 1 :]) for at, m in enumerate(reaches)]
    assert sum(counts) == pytest.approx(1)
    for name, mean in teacher(network).state_dict().items():
        if mean.is_floating_point():
            torch.testing.assert_close(
                mean, sum(count * state[name] for count, state in zip(counts, states, strict=True))
            )
    if window == 1:
        assert counts == pytest.approx([1 / STEPS] * STEPS)
    if window == 0.01:
        assert counts == [0] * (STEPS - 1) + [1]


def test_the_loss_is_that_of_a_loop_over_examples_and_classes() -> None:
    objective = LocalMeanTeacher(weight=0.7, window=1.0)
    network = attached(objective)
    trained(network, objective)
    forward = closure(network, objective, 3).forward()
    p, q = (net(forward.batch.x).softmax(1).tolist() for net in (network, teacher(network)))
    expected = 0.0
    for of_example, told, label in zip(p, q, forward.batch.y.tolist(), strict=True):
        apart = sum(t * math.log(t / s) for s, t in zip(of_example, told, strict=True))
        expected += (0.7 * apart - math.log(of_example[label])) / EACH
    assert objective.loss(forward).item() == pytest.approx(expected, rel=1e-9)
    (slope,) = torch.autograd.grad(objective.loss(forward), forward.logits)
    label = nn.functional.one_hot(forward.batch.y, CLASSES)
    torch.testing.assert_close(
        slope, (torch.tensor(p) - label + 0.7 * (torch.tensor(p) - torch.tensor(q))).double() / EACH
    )


def test_while_it_reaches_one_step_back_it_is_the_network_and_the_loss_that_of_erm() -> None:
    objective = LocalMeanTeacher(window=1 / STEPS)
    network = attached(objective)
    trained(network, objective)
    forward = closure(network, objective, 0).forward()
    torch.testing.assert_close(objective.loss(forward), CrossEntropy().loss(forward))


@pytest.mark.parametrize("steps", [7, 30, 100])
def test_the_reach_is_the_papers_largest_one_times_the_share_of_the_way(steps: int) -> None:
    for most in range(1, steps + 1):
        for step in range(1, steps + 1):
            assert reach(most / steps, step) == math.ceil(Fraction(most * step, steps))


def test_it_predicts_in_evaluation_mode_once_a_step_and_gets_no_gradient() -> None:
    objective = LocalMeanTeacher()
    network = attached(objective, nn.BatchNorm1d(DIM), nn.Dropout(0.5))
    before = copy.deepcopy(teacher(network).state_dict())
    looks: list[Tensor] = []
    teacher(network).register_forward_hook(lambda module, given, made: looks.append(made))
    passes = closure(network, objective, 0)
    passes("ascent")
    passes("descent")
    assert len(looks) == 1
    torch.testing.assert_close(looks[0], teacher(network).eval()(batch(0).x))
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher(network).state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in teacher(network).parameters())
