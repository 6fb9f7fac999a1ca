import pytest
import torch

from dgbench.core.errors import UnknownNameError
from dgbench.models import zoo


@pytest.mark.parametrize("name", zoo.names())
def test_a_backbone_is_what_it_says(name: str) -> None:
    torch.manual_seed(0)
    backbone = zoo.build(name)
    x = torch.randn(5, 3, backbone.size, backbone.size)
    assert backbone.name == f"dgbench:{name}"
    assert backbone.module(x).shape == (5, backbone.dim)
    assert 40_000 < sum(p.numel() for p in backbone.module.parameters()) < 80_000


@pytest.mark.parametrize("name", zoo.names())
def test_an_output_does_not_depend_on_the_rest_of_the_batch_or_the_mode(name: str) -> None:
    torch.manual_seed(0)
    module = zoo.build(name).module
    x = torch.randn(6, 3, 16, 16)
    assert list(module.buffers()) == []
    torch.testing.assert_close(module.train()(x)[:1], module.eval()(x[:1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", zoo.names())
def test_every_parameter_learns(name: str) -> None:
    torch.manual_seed(0)
    module = zoo.build(name).module
    (module(torch.randn(8, 3, 16, 16)) * torch.randn(8, 1)).sum().backward()
    still = [key for key, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


@pytest.mark.parametrize("name", zoo.names())
def test_attention_names_a_matrix_whose_rows_are_q_k_and_v(name: str) -> None:
    backbone = zoo.build(name)
    assert zoo.provides(name) == ({"attention"} if backbone.attention else set())
    for place in backbone.attention:
        module = backbone.module.get_submodule(place.module)
        matrix = getattr(module, place.parameter)
        assert matrix.shape == (3 * backbone.dim, backbone.dim)
        assert place.rows == {
            kind: (i * backbone.dim, (i + 1) * backbone.dim) for i, kind in enumerate(("q", "k", "v"))
        }


def test_the_transformer_has_attention_in_each_block() -> None:
    assert [a.module for a in zoo.build("vit-micro").attention] == [f"blocks.{i}.attn.qkv" for i in range(2)]


def test_unknown_names_are_refused() -> None:
    for ask in (zoo.build, zoo.provides):
        with pytest.raises(UnknownNameError, match="'vit-micro'"):
            ask("vit-mikro")
