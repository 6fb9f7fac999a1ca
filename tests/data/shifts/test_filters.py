"""Filters against kornia's, SciPy's, and sums written out."""

import kornia.color as kc
import kornia.filters as kf
import numpy as np
import pytest
import scipy.ndimage as nd
import torch
from torch import Tensor

from dgbench.data.pixels.edge_map import sobel
from dgbench.data.shifts.filters import bilateral, box, correlate, gaussian, grayscale, levels, line, median


def photo(h: int, w: int, seed: int = 0) -> Tensor:
    """Smooth in some places and rough in others, in 8-bit levels, as photographs are."""
    rng = np.random.default_rng(seed)
    smooth = nd.gaussian_filter(rng.random((3, h, w)), (0, 3, 3))
    rough = rng.random((3, h, w)) * (rng.random((h, w)) < 0.3)
    mixed = (smooth - smooth.min()) / np.ptp(smooth) * 0.8 + 0.2 * rough
    return torch.from_numpy(np.rint(255 * mixed).astype(np.float32) / 255)[None]


@pytest.mark.parametrize("size", [3, 5, 7, 9, 11, 15, 17, 21])
@pytest.mark.parametrize("shape", [(24, 31), (40, 22)])
def test_a_median_is_exact(size: int, shape: tuple[int, int]) -> None:
    image = photo(*shape)
    found = levels(median(image, size))
    expected = nd.median_filter(levels(image), (1, size, size), mode="nearest")
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("size", [3, 9])
def test_a_median_of_extremes_is_exact(size: int) -> None:
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.choice([0.0, 1.0, 7 / 255, 8 / 255, 254 / 255], (1, 3, 20, 20)).astype(np.float32))
    expected = nd.median_filter(levels(image), (1, size, size), mode="nearest")
    assert np.array_equal(levels(median(image, size)), expected)


def test_a_median_is_kornias_away_from_the_edge() -> None:
    image = photo(40, 36)
    theirs = kf.median_blur(image, (7, 7))
    assert torch.allclose(median(image, 7)[..., 3:-3, 3:-3], theirs[..., 3:-3, 3:-3], atol=1e-6)


@pytest.mark.parametrize("size", [3, 5, 9])
@pytest.mark.parametrize("sd_color", [0.04, 0.2, 1.0])
def test_a_bilateral_filter_is_the_weighted_mean_of_a_disc(size: int, sd_color: float) -> None:
    image, sd_space, reach = photo(14, 17), 2.5, size // 2
    padded = np.pad(image[0].double().numpy(), ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    expected = np.empty(image.shape[1:])
    for y, x in np.ndindex(*image.shape[-2:]):
        here = padded[:, y + reach, x + reach]
        total, weights = np.zeros(3), 0.0
        for down, right in np.ndindex(size, size):
            distance = (down - reach) ** 2 + (right - reach) ** 2
            if distance <= reach**2:
                there = padded[:, y + down, x + right]
                weight = np.exp(-0.5 * (abs(there - here).sum() / sd_color) ** 2 - 0.5 * distance / sd_space**2)
                total, weights = total + weight * there, weights + weight
        expected[:, y, x] = total / weights
    assert np.abs(bilateral(image, size, sd_color, sd_space)[0].numpy() - expected).max() < 1e-5


def test_a_bilateral_filter_of_three_pixels_keeps_a_step_that_a_blur_would_not() -> None:
    image = torch.zeros(1, 3, 9, 9)
    image[..., 4:] = 1
    assert torch.allclose(bilateral(image, 9, 0.05, 4.0), image, atol=1e-6)


@pytest.mark.parametrize(("size", "sd"), [(3, 0.4), (11, 2.0), (31, 5.3)])
def test_gaussians_and_boxes_are_kornias(size: int, sd: float) -> None:
    image = photo(30, 41)
    assert torch.allclose(
        gaussian(image, size, sd), kf.gaussian_blur2d(image, (size, size), (sd, sd), "replicate"), atol=1e-5
    )
    assert torch.allclose(box(image, size), kf.box_blur(image, (size, size), "replicate"), atol=1e-5)


def test_a_correlation_is_scipys() -> None:
    image, kernel = photo(20, 13), np.random.default_rng(1).normal(size=(5, 5)).round(1)
    kernel[kernel < 0] = 0
    taps = [(y - 2, x - 2, float(kernel[y, x])) for y, x in np.ndindex(5, 5)]
    expected = nd.correlate(image[0].numpy(), kernel[None], mode="nearest")
    assert np.abs(correlate(image, taps)[0].numpy() - expected).max() < 1e-5


def test_slopes_and_luma_are_kornias() -> None:
    gray = grayscale(photo(20, 13))
    assert torch.allclose(gray, kc.rgb_to_grayscale(photo(20, 13)), atol=1e-6)
    theirs = kf.spatial_gradient(gray, normalized=False)
    for ours, slope in zip(sobel(gray), theirs.unbind(2), strict=True):
        assert torch.allclose(ours, slope, atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0, 270.0])
@pytest.mark.parametrize("direction", [-0.7, 0.0, 1.0])
def test_along_the_axes_a_line_is_kornias(angle: float, direction: float) -> None:
    image = photo(22, 25)
    theirs = kf.motion_blur(image, 7, angle, direction, "replicate")
    assert torch.allclose(correlate(image, line(7, angle, direction)), theirs, atol=1e-5)


def test_a_line_is_straight_and_keeps_brightness() -> None:
    for angle in np.linspace(0, 360, 25):
        taps = line(15, float(angle), 0.4)
        assert sum(weight for *_, weight in taps) == pytest.approx(1)
        turn = np.radians(angle)
        aside = [right * np.sin(turn) + down * np.cos(turn) for down, right, _ in taps]
        assert np.abs(aside).max() < 0.71, "no pixel lies further from the line than half its diagonal"
        assert max(np.hypot(down, right) for down, right, _ in taps) == pytest.approx(7, abs=0.71)
