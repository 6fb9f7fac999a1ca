from __future__ import annotations

import pytest
import torch

from dgbench.algorithms.optimizers.adamw import AdamW
from dgbench.algorithms.optimizers.asam import ASAM
from dgbench.algorithms.optimizers.sam import SAM


def perturbation(part, closure) -> torch.Tensor:
    w = closure.network.weight
    closure("ascent")
    return part.ascent(closure.network, [w], [w.grad])[0]


def test_quadratic(quadratic):
    closure = quadratic([1, 4], [1, 1])
    torch.testing.assert_close(
        perturbation(SAM(rho=0.1), closure), torch.tensor([0.024254, 0.097014]).double(), atol=1e-6, rtol=0
    )
    loss = SAM(rho=0.1).direction(closure, [closure.network.weight])
    expected = torch.tensor([1.024254, 4.388057]).double()
    torch.testing.assert_close(closure.network.weight.grad, expected, atol=1e-6, rtol=0)
    assert loss == 2.5


def test_the_perturbation_has_length_rho(quadratic):
    assert perturbation(SAM(rho=0.3), quadratic([1, 4, 9], [1, -2, 3])).norm().item() == pytest.approx(0.3)


def test_a_zero_gradient_moves_nothing(quadratic):
    closure = quadratic([1, 4], [0, 0])
    SAM().direction(closure, [closure.network.weight])
    assert torch.equal(closure.network.weight.grad, torch.zeros(2).double())


@pytest.mark.parametrize("part", [SAM, ASAM])
def test_rho_0_is_bitwise_the_base_optimizer(part, problem):
    part(rho=0).direction(problem.closure(), problem.parameters)
    mine = problem.gradients()
    AdamW().direction(problem.closure(), problem.parameters)
    for a, b in zip(mine, problem.gradients(), strict=True):
        assert (a is b is None) or torch.equal(a, b)


@pytest.mark.parametrize("part", [SAM, ASAM])
def test_two_passes_the_second_elsewhere_and_weights_back_in_place(part, problem):
    before = [p.detach().clone() for p in problem.parameters]
    closure = problem.closure()
    part().direction(closure, problem.parameters)
    first, second = problem.objective.calls
    assert closure.passes == part.passes == 2
    assert torch.equal(first, problem.network.head.weight)
    assert not torch.equal(first, second)
    assert all(torch.equal(p, b) for p, b in zip(problem.parameters, before, strict=True))


def test_weights_are_back_in_place_when_the_second_pass_fails(quadratic):
    closure = quadratic([1, 4], [1, 1])

    def failing(phase: str) -> torch.Tensor:
        if phase == "descent":
            raise KeyboardInterrupt
        return closure(phase)

    failing.network = closure.network
    with pytest.raises(KeyboardInterrupt):
        SAM().direction(failing, [closure.network.weight])
    assert closure.network.weight.tolist() == [1, 1]


def test_only_the_given_parameters_move(problem):
    for parameter in problem.network.backbone.parameters():
        parameter.requires_grad_(False)
    state = {k: v.clone() for k, v in problem.network.state_dict().items()}
    SAM().direction(problem.closure(), problem.parameters)
    assert len(problem.parameters) == 2
    for name, tensor in problem.network.state_dict().items():
        if "running" not in name and "batches" not in name:
            assert torch.equal(tensor, state[name]), name


def test_direction_is_the_gradient_at_the_perturbed_weights(problem):
    """Against SAM written out: gradient, step uphill, gradient, step back."""
    SAM(rho=0.5).direction(problem.closure(), problem.parameters)
    mine = problem.gradients()
    problem.closure()("ascent")
    length = torch.cat([g.flatten() for g in problem.gradients() if g is not None]).norm()
    with torch.no_grad():
        for p in problem.parameters:
            if p.grad is not None:
                p.add_(p.grad, alpha=0.5 / length.item())
    problem.closure()("descent")
    for a, b in zip(mine, problem.gradients(), strict=True):
        if a is not None:
            torch.testing.assert_close(a, b)
