"""A network computes in the precision that it was built with, whoever asks; what leaves its backbone is float32."""

import pytest
import torch
from torch import Tensor

from dgbench.core.precision import Precision
from dgbench.models.backbones import build
from dgbench.models.network import Network

SIZE = 16
NAMES = (f"timm:test_efficientnet(size={SIZE})", "dgbench:vit-micro")


def network(name: str, precision: Precision, *, unit: bool = False) -> Network:
    torch.manual_seed(0)
    return Network(build(name), 3, unit, precision).eval()


def images(size: int) -> Tensor:
    return torch.randn(5, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_is_what_autocast_gives(name: str) -> None:
    half, full = network(name, "bfloat16"), network(name, "float32")
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            naive = full.backbone(images(SIZE))
        features = half.features(images(SIZE))
        assert features.dtype == torch.float32
        assert torch.equal(features, naive.float())
        assert not torch.equal(features, full.features(images(SIZE)))
        assert torch.equal(half(images(SIZE)), full.head(naive.float())), "the head computes in float32"


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32_where_somebody_casts(name: str) -> None:
    full = network(name, "float32")
    with torch.no_grad():
        plain = full.backbone(images(SIZE))
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(full.features(images(SIZE)), plain)


def test_features_of_length_one_are_so_in_float32() -> None:
    features = network("dgbench:vit-micro", "bfloat16", unit=True).features(images(SIZE))
    torch.testing.assert_close(features.norm(dim=1), torch.ones(5), rtol=1e-6, atol=1e-6)


def test_weights_and_their_gradients_are_float32() -> None:
    half = network("dgbench:vit-micro", "bfloat16").train()
    half(images(SIZE)).square().mean().backward()
    assert {p.grad.dtype for p in half.parameters() if p.grad is not None} == {torch.float32}
    assert all(p.grad is not None for p in half.parameters())
