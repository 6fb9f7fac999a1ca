"""Prediction by both views: the formula of the paper, its ends, and what changing views does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.predictors.edge_branch import BothBranches, edges
from dgbench.data.pixels.edge_map import edge_maps, plain_lines
from dgbench.data.pixels.normal import Normal
from dgbench.models.network import Backbone, Network

CLASSES, SIDE = 4, 12
MEAN, STD = (0.4, 0.5, 0.6), (0.1, 0.2, 0.5)
WEIGHTS = [1.0, 0.75, 0.5, 0.25, 0.0]


class Views(nn.Module):
    """One linear map for images and another for edge maps, which have two levels."""

    def __init__(self, of_images: nn.Module, of_edges: nn.Module) -> None:
        super().__init__()
        self.of_images = of_images
        self.of_edges = of_edges

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack(
            [(self.of_edges if len(image[0].unique()) <= 2 else self.of_images)(image.flatten()) for image in x]
        )


@pytest.fixture
def maps() -> list[nn.Module]:
    torch.manual_seed(0)
    return [nn.Linear(3 * SIDE * SIDE, 6) for _ in range(2)]


def network(*maps: nn.Module) -> Network:
    torch.manual_seed(1)
    return Network(Backbone("toy", Views(*maps), 6, SIDE, MEAN, STD), CLASSES).requires_grad_(False).eval()


@pytest.fixture
def pictures() -> Tensor:
    return torch.randint(0, 256, (7, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def said(network: Network, weight: float, pictures: Tensor) -> Tensor:
    return BothBranches(weight).prepare(network, None).observe(Normal(MEAN, STD)(pictures)).softmax(1)


def test_edges_are_those_of_the_picture_however_it_was_normalised(maps: list[nn.Module], pictures: Tensor) -> None:
    found = edges(network(*maps), Normal(MEAN, STD)(pictures))
    assert torch.equal(found, Normal(MEAN, STD)(edge_maps(pictures, plain_lines(7))))
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    for normal in (
        Normal(MEAN, STD),
        Normal((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        Normal((0.5,) * 3, (1e-3,) * 3),
    ):
        assert torch.equal(normal.undone(normal(every)), every)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_it_is_the_product_of_two_predictions(weight: float, maps: list[nn.Module], pictures: Tensor) -> None:
    both, normal = network(*maps), Normal(MEAN, STD)
    of_image, of_edges = (both(normal(x)).softmax(1).double() for x in (pictures, edge_maps(pictures, plain_lines(7))))
    product = of_image**weight * of_edges ** (1 - weight)
    expected = product / product.sum(1, keepdim=True)
    torch.testing.assert_close(said(both, weight, pictures).double(), expected, rtol=1e-5, atol=1e-6)


def test_its_ends_are_the_predictions_of_one_view(maps: list[nn.Module], pictures: Tensor) -> None:
    both, normal = network(*maps), Normal(MEAN, STD)
    assert torch.equal(said(both, 1.0, pictures), both(normal(pictures)).softmax(1))
    assert torch.equal(said(both, 0.0, pictures), both(normal(edge_maps(pictures, plain_lines(7)))).softmax(1))
    assert [BothBranches(weight).passes for weight in WEIGHTS] == [1.0, 2.0, 2.0, 2.0, 1.0]


@pytest.mark.parametrize("weight", WEIGHTS)
def test_views_that_change_places_change_weights(weight: float, maps: list[nn.Module], pictures: Tensor) -> None:
    """Where what is said of a view depends on which it is alone."""
    for each in maps:
        each.get_parameter("weight").data.zero_()
    one, other = network(*maps), network(*maps[::-1])
    torch.testing.assert_close(said(one, weight, pictures), said(other, 1 - weight, pictures))
    assert weight == 0.5 or not torch.allclose(said(one, weight, pictures), said(one, 1 - weight, pictures))
