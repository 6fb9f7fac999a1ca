"""What holds for every optimizer in the registry that sees whole batches, on a small network."""

from __future__ import annotations

import pytest
import torch

from dgbench.algorithms.optimizers.adamw import AdamW
from dgbench.algorithms.optimizers.sam import SAM
from dgbench.algorithms.optimizers.sgd import SGD
from dgbench.algorithms.slots import Optimizer
from dgbench.core import registry

NAMES = sorted(name for name in registry.BUILT_IN["optimizer"] if not registry.load("optimizer", name).takes_apart)
SHARP = [name for name in NAMES if issubclass(registry.load("optimizer", name), SAM)]


def made(name: str) -> Optimizer:
    return registry.load("optimizer", name)()


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_back_and_the_loss_is_theirs(name: str, problem) -> None:
    before = [p.detach().clone() for p in problem.parameters]
    loss = made(name).direction(problem.closure(), problem.parameters)
    assert all(torch.equal(p, b) for p, b in zip(problem.parameters, before, strict=True))
    torch.testing.assert_close(loss, problem.closure()("descent"))
    assert not loss.requires_grad


@pytest.mark.parametrize("name", NAMES)
def test_directions_lie_in_memory_as_weights_do(name: str, problem) -> None:
    made(name).direction(problem.closure(), problem.parameters)
    for parameter in problem.parameters:
        if parameter.grad is not None:
            assert parameter.grad.stride() == parameter.stride()
            assert not parameter.grad.requires_grad
    assert problem.network.backbone.unused_weight.grad is None


@pytest.mark.parametrize("name", NAMES)
def test_the_same_step_gives_the_same_bits(name: str, problem) -> None:
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        made(name).direction(problem.closure(), problem.parameters)
        found.append(problem.gradients())
    for a, b in zip(*found, strict=True):
        assert (a is b is None) or torch.equal(a, b)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("examples", [[0], [0, 1, 2, 3], [0, 4, 8]], ids=["one", "one domain", "one class"])
def test_poor_batches_give_finite_directions(name: str, problem, examples: list[int]) -> None:
    problem.network.backbone[2].eval()  # an example by itself has no variance
    batch = problem.batch
    x, y, domain, index = (values[examples] for values in (batch.x, batch.y, batch.domain, batch.index))
    problem.batch = batch.replace(x=x, y=y, domain=domain, index=index)
    made(name).direction(problem.closure(), problem.parameters)
    assert all(g is None or g.isfinite().all() for g in problem.gradients())


@pytest.mark.parametrize("name", SHARP)
def test_a_loss_that_is_flat_everywhere_moves_nothing(name: str, problem) -> None:
    for parameter in problem.parameters:
        parameter.requires_grad_(False)
    head = problem.network.head.requires_grad_()
    problem.batch = problem.batch.replace(target=torch.zeros(12, 4))  # no class weighs anything
    with torch.no_grad():
        head.weight.zero_()
    made(name).direction(problem.closure(step=0), problem.parameters)
    assert all(torch.equal(g, torch.zeros_like(g)) for g in problem.gradients() if g is not None)


@pytest.mark.parametrize("name", SHARP)
def test_running_statistics_move_once(name: str, problem) -> None:
    norm = problem.network.backbone[2]
    made(name).direction(problem.closure(), problem.parameters)
    moved = norm.running_mean.clone()
    norm.reset_running_stats()
    problem.closure()("descent")
    assert torch.equal(norm.running_mean, moved)


@pytest.mark.parametrize("name", SHARP)
def test_the_base_optimizer_has_the_parts_hyperparameters(name: str) -> None:
    shared = {"lr": 0.2, "weight_decay": 0.3, "momentum": 0.4}
    part, w = registry.load("optimizer", name), [torch.ones(2)]
    assert part(base="sgd", **shared).build(w).defaults == SGD(**shared).build(w).defaults
    assert part(base="adamw", **shared).build(w).defaults == AdamW(**shared).build(w).defaults
