"""ARM-BN: gradients of passes over one domain each, against batch normalisation written out."""

from __future__ import annotations

import torch
import torch.nn.functional as F

import domainbed_toy as toy
from dgbench.algorithms.optimizers.arm_bn import ARMBN
from dgbench.core.recipe import compose, resolve
from dgbench.runs.planning import make_plan
from small import small_board


def test_gradients_are_of_the_mean_risk_of_domains_that_are_normalised_apart(problem) -> None:
    problem.batch = problem.batch.replace(sizes=(4, 4, 4))
    parameters = problem.parameters
    _, first, norm, _, last = problem.network.backbone
    running = norm.running_mean.clone()
    risks = []
    for d in range(3):
        hidden = first(problem.batch.x[4 * d : 4 * d + 4].flatten(1))
        running = running.lerp(hidden.mean(0), 0.1)
        scaled = (hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + norm.eps).sqrt()
        logits = problem.network.head(last(torch.tanh(scaled * norm.weight + norm.bias)))
        risks.append(F.cross_entropy(logits, problem.batch.y[4 * d : 4 * d + 4]))
    risk = torch.stack(risks).mean() + 0.01 * problem.network.head.weight.square().sum()
    expected = torch.autograd.grad(risk, parameters, allow_unused=True)
    loss = ARMBN().direction(problem.closure(), parameters)
    torch.testing.assert_close(loss, risk.detach())
    for found, wanted in zip(problem.gradients(), expected, strict=True):
        torch.testing.assert_close(found, torch.zeros_like(found) if wanted is None else wanted, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(norm.running_mean, running.detach())
    assert norm.num_batches_tracked == 3


def test_where_nothing_normalises_the_gradient_is_erms() -> None:
    closure = toy.closure()
    closure("descent")
    expected = [gradient.clone() for gradient in toy.head_gradients(closure)]
    ARMBN().direction(closure, list(closure.network.parameters()))
    for found, wanted in zip(toy.head_gradients(closure), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_an_absent_domain_is_left_out() -> None:
    closure = toy.closure()
    closure.batch = closure.batch.of([0]).replace(sizes=(0, 2, 0))
    loss = ARMBN().direction(closure, list(closure.network.parameters()))
    torch.testing.assert_close(loss, torch.tensor(0.361071).double(), atol=1e-6, rtol=0)


def test_on_a_network_that_does_not_normalise_by_batches_it_is_erm() -> None:
    made = make_plan(small_board("erm", "arm_bn"))
    erm, arm = ([entry.run for entry in made.entries if entry.algorithm == name] for name in ("erm", "arm_bn"))
    assert erm == arm
    assert resolve(compose("arm_bn"), small_board("erm")).parts["predictor"].track == "online"
