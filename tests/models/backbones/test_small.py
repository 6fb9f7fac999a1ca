"""The backbones that dgbench brings itself."""

from __future__ import annotations

import pytest
import torch

from dgbench.core.errors import UnknownNameError
from dgbench.models.backbones import build, facts

NAMES = ("dgbench:vit-micro", "dgbench:convnet-small", "dgbench:dense-small")


@pytest.mark.parametrize("name", NAMES)
def test_a_backbone_is_what_it_says(name: str) -> None:
    torch.manual_seed(0)
    backbone = build(name)
    x = torch.randn(5, 3, backbone.size, backbone.size)
    assert backbone.name == name
    assert backbone.module(x).shape == (5, backbone.dim)
    assert 40_000 < sum(p.numel() for p in backbone.module.parameters()) < 90_000


@pytest.mark.parametrize(
    ("name", "total"), [("vit-micro", 1184.715742), ("convnet-small", 1576.975775), ("dense-small", 1888.107966)]
)
def test_weights_of_a_seed_are_what_they_always_were(name: str, total: float) -> None:
    """Finished trainings are found again by the name of the backbone: it must go on to mean the same numbers."""
    torch.manual_seed(0)
    state = build(f"dgbench:{name}").module.state_dict()
    assert sum(tensor.double().abs().sum().item() for tensor in state.values()) == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_an_output_does_not_depend_on_the_rest_of_the_batch_or_the_mode(name: str) -> None:
    torch.manual_seed(0)
    module = build(name).module
    x = torch.randn(6, 3, 16, 16)
    assert list(module.buffers()) == []
    torch.testing.assert_close(module.train()(x)[:1], module.eval()(x[:1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: str) -> None:
    torch.manual_seed(0)
    module = build(name).module
    (module(torch.randn(8, 3, 16, 16)) * torch.randn(8, 1)).sum().backward()
    still = [key for key, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


def test_the_transformer_takes_other_sizes() -> None:
    backbone = build("dgbench:vit-micro(size=32)")
    assert backbone.size == facts("dgbench:vit-micro(size=32)", fetch=False).size == 32
    assert backbone.module(torch.randn(1, 3, 32, 32)).shape == (1, 48)


def test_the_task_is_somebody_elses_business() -> None:
    torch.manual_seed(0)
    named = build("dgbench:vit-micro@letters").module.state_dict()
    torch.manual_seed(0)
    plain = build("dgbench:vit-micro").module.state_dict()
    assert all(torch.equal(named[key], value) for key, value in plain.items())


def test_describing_a_backbone_draws_no_random_numbers() -> None:
    before = torch.random.get_rng_state()
    assert facts("dgbench:vit-micro", fetch=False).provides == {"low_rank", "levels", "normalisation"}
    assert facts("dgbench:convnet-small", fetch=False).provides == {"levels", "normalisation"}
    assert torch.equal(before, torch.random.get_rng_state())


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="'vit-micro'"):
        build("dgbench:vit-mikro")
    with pytest.raises(UnknownNameError, match="'vit-micro'"):
        facts("dgbench:vit-mikro", fetch=False)
