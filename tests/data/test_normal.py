"""How images come to what a network sees."""

import pytest
import torch
from smooth import pictures
from torch import Tensor

from dgbench.data.pixels import normal as module
from dgbench.data.pixels.normal import PLAIN, Normal

NORMAL = Normal((0.4, 0.5, 0.6), (0.1, 0.2, 0.5))


def by_hand(unit: Tensor) -> Tensor:
    channels = zip(unit.unbind(1), torch.tensor(NORMAL.mean), torch.tensor(NORMAL.std), strict=True)
    return torch.stack([(plane - mean) / std for plane, mean, std in channels], 1)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("together", [1, 50, 2**18])
def test_bytes_are_normalised_bit_for_bit(
    layout: torch.memory_format, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOGETHER", together)
    x = pictures(7, 11, 9).contiguous(memory_format=layout)
    before = x.clone()
    assert torch.equal(NORMAL(x), by_hand(x / 255))
    assert torch.equal(PLAIN(x), x / 255)
    assert torch.equal(x, before)


def test_what_comes_of_bytes_lies_as_networks_want_it() -> None:
    assert NORMAL(pictures(3, 11, 9)).is_contiguous(memory_format=torch.channels_last)
    assert NORMAL(pictures(0, 11, 9)).shape == (0, 3, 11, 9)


def test_fractions_are_normalised_in_place() -> None:
    unit = pictures(5, 11, 9) / 255
    wanted = by_hand(unit)
    got = NORMAL(unit)
    assert got.data_ptr() == unit.data_ptr()
    assert torch.equal(got, wanted)
