from __future__ import annotations

import pytest
import torch
from torch import nn

from dgbench.algorithms.adapters.last_blocks import LastBlocks
from dgbench.core.errors import RecipeError
from dgbench.models.backbones import build
from dgbench.models.network import Backbone, Network


def trained(blocks: int) -> list[str]:
    network = Network(build("dgbench:vit-micro"), classes=3)
    network.requires_grad_(False)
    LastBlocks(blocks=blocks).attach(network, domains=2)
    return [name for name, parameter in network.named_parameters() if parameter.requires_grad]


@pytest.mark.parametrize(
    ("blocks", "kept"), [(1, ["blocks.1"]), (2, ["blocks.0", "blocks.1"]), (9, ["blocks.0", "blocks.1"])]
)
def test_what_is_trained_is_these_blocks_and_all_that_follows(blocks: int, kept: list[str]) -> None:
    names = trained(blocks)
    inside = {".".join(name.split(".")[1:3]) for name in names if ".blocks." in name}
    assert inside == set(kept)
    assert [name for name in names if ".blocks." not in name] == [
        "backbone.fc_norm.weight",
        "backbone.fc_norm.bias",
        "head.weight",
        "head.bias",
    ]


def test_a_network_without_numbered_blocks_is_refused() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.only = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.only(x.mean((2, 3)))

    network = Network(Backbone("plain", Plain(), 2, 1, (0, 0, 0), (1, 1, 1)), 2)
    with pytest.raises(RecipeError, match="'plain' has no numbered blocks"):
        LastBlocks().attach(network, domains=2)
