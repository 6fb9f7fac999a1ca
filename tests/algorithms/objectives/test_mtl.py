"""MTL against the worked example, and against one linear head on features and means, put together by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.algorithms.adapters.mtl import MTLHead
from dgbench.algorithms.objectives.mtl import MTL
from dgbench.algorithms.predictors.mtl import MTLMarginal
from dgbench.algorithms.slots import Source
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import compose, resolve
from dgbench.models.effective import effective_state
from dgbench.runs.planning import make_plan
from small import small_board


def equipped(forward, objective: MTL, domains: int = 3):
    """The pass of a network that MTL's adapter and objective were attached to, with weights on the means."""
    network = forward.network
    MTLHead().attach(network, domains)
    objective.attach(network, [9] * domains)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        network.domain_heads.weight.copy_(torch.randn(network.domain_heads.weight.shape, generator=draw))
    return forward


def joined(forward, means: Tensor, centre: Tensor) -> Tensor:
    """Logits of one head on ``[phi, m]``, ``[n, C]``: the form of DomainBed, whose bias is ``b - V m0``."""
    head, weights = forward.network.head, forward.network.domain_heads.weight
    both = torch.cat([head.weight, weights], 1)
    return F.linear(torch.cat([forward.features, means], 1), both, head.bias - weights @ centre)


def test_the_worked_example_of_a_mean_that_starts_at_zero(toy):
    """The first domain of the example into a row, and then the second into the same row."""
    objective, forward = MTL(memory=0.1), toy()
    equipped(forward, objective)
    auxiliary, expected = forward.network.auxiliary, [[0.45, 0.45], [0.495, 0.72]]
    for domain, row in enumerate(expected):
        rows = forward.batch.domain == domain
        batch = forward.batch.replace(
            **{name: getattr(forward.batch, name)[rows] for name in ("x", "y", "index")},
            domain=torch.zeros(2, dtype=torch.long),
        )
        features, logits = forward.features[rows].detach(), forward.logits[rows].detach()
        objective.remember(replace(forward, batch=batch, features=features, logits=logits))
        torch.testing.assert_close(auxiliary.get_buffer("means")[0], torch.tensor(row).double())
    torch.testing.assert_close(auxiliary.get_buffer("seen"), torch.tensor([0.99, 0, 0]).double())


def test_one_example_moves_the_mean_of_its_domain(toy):
    objective, forward = MTL(memory=0.1), toy()
    equipped(forward, objective)
    domain = torch.zeros_like(forward.batch.domain)
    domain[3] = 2
    objective.remember(replace(forward.detached(), batch=forward.batch.replace(domain=domain)))
    torch.testing.assert_close(forward.network.auxiliary.get_buffer("means")[2], 0.9 * forward.features[3].detach())
    torch.testing.assert_close(forward.network.auxiliary.get_buffer("seen"), torch.tensor([0.9, 0, 0.9]).double())


def test_the_loss_is_that_of_one_head_on_features_and_means(uneven):
    objective = MTL(memory=0.3)
    equipped(uneven, objective)
    rows = [uneven.batch.domain == d for d in range(3)]
    first = torch.stack([uneven.features[mine].mean(0) for mine in rows])
    held = first[uneven.batch.domain]
    expected = F.cross_entropy(joined(uneven, held, held.mean(0)), uneven.batch.y)
    torch.testing.assert_close(objective.loss(uneven), expected)
    objective.remember(uneven.detached())
    later = replace(uneven, features=2 * uneven.features + 1)
    later = replace(later, logits=uneven.network.head(later.features))
    # As Adam's moments: (.7 (2 m + 1) + .3 * .7 m) / (.7 + .3 * .7)
    means = (0.7 * (2 * first + 1) + 0.21 * first) / 0.91
    held = means[uneven.batch.domain]
    expected = F.cross_entropy(joined(later, held, held.mean(0)), uneven.batch.y)
    torch.testing.assert_close(objective.loss(later), expected)


def test_what_the_step_adds_to_means_has_a_gradient_and_the_bias_beside_them_has_none(toy):
    objective, forward = MTL(), toy()
    equipped(forward, objective)
    heads = forward.network.domain_heads
    slope, weight, bias = torch.autograd.grad(objective.loss(forward), [forward.features, heads.weight, heads.bias])
    plain = toy()
    (alone,) = torch.autograd.grad(plain.cross_entropy.mean(), plain.features)
    assert not torch.allclose(slope, alone)
    assert slope.abs().min() > 0
    assert weight.abs().min() > 0
    assert bias.abs().max() < 1e-12


def test_without_weights_on_means_it_is_the_plain_cross_entropy(uneven):
    objective = MTL()
    equipped(uneven, objective)
    with torch.no_grad():
        uneven.network.domain_heads.weight.zero_()
    assert torch.equal(objective.loss(uneven), uneven.cross_entropy.mean())


def test_where_a_step_sees_some_of_many_domains_the_others_keep_their_means(uneven):
    """The first, the fourth and the last of five, of which the fourth has no example."""
    objective = MTL(memory=0.5)
    equipped(uneven, objective, 5)
    kept = uneven.batch.domain != 1
    batch = uneven.batch.replace(
        **{name: getattr(uneven.batch, name)[kept] for name in ("x", "y", "domain", "index")},
        present=torch.tensor([0, 3, 4]),
    )
    some = replace(uneven, batch=batch, features=uneven.features[kept].detach(), logits=uneven.logits[kept].detach())
    buffers = uneven.network.auxiliary
    buffers.get_buffer("means").fill_(7)
    objective.remember(some)
    means = buffers.get_buffer("means")
    assert (means[1:4] == 7).all()
    for place, domain in ((0, 0), (4, 2)):
        mean = some.features[batch.domain == domain].mean(0)
        torch.testing.assert_close(means[place], (mean + 7) / 2)
    assert buffers.get_buffer("seen").tolist() == [0.5, 0, 0, 0, 0.5]


@pytest.mark.parametrize("batch", [1, 4, 10])
def test_a_stream_is_told_its_own_mean_so_far(uneven, batch):
    equipped(uneven, MTL())
    source = Source(uneven.features.detach(), uneven.batch.y, uneven.batch.domain)
    centre = torch.stack([source.features[source.domains == d].mean(0) for d in range(3)]).mean(0)
    shown = torch.randn(10, 6, generator=torch.Generator().manual_seed(5)).double()
    stream = MTLMarginal().prepare(uneven.network, source)
    for start in range(0, 10, batch):
        rows = shown[start : start + batch]
        mean = shown[: start + len(rows)].mean(0)
        expected = joined(replace(uneven, features=rows), mean.expand_as(rows), centre)
        torch.testing.assert_close(stream.observe(rows), expected)


def test_of_a_stream_that_looks_like_the_sources_the_shared_head_says_the_same(uneven):
    equipped(uneven, MTL())
    source = Source(uneven.features.detach(), uneven.batch.y, torch.zeros_like(uneven.batch.domain))
    said = MTLMarginal().prepare(uneven.network, source).observe(source.features)
    torch.testing.assert_close(said, uneven.logits)


def test_its_weights_travel_with_the_network(uneven):
    equipped(uneven, MTL())
    state = effective_state(uneven.network)
    assert not any(name.startswith("auxiliary") for name in state)
    assert torch.equal(state["domain_heads.weight"], uneven.network.domain_heads.weight)


def test_parts_of_it_ask_for_each_other_and_give_way_together():
    resolved = resolve(compose("mtl"), small_board("erm"))
    assert resolved.parts["predictor"].track == "online"
    recipe = compose("mtl")
    without = replace(recipe, slots={s: c for s, c in recipe.slots.items() if s != "adapter"}, search={})
    with pytest.raises(RecipeError, match=r"MTL needs mean head, .*; take the adapter 'mtl'"):
        resolve(without, small_board("erm"))


def test_with_one_source_domain_it_is_erm():
    made = make_plan(small_board("erm", "mtl").model_copy(update={"protocol": "single-source"}))
    erm, mtl = ([entry.run for entry in made.entries if entry.algorithm == name] for name in ("erm", "mtl"))
    assert erm == mtl
