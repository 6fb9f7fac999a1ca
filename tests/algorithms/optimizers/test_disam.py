from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.optimizers.disam import DISAM, GSAMDISAM, SAGMDISAM, variance
from dgbench.algorithms.optimizers.gsam import GSAM
from dgbench.algorithms.optimizers.sagm import SAGM
from dgbench.algorithms.optimizers.sam import SAM
from dgbench.algorithms.optimizers.sgd import SGD
from dgbench.core.cards import board_card
from dgbench.core.recipe import compose, reduce, resolve

PAIRS = [(DISAM, SAM), (GSAMDISAM, GSAM), (SAGMDISAM, SAGM)]


class TwoDomains:
    """L1 = 1/2 ||w - (1, 0)||^2 and L2 = 2 ||w - (0, 1)||^2: a closure that is its own forward pass."""

    step, steps, domains = 0, 10, 2

    def __init__(self) -> None:
        self.network = nn.Module()
        self.network.weight = nn.Parameter(torch.zeros(2).double())
        self.batch, self.logits = self, self.network.weight

    def membership(self, domains: int) -> tuple[None, Tensor]:
        return None, torch.tensor([3.0, 3.0])

    def forward(self) -> TwoDomains:
        return self

    def domain_risks(self) -> Tensor:
        w = self.network.weight
        apart = w - torch.eye(2).double()
        return torch.tensor([0.5, 2.0]).double() * apart.square().sum(1)

    def loss(self, forward: TwoDomains) -> Tensor:
        return self.domain_risks().mean()

    def __call__(self, phase: str) -> Tensor:
        self.network.zero_grad()
        loss = self.loss(self)
        loss.backward()
        return loss.detach()


@pytest.mark.parametrize(
    ("weight", "ascent"),
    [(0.1, [-0.575, -1.7]), (0.5, [-0.875, -0.5]), (1.0, [-1.25, 1.0])],
    ids=["a little", "more", "one domain downhill"],
)
def test_uphill_on_the_worked_example(weight: float, ascent: list[float]):
    """The domains weigh (.575, .425), (.875, .125) and (1.25, -.25); their gradients are (-1, 0) and (0, -4)."""
    closure = TwoDomains()
    loss = DISAM(variance_weight=weight).look(closure)
    torch.testing.assert_close(closure.network.weight.grad, torch.tensor(ascent).double())
    assert loss == 1.25


def test_direction_on_the_worked_example():
    closure = TwoDomains()
    DISAM(rho=0.05, variance_weight=0.1).direction(closure, [closure.network.weight])
    expected = torch.tensor([-0.540050, -2.118410]).double()
    torch.testing.assert_close(closure.network.weight.grad, expected, atol=1e-6, rtol=0)
    assert closure.network.weight.tolist() == [0, 0]


def test_the_variance_is_that_of_the_risks_of_domains_that_are_there(problem):
    assert variance(TwoDomains()).item() == pytest.approx(0.5625)
    forward = problem.closure().forward()
    torch.testing.assert_close(variance(forward), forward.domain_risks().var(correction=0))
    problem.batch = problem.batch.replace(domain=torch.arange(12) // 6)  # none of the third
    forward = problem.closure().forward()
    torch.testing.assert_close(variance(forward), forward.domain_risks()[:2].var(correction=0))


@pytest.mark.parametrize(("part", "plain"), PAIRS)
def test_without_weight_or_with_one_domain_it_is_the_variant_that_it_goes_with(part, plain, problem):
    for weight, domain in [(0, problem.batch.domain), (0.3, torch.zeros(12, dtype=torch.long))]:
        problem.batch = problem.batch.replace(domain=domain)
        part(rho=0.1, variance_weight=weight).direction(problem.closure(), problem.parameters)
        mine = problem.gradients()
        plain(rho=0.1).direction(problem.closure(), problem.parameters)
        for a, b in zip(mine, problem.gradients(), strict=True):
            assert (a is b is None) or torch.allclose(a, b, atol=1e-7)


def test_with_gsam_the_gradient_here_is_the_one_that_says_where_uphill_is():
    """GSAM by hand on the worked example: g and g_p as above."""
    closure = TwoDomains()
    GSAMDISAM(rho=0.05, variance_weight=0.1, alpha=0.5).direction(closure, [closure.network.weight])
    g, nearby = torch.tensor([-0.575, -1.7]).double(), torch.tensor([-0.540050, -2.118410]).double()
    expected = nearby - 0.5 * (g - (g @ nearby) / (nearby @ nearby) * nearby)
    torch.testing.assert_close(closure.network.weight.grad, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("part", "plain"), PAIRS)
def test_what_is_left_on_one_domain(part, plain):
    given = {"rho": 0.3, "lr": 0.2, "base": "sgd"} | ({"alpha": 0.7} if plain is not SAM else {})
    assert part(variance_weight=0.4, **given).reduced() == plain(**given)
    assert {f.name for f in fields(part)} == {f.name for f in fields(plain)} | {"variance_weight"}
    assert isinstance(part(base="sgd").build([torch.ones(1)]), type(SGD().build([torch.ones(1)])))


@pytest.mark.parametrize("name", ["", "gsam_", "sagm_"])
def test_on_one_domain_a_recipe_has_the_identity_of_that_variant(name: str):
    board = board_card("quick")
    left, said = reduce(resolve(compose(f"{name}disam"), board), board, frozenset({"moving features"}))
    plain = name.removesuffix("_") or "sam"
    assert left.specs["optimizer"] == resolve(compose(plain), board).specs["optimizer"]
    assert said == f"the optimizer '{name}disam' acts on several domains, which this training has not"
