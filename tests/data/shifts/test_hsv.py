import colorsys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dgbench.data.shifts.hsv import change_saturation, change_value, from_hsv, to_hsv

LEVELS = np.array([0, 1, 40, 128, 254, 255], np.float32) / 255
COLOURS = np.stack(np.meshgrid(LEVELS, LEVELS, LEVELS), -1).reshape(-1, 3)
"""All mixtures of some levels: grays, blacks, whites and ties among them."""
IMAGE = torch.from_numpy(COLOURS.T.copy()).view(1, 3, 6, 36)


def back(image: Tensor) -> np.ndarray:
    return image[0].flatten(1).T.numpy()


def test_hue_saturation_and_value_are_those_of_colorsys() -> None:
    expected = np.array([colorsys.rgb_to_hsv(*map(float, colour)) for colour in COLOURS])
    found = back(torch.cat(to_hsv(IMAGE), 1))
    around = abs(found[:, 0] - expected[:, 0])
    assert np.minimum(around, 1 - around).max() < 1e-5
    assert np.abs(found[:, 1:] - expected[:, 1:]).max() < 1e-5


def test_colours_come_back() -> None:
    assert np.abs(back(from_hsv(*to_hsv(IMAGE))) - COLOURS).max() < 1e-5


def test_hue_goes_round_and_the_rest_is_clipped() -> None:
    hue, saturation, value = (torch.tensor(x).view(1, 1, 1, 4) for x in (
        [1.25, -0.75, 0.6, 0.1], [0.5, 0.5, 1.7, -0.2], [0.5, 0.5, 1.2, 0.4],
    ))  # fmt: skip
    expected = [colorsys.hsv_to_rgb(*c) for c in ((0.25, 0.5, 0.5), (0.25, 0.5, 0.5), (0.6, 1, 1), (0.1, 0, 0.4))]
    assert np.abs(back(from_hsv(hue, saturation, value)) - np.array(expected)).max() < 1e-6


@pytest.mark.parametrize("change", [lambda x: 2 * x, lambda x: 0.2 * x, lambda x: x + 0.4, lambda x: x - 0.4])
def test_short_ways_lead_where_the_long_one_does(change: Callable[[float], float]) -> None:
    def clipped(x: float) -> float:
        return min(max(change(x), 0.0), 1.0)

    hsv = [colorsys.rgb_to_hsv(*map(float, colour)) for colour in COLOURS]
    saturated = np.array([colorsys.hsv_to_rgb(h, clipped(s), v) for h, s, v in hsv])
    assert np.abs(back(change_saturation(IMAGE, change)) - saturated).max() < 1e-5  # type: ignore[arg-type]
    brightened = np.array([colorsys.hsv_to_rgb(h, s, clipped(v)) for h, s, v in hsv])
    assert np.abs(back(change_value(IMAGE, change)) - brightened).max() < 1e-5  # type: ignore[arg-type]
