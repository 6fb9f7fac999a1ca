"""Edge maps against loops over pixels and over bins, against scikit-image's numbers, and what must hold of any."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import scipy.ndimage as nd
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgbench.data.pixels.edge_map import BINS, METHODS, SIGMAS, Lines, edge_maps, plain_lines, random_lines, thresholds

Plane = NDArray[np.float64]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int, h: int = 26, w: int = 22) -> Tensor:
    """Blobs of all sizes, one in each image brighter than the rest: uint8 ``[n, 3, h, w]``."""
    rng = np.random.default_rng(3)
    found = []
    for number in range(count):
        plane = nd.gaussian_filter(rng.random((3, h, w)), (0, 1 + number % 3, 1 + number % 3))
        plane[:, 5:14, 6:15] += rng.uniform(0.05, 0.4)
        found.append(np.rint(255 * (plane - plane.min()) / np.ptp(plane)))
    return torch.from_numpy(np.stack(found).astype(np.uint8))


def drawn(**changes: float) -> Lines:
    """Of one image."""
    fields = {"sigma": 1.0, "method": 0, "noise": 0.0, "low": 0.5, "high": 1.5} | changes
    return Lines(**{name: torch.tensor([value]) for name, value in fields.items()})


def histogram(values: Plane) -> tuple[list[int], list[float]]:
    counts, ends = np.histogram(values, BINS)
    return counts.tolist(), ((ends[1:] + ends[:-1]) / 2).tolist()


def naive_threshold(values: Plane, method: str) -> float:
    """By its definition, for each bin that may be the last below."""
    if np.ptp(values) == 0:
        return 0.5
    if method == "mean":
        return float(values.mean())
    counts, centres = histogram(values)
    n, best, found = sum(counts), -math.inf, math.nan
    for at in range(BINS - 1):
        sides = [(counts[: at + 1], centres[: at + 1]), (counts[at + 1 :], centres[at + 1 :])]
        p, q = (sum(c) / n for c, _ in sides)
        a, b = (sum(i * x for i, x in zip(c, x_, strict=True)) / sum(c) for c, x_ in sides)
        if method == "isodata":
            if 0 <= (a + b) / 2 - centres[at] < centres[1] - centres[0]:
                return centres[at]
            continue
        squares = [sum((i / n) ** 2 for i in c) for c, _ in sides]
        worth = {
            "otsu": p * q * (a - b) ** 2,
            "yen": math.log((p * q) ** 2 / (squares[0] * squares[1])),
            "li": p * a * math.log(a) + q * b * math.log(b),
        }[method]
        if worth > best:
            best, found = worth, centres[at]
    return found


def naive_slopes(image: Tensor, sigma: float) -> tuple[Plane, Plane]:
    """How steep an image is, by which its threshold is found; and, pixel by pixel, where it is steepest."""
    red, green, blue = image.numpy().astype(np.float64)
    gray = (0.2989 * red + 0.587 * green + 0.114 * blue) / 255

    def smoothed(plane: Plane) -> Plane:
        return nd.gaussian_filter(plane, sigma, mode="constant") if sigma else plane

    def slopes(plane: Plane) -> tuple[Plane, Plane]:
        return nd.sobel(plane, 0), nd.sobel(plane, 1)

    down, across = slopes(smoothed(gray) / smoothed(np.ones_like(gray)))
    strength = np.hypot(down, across)
    h, w = gray.shape
    thin = np.zeros_like(gray)
    for y, x in product(range(1, h - 1), range(1, w - 1)):
        dy, dx = down[y, x], across[y, x]
        longer = max(abs(dy), abs(dx)) or 1
        sides = []
        for sign in (1, -1):
            along, aside = sign * dy / longer, sign * dx / longer
            whole = (round(along), 0) if abs(dy) >= abs(dx) else (0, round(aside))
            other = (int(np.sign(along)), int(np.sign(aside)))
            lean = min(abs(along), abs(aside))
            sides.append(
                (1 - lean) * strength[y + whole[0], x + whole[1]] + lean * strength[y + other[0], x + other[1]]
            )
        if strength[y, x] >= max(sides) - 1e-12:
            thin[y, x] = strength[y, x]
    return np.hypot(*slopes(smoothed(gray))), thin


def naive_edges(given: Plane, thin: Plane, t: float, noise: float, low: float, high: float) -> NDArray[np.bool_]:
    """With a search through what hangs together, above shares of the threshold."""
    t = t + noise if given.min() < t + noise < given.max() else t
    h, w = thin.shape

    def followed(low: float, high: float) -> NDArray[np.bool_]:
        kept = np.zeros(thin.shape, np.bool_)
        waiting = [at for at in product(range(h), range(w)) if thin[at] > 0 and thin[at] >= high]
        while waiting:
            y, x = waiting.pop()
            if not kept[y, x]:
                kept[y, x] = True
                near = product(range(max(y - 1, 0), min(y + 2, h)), range(max(x - 1, 0), min(x + 2, w)))
                waiting += [at for at in near if thin[at] > 0 and thin[at] >= low]
        return kept

    found = followed(low * t, high * t)
    return found if found.any() else followed(0.1, 0.2)


def edges(image: Tensor, lines: Lines) -> NDArray[np.bool_]:
    (found,) = edge_maps(image[None], lines)
    assert found.unique().tolist() in ([255], [0, 255])
    assert (found == found[:1]).all()
    return (found[0] == 0).numpy()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sigma", SIGMAS)
def test_edges_are_those_of_a_loop_over_pixels(sigma: float, method: str) -> None:
    for image in pictures(3):
        given, thin = naive_slopes(image, sigma)
        t = naive_threshold(given, method)
        for noise, low, high in ((0.0, 0.5, 1.5), (0.3, 0.3, 0.9), (-20.0, 0.7, 0.8)):
            lines = drawn(sigma=sigma, method=METHODS.index(method), noise=noise, low=low, high=high)
            expected = naive_edges(given, thin, t, noise, low, high)
            assert 0 < expected.sum() < expected.size / 2
            assert np.array_equal(edges(image, lines), expected), (noise, low, high)


@pytest.mark.parametrize("method", METHODS)
def test_thresholds_are_those_of_a_loop_over_bins(method: str) -> None:
    rng = np.random.default_rng(0)
    rows = np.stack([rng.gamma(0.7, size=300), rng.random(300), np.repeat([0.0, 2.0, 2.1], 100), np.full(300, 0.3)])
    found = thresholds(torch.from_numpy(rows))[:, METHODS.index(method)].tolist()
    assert found == pytest.approx([naive_threshold(row, method) for row in rows], rel=1e-9)


def test_edges_and_thresholds_are_scikit_images() -> None:
    """Of rings in three colours, as its version 0.26 gives them: ``canny`` and the functions ``threshold_...``.

    Its Li is found by iteration, and equal here to three digits.
    """
    y, x = np.mgrid[:32, :32]
    wave = 127 * (1 + np.sin(((x - 20) ** 2 + (y - 9) ** 2) / 40))
    rings = np.stack([np.rint(wave * share) for share in (1, 0.8, 0.5)]).astype(np.uint8)
    gray = np.tensordot((0.2989, 0.587, 0.114), rings.astype(np.float64), 1) / 255
    smooth = nd.gaussian_filter(gray, 1.0, mode="constant")
    given = torch.from_numpy(np.hypot(nd.sobel(smooth, 0), nd.sobel(smooth, 1)))
    (found,) = thresholds(given.flatten()[None]).tolist()
    assert found == pytest.approx([0.91145997, 0.93290608, 0.85696578, 0.90431126, 0.7541], abs=1e-4)
    expected = bytes.fromhex(
        "00000000220c00182218000c663000064420000244200002444000024840000248400002484000024840000248400002"
        "444000024420000244200002663000062218000c330c001811060030188380e048c07f00446000026618000e330e0038"
        "1983c1e04c603e006638000e330e003818c1ffc00c700002031e003c00000000"
    )
    assert np.packbits(edges(torch.from_numpy(rings), drawn())).tobytes() == expected


def test_where_no_edge_is_found_thresholds_are_those_of_the_library() -> None:
    """A faint square in white: the strongest gradients are those of the border, beyond which there is black."""
    image = torch.full((3, 24, 24), 250, dtype=torch.uint8)
    image[:, 8:16, 8:16] = 225
    given, thin = naive_slopes(image, 1.0)
    expected = naive_edges(given, thin, naive_threshold(given, "otsu"), 0.0, 0.5, 1.5)
    assert np.array_equal(edges(image, drawn()), expected)
    assert np.array_equal(edges(image, drawn(low=0.0, high=0.0)) & expected, expected)
    assert expected.sum() > 20


@pytest.mark.parametrize("level", [0, 255])
def test_a_blank_image_has_no_edges(level: int) -> None:
    assert not edges(torch.full((3, 12, 9), level, dtype=torch.uint8), drawn()).any()


def test_an_image_becomes_the_same_whichever_are_beside_it() -> None:
    images, lines = pictures(6), random_lines(6, seeded(2))
    together = edge_maps(images, lines)
    for number, image in enumerate(images):
        own = Lines(*(getattr(lines, name)[[number]] for name in ("sigma", "method", "noise", "low", "high")))
        assert torch.equal(edge_maps(image[None], own)[0], together[number])


def test_edges_turn_with_the_image() -> None:
    images, lines = pictures(5), plain_lines(5)
    maps = edge_maps(images, lines)
    for turned in (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT):
        assert torch.equal(edge_maps(turned(images), lines), turned(maps))


def test_lines_for_training_are_drawn_as_published() -> None:
    lines = random_lines(20_000, seeded())
    assert torch.equal(lines.noise, random_lines(20_000, seeded()).noise)
    for number, sigma in enumerate(SIGMAS):
        assert (lines.sigma == sigma).float().mean().item() == pytest.approx(1 / 3, abs=0.015), number
    assert (torch.bincount(lines.method) / 20_000).tolist() == pytest.approx([0.2] * len(METHODS), abs=0.015)
    assert lines.noise.std().item() == pytest.approx(10, rel=0.02)
    assert (lines.low <= lines.high).all()
    apart = ((lines.high - lines.low) / 2 - 0.5).double()  # delta, where nothing was cut and nothing swapped
    inner = (lines.low > 0.1) & (lines.high < 2)
    assert apart[inner].median().item() == pytest.approx(0, abs=0.02)
    assert (lines.low.min() >= 0.1) & (lines.high.max() <= 2)
    assert plain_lines(3).sigma.tolist() == [1.0] * 3
