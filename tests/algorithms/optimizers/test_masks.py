"""AND-mask and SAND-mask: against the worked example, and entry by entry."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import domainbed_toy as toy
from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.optimizers.and_mask import ANDMask
from dgbench.algorithms.optimizers.arm_bn import ARMBN
from dgbench.algorithms.optimizers.descent import Descent
from dgbench.algorithms.optimizers.mldg import MLDG
from dgbench.algorithms.optimizers.sand_mask import SANDMask
from dgbench.algorithms.step import Closure
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import compose, resolve
from dgbench.models.network import Backbone, Network, placed
from dgbench.train.layout import check_layouts
from small import small_board


def directed(part: ANDMask, domains: int = 3) -> tuple[Tensor, Tensor]:
    closure = toy.closure(domains=domains)
    part.direction(closure, list(closure.network.parameters()))
    return toy.head_gradients(closure)


def near(found: Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected).double(), atol=1e-6, rtol=0)


def test_and_mask_of_the_worked_example() -> None:
    weight, bias = directed(ANDMask())
    near(weight[0], [0, 0.325501])
    near(weight[1], [0, -0.325501])
    near(bias, [0.310232, -0.310232])


def test_sand_mask_of_the_worked_example() -> None:
    part = SANDMask(agreement=0.2, steepness=0.05)
    weight, bias = directed(part)
    near(weight[0], [0.009392, 0.310653])
    near(bias, [0.310232, -0.310232])
    columns = torch.tensor([[-0.077233, 0.212779], [-0.150516, 0.012285], [0.536593, 0.263189]]).double()
    near(part.mask(columns), [0.046789, 0.978910])
    near(part.mask(torch.tensor([0.135546, 0.056056, 0.739093]).double()), 0.279090)  # type: ignore[arg-type]


@pytest.mark.parametrize(("agreement", "kept"), [(0.0, 3), (0.3, 2), (0.5, 2), (0.6, 1), (1.0, 1)])
def test_four_domains_agree_by_halves(agreement: float, kept: int) -> None:
    signs = torch.tensor([[1, 1, 1], [1, 1, 1], [1, 1, -1], [1, -1, -1]]).float()
    assert ANDMask(agreement=agreement).mask(signs).sum() == kept


def test_thirds_are_not_lost_to_rounding() -> None:
    assert ANDMask(agreement=1 / 3).mask(torch.tensor([[1.0], [1.0], [-1.0]])) == 1


def test_the_gradient_is_erms_where_nothing_is_masked() -> None:
    closure = toy.closure()
    closure("descent")
    for found, expected in zip(directed(ANDMask(agreement=0)), toy.head_gradients(closure), strict=True):
        torch.testing.assert_close(found, expected)


def test_sand_mask_learns_nothing_where_all_agreement_is_asked_for_and_all_from_equal_gradients() -> None:
    assert SANDMask(agreement=1).mask(torch.randn(3, 50).abs() + 1).max() == 0
    assert SANDMask().mask(torch.ones(3, 4)).min() == 1


@pytest.mark.parametrize("part", [ANDMask(), SANDMask()])
def test_one_example_and_absent_domains_stay_finite(part: ANDMask) -> None:
    closure = toy.closure()
    closure.batch = closure.batch.of([0]).replace(sizes=(0, 2, 0))
    part.direction(closure, list(closure.network.parameters()))
    assert all(g.isfinite().all() for g in toy.head_gradients(closure))


@pytest.mark.parametrize("part", [ANDMask(), SANDMask()])
def test_one_pass_over_each_domain_and_weights_where_they_were(part: ANDMask, problem) -> None:
    before = [p.detach().clone() for p in problem.parameters]
    problem.batch = problem.batch.replace(sizes=(4, 4, 4))
    part.direction(problem.closure(), problem.parameters)
    assert len(problem.objective.calls) == 3
    assert all(torch.equal(p, b) for p, b in zip(problem.parameters, before, strict=True))
    assert all(g is not None and g.isfinite().all() for g in problem.gradients())


def test_objectives_that_compare_domains_are_refused() -> None:
    board = small_board("erm")
    resolve(compose("and_mask + irm"), board)
    for objective in ("vrex", "coral", "drm"):
        with pytest.raises(RecipeError, match="takes each batch apart by domain"):
            resolve(compose(f"and_mask + {objective}"), board)


@pytest.mark.parametrize("part", [ANDMask(), SANDMask(), MLDG(), ARMBN()])
def test_gradients_lie_as_their_weights_do(part: Descent) -> None:
    """Networks keep their channels last."""
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
    made = placed(Network(Backbone("toy", body, 4, 3, (0, 0, 0), (1, 1, 1)), 2), torch.device("cpu"))
    given = toy.batch().replace(x=torch.randn(6, 3, 3, 3), target=None)
    closure = Closure(made, CrossEntropy().loss, given, step=0, steps=1, domains=3)
    parameters = dict(made.named_parameters())
    base = part.build(list(parameters.values()))
    part.step(closure, list(parameters.values()), base)
    assert not body[0].weight.is_contiguous()
    check_layouts(parameters, base)
