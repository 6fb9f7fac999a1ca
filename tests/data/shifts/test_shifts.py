import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as tv
from drawn_elsewhere import elsewhere, shifts
from scipy.ndimage import gaussian_filter

from dgbench.core.errors import UnknownNameError
from dgbench.core.shift_families import FAMILIES, LEFT_OUT
from dgbench.data.domain import Dataset
from dgbench.data.shifts import apply, arithmetic, entries, geometric, segmentation, shift
from dgbench.data.shifts.entry import Entry, odd, zoom

EVERY = [pytest.param(entry, id=f"{family}: {entry.name}") for family in FAMILIES for entry in entries(family)]


@pytest.fixture(scope="module")
def samples(digits: Dataset) -> list[np.ndarray]:
    """Two typical images of each domain."""
    return [domain.inputs[row] for domain in digits.domains for row in (7, 501)]


def test_the_families_have_the_papers_entries_but_those_left_out() -> None:
    papers = {
        "arithmetic": 21,
        "artistic": 1,
        "blur": 6,
        "color": 18,
        "contrast": 6,
        "convolutional": 5,
        "edges": 1,
        "geometric": 9,
        "segmentation": 4,
        "weather": 5,
    }
    left_out = [reason.split(":")[0] for reason in LEFT_OUT]
    for family in FAMILIES:
        assert len(entries(family)) == papers[family] - left_out.count(family)
        assert len({entry.name for entry in entries(family)}) == len(entries(family))
    assert sum(papers.values()) == 76


@pytest.mark.parametrize("entry", EVERY)
def test_every_entry_changes_a_typical_image(entry: Entry, samples: list[np.ndarray]) -> None:
    unchanged = 0
    for number, image in enumerate(samples):
        shifted = apply(entry, image, np.random.default_rng(number))
        assert shifted.shape == image.shape
        assert shifted.dtype == np.uint8
        unchanged += np.array_equal(shifted, image)
    assert unchanged <= 1


@pytest.mark.parametrize("entry", EVERY)
def test_every_entry_takes_other_sizes_and_leaves_its_input_alone(entry: Entry) -> None:
    rng = np.random.default_rng(0)
    for side in ((16, 16), (33, 20), (64, 96)):
        image = rng.integers(0, 256, (*side, 3), dtype=np.uint8)
        before = image.copy()
        first = apply(entry, image, np.random.default_rng(1))
        assert first.shape == image.shape
        assert np.array_equal(image, before)
        assert np.array_equal(first, apply(entry, image, np.random.default_rng(1)))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_decides_and_no_global_generator_matters(family: str, samples: list[np.ndarray]) -> None:
    image = samples[2]
    torch.manual_seed(0)
    first = [shift(image, family, seed) for seed in range(8)]
    torch.manual_seed(1)
    again = [shift(image, family, seed) for seed in reversed(range(8))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({a.tobytes() for a in first}) >= 4


def test_another_process_with_another_number_of_threads_draws_the_same_bytes() -> None:
    assert elsewhere("shifts") == shifts()


@pytest.mark.parametrize("entry", EVERY)
def test_one_thread_and_two_draw_the_same_bytes(entry: Entry) -> None:
    # Large enough for torch to divide its work, which it does from 32,768 values on.
    image = gaussian_filter(np.random.default_rng(0).integers(0, 256, (192, 200, 3)), (2, 2, 0)).astype(np.uint8)
    threads, drawn = torch.get_num_threads(), []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            drawn.append(apply(entry, image, np.random.default_rng(3)))
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(*drawn)


def test_all_entries_of_a_family_are_drawn() -> None:
    drawn = {int(np.random.Generator(np.random.PCG64(seed)).integers(21)) for seed in range(300)}
    assert drawn == set(range(21)), "one uniform draw from the seed's own generator chooses the entry"


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'weather'"):
        entries("whether")


def test_sizes_shrink_with_the_image_but_not_for_ever() -> None:
    assert zoom(torch.zeros(1, 3, 227, 300)) == 1
    assert zoom(torch.zeros(1, 3, 454, 600)) == 2
    assert zoom(torch.zeros(1, 3, 16, 16)) == 0.2
    assert [odd(s) for s in (0.5, 3, 4.1, 5, 14.9)] == [3, 3, 5, 5, 15]


def named(module: object, name: str) -> Entry:
    return next(entry for entry in module.ENTRIES if entry.name == name)  # type: ignore[attr-defined]


def test_invert_and_solarize_follow_their_formulas() -> None:
    image = np.arange(16 * 16 * 3, dtype=np.int64).reshape(16, 16, 3).astype(np.uint8)
    inverted = apply(named(arithmetic, "invert"), image, np.random.default_rng(0))
    assert np.array_equal(inverted, 255 - image)
    solarized = apply(named(arithmetic, "solarize"), image, np.random.default_rng(0))
    assert np.array_equal(solarized[image < 32], image[image < 32])
    assert np.array_equal(solarized[image > 128], 255 - image[image > 128])


def test_addition_and_multiplication_stay_in_their_ranges() -> None:
    image = np.full((16, 16, 3), 40, np.uint8)
    for seed in range(50):
        added = apply(named(arithmetic, "add"), image, np.random.default_rng(seed)).astype(int) - 40
        assert len(np.unique(added)) == 1
        assert added.flat[0] == -40 or 50 <= added.flat[0] <= 200
        multiplied = apply(named(arithmetic, "multiply"), image, np.random.default_rng(seed))
        assert multiplied.min() >= 80
        assert multiplied.max() <= 160


def test_half_of_the_pixels_are_salt() -> None:
    image = np.full((64, 64, 3), 100, np.uint8)
    salted = apply(named(arithmetic, "salt"), image, np.random.default_rng(0))
    assert set(np.unique(salted)) == {100, 255}
    assert abs((salted == 255).mean() - 0.5) < 0.05


def test_noise_has_the_moments_of_its_distribution() -> None:
    image = torch.full((1, 3, 128, 128), 0.5)
    for seed in range(8):
        # The same generator says with which parameter: it is drawn first, then how many channels.
        normal = (named(arithmetic, "gaussian noise").apply(image, np.random.default_rng(seed)) - 0.5) * 255
        sd = np.random.default_rng(seed).uniform(50, 150)
        assert normal.std().item() == pytest.approx(sd, rel=0.03)
        assert normal.mean().abs() < 0.03 * sd
        laplace = (named(arithmetic, "laplace noise").apply(image, np.random.default_rng(seed)) - 0.5) * 255
        assert laplace.abs().mean().item() == pytest.approx(sd, rel=0.03)
        assert laplace.median().abs() < 0.03 * sd
        assert laplace.square().mean().item() == pytest.approx(2 * sd**2, rel=0.15)


def test_poisson_noise_is_poissons_with_a_random_sign() -> None:
    image = torch.zeros(1, 3, 256, 256)
    for seed in range(5):
        noise = named(arithmetic, "poisson noise").apply(image, np.random.default_rng(seed))[0, 0].numpy() * 255
        mean = np.random.default_rng(seed).uniform(40, 60)
        counts = np.rint(abs(noise)).astype(int)
        assert np.abs(noise - np.rint(noise)).max() < 1e-3
        assert abs((noise > 0).mean() - 0.5) < 0.01
        assert counts.mean() == pytest.approx(mean, rel=0.01)
        assert counts.var() == pytest.approx(mean, rel=0.05)
        expected = scipy.stats.poisson.cdf(np.arange(120), mean)
        found = np.bincount(counts.ravel(), minlength=120).cumsum()[:120] / counts.size
        assert np.abs(found - expected).max() < 0.008


def test_a_projective_map_takes_four_points_to_four_others() -> None:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    moved = corners * np.random.default_rng(0).uniform(0.3, 1, (4, 2))
    mapped = np.hstack((corners, np.ones((4, 1)))) @ geometric.homography(corners, moved).T
    assert mapped[:, :2] / mapped[:, 2:] == pytest.approx(moved)


def test_affine_and_projective_shifts_are_those_of_torchvision() -> None:
    image = torch.from_numpy(gaussian_filter(np.random.default_rng(0).random((1, 3, 40, 60)), (0, 0, 3, 3)).astype("f"))
    turned = geometric._affine(image, [[0.8, 0.1, 0.2], [-0.2, 1.3, 0.1]])
    grid = F.affine_grid(torch.tensor([[[0.8, 0.1, 0.2], [-0.2, 1.3, 0.1]]]), [1, 3, 40, 60], align_corners=False)
    assert torch.allclose(turned, F.grid_sample(image, grid, align_corners=False), atol=1e-5)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    moved = corners * np.random.default_rng(1).uniform(0.4, 0.9, (4, 2))
    # torchvision counts in pixels, from the middle of the first to that of the last.
    size = np.array([60, 40])
    pixels = ((moved + 1) * size / 2 - 0.5).tolist()
    whole = ((corners + 1) * size / 2 - 0.5).tolist()
    theirs = tv.perspective(image, pixels, whole)
    assert (geometric._sample(image, geometric.homography(corners, moved)) - theirs).abs().max() < 0.02


def test_one_or_two_channels_are_dropped() -> None:
    image = np.full((16, 16, 3), 100, np.uint8)
    dropped = [
        (apply(named(arithmetic, "channel dropout"), image, np.random.default_rng(s)) == 0).all((0, 1)).sum()
        for s in range(40)
    ]
    assert set(dropped) == {1, 2}


@pytest.mark.parametrize("side", [16, 20, 23, 64])
def test_a_jigsaw_moves_tiles_by_two_places_at_most(side: int) -> None:
    # Pixels that say where they come from: red the row, green the column.
    image = np.zeros((side, side, 3), np.uint8)
    image[..., 0], image[..., 1] = np.indices((side, side))
    moved = apply(named(geometric, "jigsaw"), image, np.random.default_rng(0)).astype(int)
    tile = side / min(10, side // 2)
    for channel in (0, 1):
        distance = abs(moved[..., channel] - image[..., channel].astype(int))
        assert 0 < distance.max() <= 2 * tile + 2
    if side % min(10, side // 2) == 0:
        pixels = {tuple(p) for p in moved[..., :2].reshape(-1, 2)}
        assert len(pixels) == side * side, "no pixel is lost"


def test_a_rotation_turns_by_15_to_45_degrees_and_keeps_the_centre() -> None:
    image = np.zeros((65, 65, 3), np.uint8)
    image[32, 32:] = 255  # a ray from the centre to the right
    for seed in range(10):
        turned = apply(named(geometric, "rotate"), image, np.random.default_rng(seed))
        assert turned[32, 32].max() > 100
        y, x = np.nonzero(turned[..., 0] > 60)
        far = np.hypot(y - 32, x - 32) > 20
        angles = abs(np.degrees(np.arctan2(y[far] - 32, x[far] - 32)))
        assert 13 < angles.mean() < 47


def test_regions_are_painted_in_their_means() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    painted = apply(named(segmentation, "grid voronoi"), image, np.random.default_rng(0))
    colours, owner = np.unique(painted.reshape(-1, 3), axis=0, return_inverse=True)
    assert len(colours) < 256 / 2
    for region, colour in enumerate(colours):
        mean = image.reshape(-1, 3)[owner.ravel() == region].mean(0)
        assert np.abs(mean - colour).max() <= 0.51
