from __future__ import annotations

import pytest
import torch

import domainbed_toy as toy
from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.optimizers import mldg
from dgbench.algorithms.optimizers.mldg import MLDG


def directed(part: MLDG, order: list[int], monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The loss, then the gradients in the head's weight and bias."""
    monkeypatch.setattr(mldg, "shuffled", lambda closure: order)
    closure = toy.closure()
    parameters = list(closure.network.parameters())
    before = [p.detach().clone() for p in parameters]
    loss = part.direction(closure, parameters)
    assert all(torch.equal(p, b) for p, b in zip(parameters, before, strict=True))
    return [loss, *toy.head_gradients(closure)]


def test_the_worked_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """From A to B; there the sum of two gradients was divided by three domains, here by two weights."""
    loss, weight, bias = directed(MLDG(lr=0.1, held_out=1), [0, 1], monkeypatch)
    for found, there in ((weight[0], [-0.065744, 0.069935]), (bias[0], 0.053695), (loss, 0.151380)):
        torch.testing.assert_close(found, torch.tensor(there).double() * 3 / 2, atol=1e-6, rtol=0)


def test_all_domains_are_used_with_the_base_optimizers_own_step_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the formula, with SGD: of domains C, A and B the last two are held out."""
    closure = toy.closure()
    head = closure.network.head
    closure.of(2)("descent")
    near = [g.clone() for g in toy.head_gradients(closure)]
    with torch.no_grad():
        for p, g in zip(head.parameters(), near, strict=True):
            p -= 0.3 * g
    closure.of(0, 1)("descent")
    expected = [(a + 4 * b) / 5 for a, b in zip(near, toy.head_gradients(closure), strict=True)]
    part = MLDG(lr=0.3, base="sgd", meta_weight=4, held_out=2)
    for found, wanted in zip(directed(part, [2, 0, 1], monkeypatch)[1:], expected, strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("held_out", [1, 2, 9])
def test_without_meta_weight_it_is_erm_on_what_is_not_held_out(held_out: int, monkeypatch: pytest.MonkeyPatch) -> None:
    closure = toy.closure()
    closure.of(*[1, 2, 0][: max(1, 3 - held_out)])("descent")
    found = directed(MLDG(meta_weight=0, held_out=held_out), [1, 2, 0], monkeypatch)[1:]
    for a, b in zip(found, toy.head_gradients(closure), strict=True):
        torch.testing.assert_close(a, b)


def test_a_lone_domain_is_erm() -> None:
    closure = toy.closure(domains=1)
    loss = MLDG().direction(closure, list(closure.network.parameters()))
    torch.testing.assert_close(loss, CrossEntropy().loss(toy.seen(given=toy.batch(1))))


def test_the_step_ahead_is_at_the_rate_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """At rate 0 both gradients are those of the weights as they are: with equal shares that is ERM's."""
    monkeypatch.setattr(MLDG, "rate", lambda self, step, steps: 0.0 if step == 5 else 1.0)
    closure = toy.closure(step=5)
    closure("descent")
    found = directed(MLDG(lr=1, meta_weight=2.0, held_out=2), [0, 1, 2], monkeypatch)
    for a, b in zip(found[1:], toy.head_gradients(closure), strict=True):
        torch.testing.assert_close(a, b)
