"""Sets of few images go through a network together, and what it says of each is what it says of that set alone."""

from functools import cache
from itertools import pairwise

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dgbench.models.backbones import build
from dgbench.models.network import Network
from dgbench.train.evaluate import CHUNK, evaluating, features, features_of_sets
from dgbench.train.sources import Features

SETS = st.lists(st.integers(0, 2 * CHUNK + 1), max_size=12)


class Told(Network):
    """Doubles what it is shown, and keeps of how many images each pass was."""

    passes: list[int]

    def features(self, x: torch.Tensor) -> torch.Tensor:
        self.passes.append(len(x))
        return 2 * x


@cache
def told() -> Told:
    network = Told(build("dgbench:convnet-small"), 3)
    network.passes = []
    return network


@settings(deadline=None)  # the first example imports timm
@given(SETS)
@example([10] * 30)
@example([CHUNK, 1, CHUNK - 1, CHUNK + 1])
def test_no_pass_has_more_than_a_chunk_and_none_could_have_gone_with_the_one_before(sizes: list[int]) -> None:
    network = told()
    network.passes.clear()
    values = torch.arange(sum(sizes)).float()[:, None]
    rows = torch.randperm(len(values), generator=torch.Generator().manual_seed(0)).split(sizes)
    found = features_of_sets(network, [(Features(values), own) for own in rows])
    assert [own.tolist() for own in found] == [(2 * values[own]).tolist() for own in rows]
    assert sum(network.passes) == sum(sizes)
    assert max(network.passes, default=0) <= CHUNK
    if max(sizes, default=0) <= CHUNK:
        assert all(one + other > CHUNK for one, other in pairwise(network.passes))


def test_it_says_the_same_of_images_whoever_goes_with_them() -> None:
    torch.manual_seed(0)
    network = Network(build("dgbench:vit-micro"), 3).eval()
    images = Features(torch.randn(2 * CHUNK, 3, 16, 16))
    sets = [(images, rows) for rows in torch.randperm(2 * CHUNK).split([3, 40, 17, CHUNK + 30, 38])]
    with evaluating(network):
        for together, own in zip(features_of_sets(network, sets), sets, strict=True):
            torch.testing.assert_close(together, features(network, *own), rtol=1e-5, atol=1e-6)
