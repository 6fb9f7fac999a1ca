"""Mixups that choose partners: which, in which proportion, and what comes of inputs and labels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import domainbed_toy as toy
from dgbench.algorithms.objectives import inter_domain_mixup, mixing
from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.inter_domain_mixup import InterDomainMixup
from dgbench.algorithms.objectives.label_kernel_mixup import LabelKernelMixup
from dgbench.algorithms.objectives.lisa import LISA
from dgbench.algorithms.objectives.mixing import Mixing, drawn_partners
from dgbench.algorithms.step import Batch

CLASSES = 3
PARTS = [InterDomainMixup(), LISA(), LabelKernelMixup()]


def marked() -> Batch:
    """Domains of 4, 3 and 5 examples whose inputs say which row they are."""
    domain = torch.tensor([0] * 4 + [1] * 3 + [2] * 5)
    y = torch.tensor([0, 0, 1, 2, 0, 1, 1, 2, 0, 1, 2, 2])
    return Batch(torch.eye(12), y, domain, torch.arange(12), sizes=(4, 3, 5))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def taken(part: Mixing, seed: int) -> tuple[Batch, Tensor, Tensor]:
    """What is prepared, the row of each partner, and the share of each example itself (0.7 for those mixed)."""
    after = part.prepare(marked(), CLASSES, seeded(seed))
    others = after.x * (1 - torch.eye(12))
    share, partner = others.max(1)
    own = torch.arange(12)
    return after, torch.where(share > 0, partner, own), 1 - share


@pytest.fixture(autouse=True)
def _seven_tenths(monkeypatch: pytest.MonkeyPatch) -> None:
    def share(a: float, generator: torch.Generator) -> Tensor:
        return torch.tensor(0.7, dtype=torch.float64)

    monkeypatch.setattr(inter_domain_mixup, "symmetric_beta", share)
    for module in ("lisa", "label_kernel_mixup"):
        monkeypatch.setattr(f"dgbench.algorithms.objectives.{module}.symmetric_beta", share)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("seed", range(5))
def test_inputs_and_targets_are_mixed_alike(part: Mixing, seed: int) -> None:
    before = marked()
    after, partner, share = taken(part, seed)
    hot = F.one_hot(before.y, CLASSES).float()
    torch.testing.assert_close(after.target, share[:, None] * hot + (1 - share[:, None]) * hot[partner])
    assert set(share.tolist()) <= {1.0, torch.tensor(0.7).item()} | {1 - torch.tensor(0.3).item()}
    assert torch.equal(after.domain, before.domain)
    again = part.prepare(marked(), CLASSES, seeded(seed))
    assert torch.equal(again.x, after.x)


@pytest.mark.parametrize("part", PARTS)
def test_the_loss_is_the_mean_of_the_domains_risks_against_targets(part: Mixing) -> None:
    given = part.prepare(toy.batch(), 2, seeded(0))
    logits = toy.network()(given.x)
    means = [F.cross_entropy(logits[2 * d : 2 * d + 2], given.target[2 * d : 2 * d + 2]) for d in range(3)]  # type: ignore[index]
    torch.testing.assert_close(part.loss(toy.seen(given=given)), torch.stack(means).mean())


def test_inter_domain_mixup_of_the_worked_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """A with B, B with C, C with A, at .3."""
    monkeypatch.setattr(inter_domain_mixup, "symmetric_beta", lambda a, generator: torch.tensor(0.3).double())
    monkeypatch.setattr(torch, "randperm", lambda n, generator: torch.arange(n))
    given = InterDomainMixup().prepare(toy.batch(), 2, seeded(0))
    assert InterDomainMixup().loss(toy.seen(given=given)).item() == pytest.approx(0.641508, abs=1e-6)


def test_every_domain_meets_one_other_row_by_row_and_circles_differ() -> None:
    circles = set()
    for seed in range(20):
        _, partner, _ = taken(InterDomainMixup(), seed)
        domains = marked().domain[partner].split([4, 3, 5])
        assert all(len(met.unique()) == 1 for met in domains)
        following = tuple(int(met[0]) for met in domains)
        assert sorted(following) == [0, 1, 2]
        assert all(following[d] != d for d in range(3))
        start = [0, 4, 7][following[2]]
        size = [4, 3, 5][following[2]]
        assert partner[7:].tolist() == [start + place % size for place in range(5)]
        circles.add(following)
    assert len(circles) == 2


def test_each_pair_of_domains_has_a_weight_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = iter([0.1, 0.2, 0.3])
    monkeypatch.setattr(inter_domain_mixup, "symmetric_beta", lambda a, generator: torch.tensor(next(shares)))
    after = InterDomainMixup().prepare(marked(), CLASSES, seeded(0))
    torch.testing.assert_close(after.x.diagonal(), torch.tensor([0.1] * 4 + [0.2] * 3 + [0.3] * 5))


def test_a_lone_domain_is_not_mixed() -> None:
    given = InterDomainMixup().prepare(toy.batch(1), 2, seeded(0))
    torch.testing.assert_close(given.x, toy.X[:2])
    plain = CrossEntropy().loss(toy.seen(given=toy.batch(1)))
    torch.testing.assert_close(InterDomainMixup().loss(toy.seen(given=given)), plain)


def same(values: Tensor, partner: Tensor) -> Tensor:
    return values == values[partner]


@pytest.mark.parametrize(
    ("within", "fits"),
    [
        (1.0, lambda y, d: y & ~d),
        (0.0, lambda y, d: d & ~y),
    ],
)
def test_lisa_mixes_domains_of_a_class_or_classes_of_a_domain(within: float, fits: Callable[..., Tensor]) -> None:
    before = marked()
    met = set()
    for seed in range(60):
        _, partner, share = taken(LISA(within_class=within), seed)
        fit = fits(same(before.y, partner), same(before.domain, partner))
        assert (fit | (share == 1)).all()
        met |= {(i, j) for i, j in enumerate(partner.tolist()) if i != j}
    i, j = torch.meshgrid(torch.arange(12), torch.arange(12), indexing="ij")
    possible = fits(before.y[i] == before.y[j], before.domain[i] == before.domain[j])
    assert met == {tuple(pair) for pair in possible.nonzero().tolist()}


def test_lisa_tosses_a_coin_each_step() -> None:
    within = 0
    for seed in range(200):
        _, partner, share = taken(LISA(within_class=0.3), seed)
        mixed = share < 1
        within += bool(same(marked().y, partner)[mixed].all())
    assert 40 <= within <= 80


def test_an_example_that_none_fits_stays_as_it_is() -> None:
    lone = Batch(torch.eye(3), torch.tensor([0, 0, 0]), torch.zeros(3, dtype=torch.int64), torch.arange(3))
    after = LISA().prepare(lone, 2, seeded(0))
    torch.testing.assert_close(after.x, torch.eye(3))
    assert torch.equal(after.target, F.one_hot(lone.y, 2).float())  # type: ignore[arg-type]


def test_partners_are_drawn_in_proportion_to_weights() -> None:
    weights = torch.tensor([0.0, 1.0, 3.0, 0.0, 6.0, 0.0]).repeat(20000, 1)
    shares = torch.bincount(drawn_partners(weights, seeded(3)), minlength=6) / 20000
    torch.testing.assert_close(shares, torch.tensor([0, 0.1, 0.3, 0, 0.6, 0]), atol=0.02, rtol=0)
    assert shares[[0, 3, 5]].sum() == 0


def test_the_label_kernel() -> None:
    part = LabelKernelMixup(bandwidth=0.5)
    kernel = part.kernel(F.one_hot(torch.tensor([0, 1, 0])).double())
    other = torch.tensor(-4.0).exp().item()
    torch.testing.assert_close(kernel, torch.tensor([[1, other, 1], [other, 1, other], [1, other, 1]]).double())
    values = torch.tensor([[0.0], [0.5], [2.0]])
    torch.testing.assert_close(part.kernel(values)[0], torch.tensor([0.0, -0.5, -8.0]).exp())


@pytest.mark.parametrize(("bandwidth", "lowest", "highest"), [(0.1, 1.0, 1.0), (100.0, 0.26, 0.41)])
def test_a_narrow_kernel_keeps_to_the_class_and_a_wide_one_knows_none(
    bandwidth: float, lowest: float, highest: float
) -> None:
    """Of twelve examples 4, 4 and 4 of a class, a third of all partners is of the same."""
    found = [taken(LabelKernelMixup(bandwidth=bandwidth), seed)[1] for seed in range(40)]
    share = torch.cat([same(marked().y, partner) for partner in found]).float().mean()
    assert lowest <= share <= highest


def test_the_beta_parameter_reaches_the_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for part in (InterDomainMixup(alpha=1e-6), LISA(alpha=1e-6), LabelKernelMixup(alpha=1e-6)):
        x = part.prepare(marked(), CLASSES, seeded(1)).x
        assert set(x.flatten().tolist()) == {0.0, 1.0}
    assert mixing.symmetric_beta(1e6, seeded(0)).item() == pytest.approx(0.5, abs=0.01)
