import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from dgbench.data.shifts import apply, segmentation
from dgbench.data.shifts.entry import parts
from dgbench.data.shifts.superpixels import COLOUR, superpixels


@pytest.mark.parametrize("shape", [(40, 40), (23, 57), (64, 16)])
def test_each_pixel_belongs_to_the_nearest_point(shape: tuple[int, int]) -> None:
    points = np.random.default_rng(0).random((30, 2))
    size = np.array(shape)
    owners = segmentation._nearest(torch.zeros(1, 3, *shape), points)
    seeds = np.unique((points * size).astype(int), axis=0)
    pixels = np.stack(np.indices(shape), -1)
    distances = np.linalg.norm((pixels[:, :, None] - seeds) / size, axis=-1)
    chosen = np.stack(np.divmod(owners, shape[1]), -1)
    assert (chosen[:, :, None] == seeds).all(-1).any(-1).all(), "an owner is a pixel with a point"
    assert np.linalg.norm((pixels - chosen) / size, axis=-1) == pytest.approx(distances.min(-1))


def test_cells_around_a_whole_grid_are_those_of_the_nearest_point() -> None:
    shape = (48, 41)
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    entry = next(entry for entry in segmentation.ENTRIES if entry.name == "grid voronoi")
    painted = apply(entry, image, np.random.default_rng(0))
    rows, columns = (parts(torch.zeros(1, 3, *shape), number) for number in (20, 40))
    centres = np.stack(np.meshgrid(np.arange(rows) + 0.5, np.arange(columns) + 0.5, indexing="ij"), -1).reshape(-1, 2)
    places = (np.stack(np.indices(shape), -1).reshape(-1, 2) + 0.5) / shape
    distances = np.linalg.norm(places[:, None] - centres / (rows, columns), axis=-1)
    near = np.sort(distances, 1)
    clear = near[:, 1] - near[:, 0] > 1e-6  # not in the middle between two
    owner = distances.argmin(1)
    for cell in range(rows * columns):
        colours = painted.reshape(-1, 3)[(owner == cell) & clear]
        assert len(np.unique(colours, axis=0)) <= 1


def blobs(h: int, w: int, seed: int = 0) -> torch.Tensor:
    smooth = gaussian_filter(np.random.default_rng(seed).random((3, h, w)), (0, 4, 4))
    return torch.from_numpy(((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32))[None]


@pytest.mark.parametrize("shape", [(64, 64), (50, 71), (16, 16), (9, 30)])
@pytest.mark.parametrize("across", [4, 7, 11])
def test_superpixels_are_clusters_near_their_blocks(shape: tuple[int, int], across: int) -> None:
    owners = superpixels(blobs(*shape), across)
    assert owners.shape == shape
    tall, wide = -(-shape[0] // across), -(-shape[1] // across)
    block = np.indices(shape) // np.array([tall, wide])[:, None, None]
    columns = block[1].max() + 1
    cluster = np.stack(np.divmod(owners, columns + 2)) - 1  # the numbers are those of a grid with a rim
    assert np.abs(cluster - block).max() <= 1, "a pixel's cluster started in its block or beside it"
    assert (cluster >= 0).all()
    assert (cluster[0] <= block[0].max()).all()
    assert (cluster[1] < columns).all()
    assert len(np.unique(owners)) > 0.8 * len(np.unique(block[0] * columns + block[1]))


def test_superpixels_lie_within_colours() -> None:
    image = torch.zeros(1, 3, 64, 64)
    image[:, 0, :, 27:] = 1  # an edge that no border of blocks has
    owners = superpixels(image, 4)
    assert not set(owners[:, :27].ravel()) & set(owners[:, 27:].ravel())


def test_superpixels_agree_with_k_means_written_out() -> None:
    h, w, across, tall = 24, 24, 4, 6
    image = blobs(h, w, 3)
    pixels = np.concatenate((np.indices((h, w)).reshape(2, -1) / tall, COLOUR * image[0].flatten(1).double().numpy())).T
    block = np.indices((h, w)).reshape(2, -1) // tall
    starts = [(block[0] == y) & (block[1] == x) for y, x in np.ndindex(across, across)]
    centres = np.array([pixels[start].mean(0) for start in starts])
    beside = np.array([(np.abs(block.T - (y, x)) <= 1).all(1) for y, x in np.ndindex(across, across)]).T
    for _ in range(6):
        distances = np.where(beside, np.linalg.norm(pixels[:, None] - centres, axis=-1), np.inf)
        owner = distances.argmin(1)
        centres = np.array([pixels[owner == cluster].mean(0) for cluster in range(across**2)])
    found = superpixels(image, across).ravel()
    number = (np.arange(across)[:, None] + 1) * (across + 2) + np.arange(across) + 1
    assert (number.ravel()[owner] == found).mean() > 0.998
