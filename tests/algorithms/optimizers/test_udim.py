from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.optimizers.gam import GAM
from dgbench.algorithms.optimizers.sagm import SAGM
from dgbench.algorithms.optimizers.sam import SAM
from dgbench.algorithms.optimizers.udim import UDIM, UDIMGAM, UDIMSAGM, inconsistency
from dgbench.algorithms.optimizers.udim_released import UDIMReleased
from dgbench.algorithms.step import Batch, Closure, Forward
from dgbench.models.backbones import build
from dgbench.models.network import Backbone, Network

MATCHING = 5  # of 10 steps; the SAM phase ends before


def toy(x: Tensor) -> Forward:
    """The worked example: two features, three classes, one domain."""
    network = Network(Backbone("toy", nn.Identity(), 2, size=1, mean=(0, 0, 0), std=(1, 1, 1)), 3).double()
    with torch.no_grad():
        network.head.weight.copy_(torch.tensor([[0.5, -0.2], [0.0, 0.3], [-0.4, 0.1]]))
        network.head.bias.copy_(torch.tensor([0.0, 0.1, -0.1]))
    batch = Batch(x, torch.tensor([0, 1, 2, 0]), torch.zeros(4, dtype=torch.long), torch.arange(4))
    return Forward(network, batch, x, network.head(x), step=0, steps=1, domains=1)


X = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0]]).double()


def by_sample(source: Forward, unknown: Forward) -> Tensor:
    """The inconsistency from gradients taken one example at a time, variance by variance."""

    def gradients(forward: Forward) -> tuple[Tensor, Tensor]:
        head = forward.network.head
        losses = F.cross_entropy(head(forward.features), forward.batch.y, reduction="none")
        rows = [torch.autograd.grad(loss, [head.weight, head.bias], retain_graph=True) for loss in losses]
        return torch.stack([weight for weight, _ in rows]), torch.stack([bias for _, bias in rows])

    per_domain = []
    (W, b), (W_, b_) = gradients(source), gradients(unknown)
    for d in range(source.domains):
        mine = source.batch.domain == d
        G, G_ = (torch.cat([w[mine], c[mine, :, None]], 2) for w, c in ((W, b), (W_, b_)))
        m = G.mean(0)
        gap = (G - m).square().mean(0) - (G_ - m).square().mean(0)
        norms = W_[mine].square().sum((1, 2)) / W_[0].numel() + b_[mine].square().sum(1) / b_[0].numel()
        per_domain.append(gap.square().mean() / 4 + norms.mean())
    return torch.stack(per_domain).mean()


def test_worked_example():
    source, shifted = toy(X), toy(X + 0.1)
    assert inconsistency(source, source).item() == pytest.approx(0.3024019, abs=1e-7)
    assert inconsistency(source, shifted).item() == pytest.approx(1.217777e-4 + 0.3291705, abs=1e-7)


def test_inconsistency_is_that_of_per_sample_gradients(problem):
    source = problem.closure().forward()
    unknown = problem.closure().forward(problem.batch.replace(x=problem.batch.x + 0.3))
    torch.testing.assert_close(inconsistency(source, unknown), by_sample(source, unknown))


def test_order_inside_the_batch_does_not_matter(problem):
    source = problem.closure().forward()
    unknown = problem.closure().forward(problem.batch.replace(x=problem.batch.x + 0.3))
    order = torch.randperm(12)
    batch = problem.batch.replace(y=problem.batch.y[order], domain=problem.batch.domain[order])
    shuffled = replace(unknown, batch=batch, features=unknown.features[order], logits=unknown.logits[order])
    torch.testing.assert_close(inconsistency(source, shuffled), inconsistency(source, unknown))


def test_perfect_predictions_have_none():
    sure = toy(X)
    sure = replace(sure, logits=1e3 * F.one_hot(sure.batch.y, 3).double())
    assert inconsistency(sure, sure) == 0


INSIDE = pytest.mark.parametrize(("part", "inside"), [(UDIM, SAM), (UDIMSAGM, SAGM), (UDIMGAM, GAM)])


@INSIDE
def test_sam_phase_is_sam(problem, part, inside):
    loss = part(sam_phase=0.4, rho=0.1).direction(problem.closure(step=3), problem.parameters)
    mine = problem.gradients()
    assert torch.equal(loss, inside(rho=0.1).direction(problem.closure(step=3), problem.parameters))
    for a, b in zip(mine, problem.gradients(), strict=True):
        assert (a is b is None) or torch.equal(a, b)


@pytest.mark.parametrize(("step", "passes"), [(3, 2), (4, 3)])
def test_matching_begins_at_the_step_of_the_restart(problem, step: int, passes: int):
    part = UDIM(sam_phase=0.4)
    assert part.restart(10) == 4
    closure = problem.closure(step)
    part.direction(closure, problem.parameters)
    assert closure.passes == passes


@INSIDE
def test_without_weight_the_matching_phase_is_sam(problem, part, inside):
    loss = part(inconsistency_weight=0, rho=0.1).direction(problem.closure(MATCHING), problem.parameters)
    mine = problem.gradients()
    torch.testing.assert_close(loss, inside(rho=0.1).direction(problem.closure(MATCHING), problem.parameters))
    for a, b in zip(mine, problem.gradients(), strict=True):
        assert (a is b is None) or torch.equal(a, b)


def test_without_weight_and_radius_it_is_erm(problem):
    UDIM(inconsistency_weight=0, rho=0).direction(problem.closure(MATCHING), problem.parameters)
    mine = problem.gradients()
    problem.closure(MATCHING)("descent")
    for a, b in zip(mine, problem.gradients(), strict=True):
        assert (a is b is None) or torch.equal(a, b)


@INSIDE
def test_direction_is_sam_and_the_gradient_of_the_inconsistency(problem, part, inside):
    """Against the definition: inputs uphill, each by the same length; then the per-sample penalty differentiated."""
    part(rho=0.1, input_rho=0.7, inconsistency_weight=3).direction(problem.closure(MATCHING), problem.parameters)
    mine = problem.gradients()
    inside(rho=0.1).direction(problem.closure(MATCHING), problem.parameters)
    sam = problem.gradients()

    x = problem.batch.x.clone().requires_grad_()
    at_x = problem.closure().forward(problem.batch.replace(x=x))
    slope = torch.autograd.grad(CrossEntropy().loss(at_x), x)[0]
    step = 0.7 * F.normalize(slope.flatten(1)).view_as(x)
    torch.testing.assert_close(step.flatten(1).norm(dim=1), torch.full((12,), 0.7))
    source = problem.closure().forward()
    unknown = problem.closure().forward(problem.batch.replace(x=x.detach() + step))
    extra = torch.autograd.grad(inconsistency(source, unknown), problem.parameters, allow_unused=True)
    for total, a, b in zip(mine, sam, extra, strict=True):
        if total is None:
            assert a is b is None
        else:
            torch.testing.assert_close(total, a + 3 * b)


def test_three_passes_and_everything_back_in_place(problem):
    before = [p.detach().clone() for p in problem.parameters]
    x = problem.batch.x.clone()
    closure = problem.closure(MATCHING)
    UDIM().direction(closure, problem.parameters)
    assert closure.passes == 3
    assert len(problem.objective.calls) == 2
    assert all(torch.equal(p, b) for p, b in zip(problem.parameters, before, strict=True))
    assert torch.equal(problem.batch.x, x)
    assert not problem.batch.x.requires_grad


def test_running_statistics_come_from_the_source_images_alone(problem):
    norm = problem.network.backbone[2]
    UDIM().direction(problem.closure(MATCHING), problem.parameters)
    moved = norm.running_mean.clone()
    norm.reset_running_stats()
    problem.closure(MATCHING)("descent")
    assert torch.equal(norm.running_mean, moved)


def test_trains_a_head_alone(problem):
    for parameter in problem.network.backbone.parameters():
        parameter.requires_grad_(False)
    UDIM().direction(problem.closure(MATCHING), problem.parameters)
    assert [p.grad is not None for p in problem.network.parameters()] == [False] * 7 + [True] * 2


def test_soft_targets_and_domains_without_examples_are_fine(problem):
    objective = CrossEntropy(label_smoothing=0.1, mixup=0.5)
    problem.batch = objective.prepare(problem.batch, 4, torch.Generator().manual_seed(0)).replace(
        domain=torch.zeros(12, dtype=torch.long)
    )
    UDIM().direction(problem.closure(MATCHING), problem.parameters)
    assert all(g is None or g.isfinite().all() for g in problem.gradients())


def test_returns_to_the_best_checkpoint_where_the_sam_phase_ends():
    assert UDIM(sam_phase=0.2).restart(5001) == 1000
    assert UDIM(sam_phase=0).restart(5001) is None


def test_the_released_form_moves_inputs_together_and_sums_over_domains(problem):
    """Against autograd written out: the loss plus rho ||g||, one length for each pixel's moves over the batch."""
    part = UDIMReleased(rho=0.1, input_rho=0.7, inconsistency_weight=2)
    part.direction(problem.closure(MATCHING), problem.parameters)
    mine = problem.gradients()
    SAM(rho=0.1).direction(problem.closure(MATCHING), problem.parameters)
    sam = problem.gradients()

    x = problem.batch.x.clone().requires_grad_()
    loss = CrossEntropy().loss(problem.closure().forward(problem.batch.replace(x=x)))
    slopes = torch.autograd.grad(loss, [p for p in problem.parameters if p.shape != (3,)], create_graph=True)
    ridge = 0.02 * problem.network.head.weight  # of the adapter's penalty, whose gradient is part of the loss's
    slopes = [g + ridge if g.shape == ridge.shape else g for g in slopes]
    v = torch.autograd.grad(loss + 0.1 * sum(g.square().sum() for g in slopes).sqrt(), x)[0]
    step = 0.7 * v / v.square().sum(0).sqrt()
    torch.testing.assert_close(step.square().sum(0), torch.full((3, 2, 2), 0.49))
    source = problem.closure().forward()
    unknown = problem.closure().forward(problem.batch.replace(x=x.detach() + step))
    extra = torch.autograd.grad(3 * inconsistency(source, unknown), problem.parameters, allow_unused=True)
    for total, a, b in zip(mine, sam, extra, strict=True):
        if total is None:
            assert a is b is None
        else:
            torch.testing.assert_close(total, a + 2 * b, atol=1e-5, rtol=1e-4)


def test_the_released_form_differentiates_attention_twice():
    torch.manual_seed(0)
    network = Network(build("dgbench:vit-micro"), 4)
    batch = Batch(torch.randn(4, 3, 16, 16), torch.arange(4), torch.arange(4) // 2, torch.arange(4))
    closure = Closure(network, CrossEntropy().loss, batch, step=MATCHING, steps=10, domains=2)
    loss = UDIMReleased().direction(closure, list(network.parameters()))
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
