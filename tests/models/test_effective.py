"""Effective weights: the plain network's names, the merged values, and means of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dgbench.models.effective import effective_state, effective_view, load_effective, weighted_mean
from dgbench.models.low_rank import LowRankDelta, adapt
from dgbench.models.network import Backbone, Matrix, Network


def tiny(*, attention: bool = False) -> Network:
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.BatchNorm1d(5))
    rows = (Matrix("1", "weight", "q", (0, 2), 0), Matrix("1", "weight", "v", (3, 5), 0)) if attention else ()
    return Network(Backbone("tiny", module, 5, 2, (0, 0, 0), (1, 1, 1), rows), classes=3)


def lora(seed: int = 0) -> Network:
    """A network whose first layer has a change of q and of v rows that is no longer zero."""
    torch.manual_seed(seed)
    network = tiny(attention=True)
    adapt(network, ("q", "v"), rank=2)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, LowRankDelta):
                module.B.normal_()
    return network.eval()


def test_names_and_values_are_the_plain_networks() -> None:
    network = tiny()
    state = effective_state(network)
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())


def test_parametrised_weights_appear_merged_under_their_own_name() -> None:
    network = lora()
    state = effective_state(network)
    assert state.keys() == tiny().state_dict().keys()
    merged = network.get_submodule("backbone.1").weight
    assert torch.equal(state["backbone.1.weight"], merged)
    assert not torch.equal(merged, network.state_dict()["backbone.1.parametrizations.weight.original"])


def test_state_is_a_copy_without_a_graph() -> None:
    network = lora()
    state = effective_state(network)
    before = {key: tensor.clone() for key, tensor in state.items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert all(torch.equal(before[key], tensor) for key, tensor in state.items())
    assert not any(tensor.requires_grad for tensor in state.values())


def test_view_knows_what_moves() -> None:
    moving = {key for key, tensor in effective_view(lora()).items() if tensor.requires_grad}
    assert moving == {"backbone.1.weight", "head.weight", "head.bias"}


@pytest.mark.parametrize("heads", [0, 4])
def test_round_trip_is_exact(heads: int) -> None:
    network = lora()
    if heads:
        network.domain_heads = nn.Linear(5, heads * 3)
    state = effective_state(network)
    other = tiny().eval()
    load_effective(other, state)
    again = effective_state(other)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], tensor) for key, tensor in state.items())
    x = torch.randn(7, 3, 2, 2)
    torch.testing.assert_close(other(x), network(x))
    if heads:
        torch.testing.assert_close(other.domain_logits(other.features(x)), network.domain_logits(network.features(x)))


def test_loading_draws_no_random_numbers() -> None:
    network = tiny()
    network.domain_heads = nn.Linear(5, 6)
    state = effective_state(network)
    other = tiny()
    before = torch.random.get_rng_state()
    load_effective(other, state)
    assert torch.equal(before, torch.random.get_rng_state())


def test_loading_into_a_parametrised_network_is_refused() -> None:
    with pytest.raises(ValueError, match="plain network"):
        load_effective(lora(), effective_state(tiny()))


def test_loading_other_names_is_refused() -> None:
    state = effective_state(tiny())
    del state["head.bias"]
    with pytest.raises(RuntimeError, match=r"head\.bias"):
        load_effective(tiny(), state)


def one(**tensors: Tensor) -> dict[str, Tensor]:
    return tensors


def test_factors_do_not_average_and_effective_weights_do() -> None:
    first = lora()
    second = lora()  # the same function, with both factors negated
    with torch.no_grad():
        for module in second.modules():
            if isinstance(module, LowRankDelta):
                module.A.neg_()
                module.B.neg_()
    merged = effective_state(first)["backbone.1.weight"]
    mean = weighted_mean([(1, effective_state(first)), (1, effective_state(second))])
    assert torch.equal(mean["backbone.1.weight"], merged)

    factors = weighted_mean([(1, first.state_dict()), (1, second.state_dict())])
    first.load_state_dict(factors)
    base = factors["backbone.1.parametrizations.weight.original"]
    assert torch.equal(first.get_submodule("backbone.1").weight, base)


def test_weighted_mean_matches_the_sum_in_double_precision() -> None:
    torch.manual_seed(0)
    weights = [0.5, 2.0, 0.0, 1.25]
    states = [one(w=torch.randn(4, 3), b=torch.randn(4)) for _ in weights]
    mean = weighted_mean(zip(weights, states, strict=True))
    for key in ("w", "b"):
        exact = sum(w * state[key].double() for w, state in zip(weights, states, strict=True)) / sum(weights)
        torch.testing.assert_close(mean[key].double(), exact, rtol=1e-6, atol=1e-6)


def test_equal_tensors_come_out_exactly() -> None:
    same = torch.randn(100)
    mean = weighted_mean([(0.3, one(w=same)), (0.1, one(w=same.clone())), (7.0, one(w=same.clone()))])
    assert torch.equal(mean["w"], same)


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0)])
def test_all_weight_on_one_end_is_that_end(weights: tuple[float, float]) -> None:
    ends = torch.randn(100), torch.randn(100)
    mean = weighted_mean(zip(weights, (one(w=end) for end in ends), strict=True))
    assert torch.equal(mean["w"], ends[weights.index(1.0)])


def test_types_are_kept_and_counters_are_the_last_states() -> None:
    mean = weighted_mean(
        [
            (1, one(half=torch.tensor([1.0], dtype=torch.bfloat16), count=torch.tensor(3))),
            (1, one(half=torch.tensor([2.0], dtype=torch.bfloat16), count=torch.tensor(8))),
        ]
    )
    assert mean["half"].dtype == torch.bfloat16
    assert mean["half"].item() == 1.5
    assert mean["count"].dtype == torch.int64
    assert mean["count"].item() == 8


def test_half_precision_is_accumulated_in_single() -> None:
    """Sixteen equal steps of a running bfloat16 mean would each round."""
    values = [torch.full((1,), 1 + k / 128, dtype=torch.bfloat16) for k in range(16)]
    mean = weighted_mean((1, one(w=value)) for value in values)
    exact = sum(float(value) for value in values) / 16
    assert mean["w"].item() == torch.tensor(exact).bfloat16().item()


def test_averaging_leaves_the_states_alone() -> None:
    first, second = torch.zeros(2), torch.ones(2)
    weighted_mean([(1, one(w=first)), (1, one(w=second))])
    assert first.tolist() == [0, 0]
    assert second.tolist() == [1, 1]


def test_differing_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\['a', 'b'\]"):
        weighted_mean([(1, one(a=torch.ones(1))), (1, one(b=torch.ones(1)))])


def test_nothing_to_average_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one state"):
        weighted_mean([(0, one(a=torch.ones(1)))])
