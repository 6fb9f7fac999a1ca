"""URM against the worked example, and the activation that its features go through."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dgbench.algorithms.adapters.bounded import Bounded
from dgbench.algorithms.objectives.urm import URM
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import compose, resolve
from dgbench.models.backbones import build
from dgbench.models.network import Network
from small import small_board


def with_discriminator(forward, weight=(0.5, -0.25)):
    """The linear discriminator of the worked example."""
    linear = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([weight]))
    forward.network.auxiliary.add_module("discriminator", linear)
    return linear


def test_the_worked_example_of_the_network(toy):
    forward = toy()
    with_discriminator(forward)
    assert URM(adversary_weight=0.1).loss(forward).item() == pytest.approx(0.689059, abs=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_worked_example_of_the_discriminator(toy, activation, monkeypatch):
    forward = toy()
    linear = with_discriminator(forward)
    forward.network.activation = activation
    drawn = 0.25 if activation == "tanh" else -0.5  # noise of -0.5 either way
    monkeypatch.setattr(torch, "rand_like", lambda like: torch.full_like(like, drawn))
    loss = URM(adversary_weight=0.1).auxiliary_loss(forward.detached())
    assert loss.item() == pytest.approx(0.837313, abs=1e-6)
    (slope,) = torch.autograd.grad(loss, linear.weight)
    torch.testing.assert_close(slope, torch.tensor([[0.306328, 0.293419]]).double(), atol=1e-6, rtol=0)


def test_terms_are_cross_entropies_of_two_classes(toy):
    noise, made = torch.tensor([1.0, 0.3]), torch.tensor([0.2, -0.4])
    real = F.binary_cross_entropy_with_logits(noise, torch.ones(2))
    fake = F.binary_cross_entropy_with_logits(made, torch.zeros(2))
    assert (real + 0.1 * fake).item() == pytest.approx(0.499366, abs=1e-6)
    torch.testing.assert_close(F.softplus(-noise).mean() + 0.1 * F.softplus(made).mean(), real + 0.1 * fake)


def test_the_discriminator_has_the_layers_of_the_released_code(toy):
    forward = toy()
    URM(layers=2, width=100).attach(forward.network, [2, 2, 2])
    layers = [m for m in forward.network.auxiliary.get_submodule("discriminator") if not isinstance(m, nn.Dropout)]
    widths = [(m.in_features, m.out_features) for m in layers if isinstance(m, nn.Linear)]
    assert widths == [(2, 100), (100, 100), (100, 100), (100, 1)]
    assert {m.negative_slope for m in layers if isinstance(m, nn.LeakyReLU)} == {0.01}
    assert sum(isinstance(m, nn.LeakyReLU) for m in layers) == 3


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_noise_fills_the_range_of_the_activation(toy, activation):
    class Listening(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.sum(1, keepdim=True)

    seen = []
    forward = toy()
    forward.network.activation = activation
    forward.network.auxiliary.add_module("discriminator", Listening())
    torch.manual_seed(0)
    for _ in range(300):
        URM().auxiliary_loss(forward.detached())
    noise = torch.cat(seen[::2])
    low = -1.0 if activation == "tanh" else 0.0
    assert low <= noise.min() < low + 0.01
    assert 0.99 < noise.max() < 1
    assert noise.var(correction=0).item() == pytest.approx((1 - low) ** 2 / 12, rel=0.05)


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_features_go_through_the_activation_wherever_they_are_asked_for(activation):
    torch.manual_seed(0)
    info = build("dgbench:vit-micro")
    plain, bounded = Network(info, 3), Network(info, 3, activation=activation)
    bounded.head = plain.head
    x = torch.randn(4, 3, 16, 16)
    expected = getattr(torch, activation)(plain.features(x))
    torch.testing.assert_close(bounded.features(x), expected)
    torch.testing.assert_close(bounded(x), plain.head(expected))
    unit = Network(info, 3, unit_features=True, activation=activation)
    torch.testing.assert_close(unit.features(x), F.normalize(expected, dim=1))


def test_the_adapter_says_what_features_go_through():
    assert Bounded(output="relu").activation() == "relu"
    assert resolve(compose("urm"), small_board("erm")).parts["adapter"].activation() == "tanh"
    assert resolve(compose("erm"), small_board("erm")).parts["adapter"].activation() == "identity"


def test_it_wants_bounded_features():
    recipe = compose("urm")
    slots = {slot: choice for slot, choice in recipe.slots.items() if slot == "objective"}
    with pytest.raises(RecipeError, match=r"URM needs bounded features, .*; take the adapter 'bounded'"):
        resolve(replace(recipe, slots=slots, search={}), small_board("erm"))


def test_features_that_look_like_noise_are_told_apart_from_nothing(toy):
    forward = toy()
    with_discriminator(forward, (0.0, 0.0))
    adversarial = URM(adversary_weight=1.0).loss(forward) - forward.cross_entropy.mean()
    assert adversarial.item() == pytest.approx(math.log(2))
