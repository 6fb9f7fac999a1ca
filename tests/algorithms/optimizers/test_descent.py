from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dgbench.algorithms.optimizers.adamw import AdamW
from dgbench.algorithms.optimizers.asam import ASAM
from dgbench.algorithms.optimizers.sam import SAM
from dgbench.algorithms.optimizers.sgd import SGD
from dgbench.algorithms.optimizers.udim import UDIM


def test_constant_rate():
    assert {AdamW(lr=0.3).rate(step, 7) for step in range(7)} == {0.3}


def test_cosine_falls_from_lr_to_0():
    rates = [AdamW(lr=2.0, schedule="cosine").rate(step, 8) for step in range(8)]
    assert rates == pytest.approx([1 + math.cos(math.pi * step / 8) for step in range(8)])


def test_warm_up_is_linear_and_reaches_lr_at_its_last_step():
    part = AdamW(lr=1.0, warmup=0.4)
    assert [part.rate(step, 10) for step in range(6)] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_after_warm_up_the_cosine_begins_at_lr():
    part = AdamW(lr=2.0, schedule="cosine", warmup=0.2)
    falling = [1 + math.cos(math.pi * step / 8) for step in range(8)]
    assert [part.rate(step, 10) for step in range(10)] == pytest.approx([1, 2, *falling])


@given(warmup=st.floats(0, 1), steps=st.integers(1, 50), schedule=st.sampled_from(["constant", "cosine"]))
def test_rates_are_positive_and_at_most_lr(warmup: float, steps: int, schedule: str):
    part = SGD(lr=0.1, warmup=warmup, schedule=schedule)
    assert all(0 < part.rate(step, steps) <= 0.1 for step in range(steps))


def test_clip_is_off_at_0():
    assert AdamW().clip() is None
    assert AdamW(clip_norm=1.5).clip() == 1.5


@pytest.mark.parametrize("part", [AdamW, SGD, SAM, ASAM, UDIM])
@pytest.mark.parametrize("wrong", [{"lr": 0}, {"momentum": 1}, {"warmup": 1.1}, {"schedule": "step"}, {"nonsense": 1}])
def test_values_out_of_range_are_refused(part, wrong):
    with pytest.raises(ValidationError):
        TypeAdapter(part).validate_python(wrong)
    assert TypeAdapter(part).validate_python({"lr": 1}).lr == 1.0


def test_adamw_decays_weights_apart_from_the_gradient():
    w = torch.tensor([2.0, -3.0])
    base = AdamW(lr=0.1, weight_decay=0.5).build([w])
    w.grad = torch.tensor([1e-3, 4.0])
    base.step()
    torch.testing.assert_close(w, torch.tensor([2.0, -3.0]) * 0.95 - 0.1)  # Adam's first step is the gradient's sign


def test_momentum_is_adams_first_decay():
    assert AdamW(momentum=0.5).build([torch.ones(1)]).defaults["betas"] == (0.5, 0.999)


def test_sgd_with_momentum_and_decay():
    w = torch.tensor([1.0])
    base = SGD(lr=0.1, momentum=0.5, weight_decay=0.2).build([w])
    for _ in range(2):
        w.grad = torch.tensor([1.0])
        base.step()
    velocity = 1.2
    after = 1 - 0.1 * velocity
    velocity = 0.5 * velocity + 1 + 0.2 * after
    torch.testing.assert_close(w, torch.tensor([after - 0.1 * velocity]))


@pytest.mark.parametrize("part", [AdamW, SGD])
def test_updates_are_the_same_bits_every_time(part):
    ends = []
    for _ in range(2):
        draw = torch.Generator().manual_seed(0)
        weights = [torch.randn(size, generator=draw) for size in (1000, 7, 3)]
        base = part(lr=0.01, weight_decay=0.1).build(weights)
        for _ in range(5):
            for w in weights:
                w.grad = torch.randn(w.shape, generator=draw)
            base.step()
        ends.append(weights)
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


@pytest.mark.parametrize("part", [AdamW, SGD])
def test_direction_is_the_gradient(part, problem):
    loss = part().direction(problem.closure(), problem.parameters)
    mine = problem.gradients()
    expected = problem.closure()("descent")
    assert torch.equal(loss, expected)
    assert len(problem.objective.calls) == 2
    for a, b in zip(mine, problem.gradients(), strict=True):
        assert (a is b is None) or torch.equal(a, b)
