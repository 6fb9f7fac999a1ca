import kornia.enhance as ke
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from dgbench.data.shifts.equalize import equalize


@pytest.mark.parametrize("shape", [(64, 64), (50, 67), (33, 40)])
@pytest.mark.parametrize("across", [2, 3, 8])
@pytest.mark.parametrize("limit", [1.0, 3.3, 10.0])
def test_equalized_planes_are_kornias(shape: tuple[int, int], across: int, limit: float) -> None:
    rng = np.random.default_rng(across)
    smooth = gaussian_filter(rng.random((2, *shape)), (0, 2, 2))
    whole = np.rint(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)
    # A little above each level, since kornia rounds down and here the nearest level counts.
    planes = torch.from_numpy(np.minimum(whole + 0.25, 255) / 255)[None]
    found = equalize(planes, across, [limit, limit])
    assert torch.allclose(found, ke.equalize_clahe(planes, limit, (across, across)), atol=2e-6)


def test_each_plane_has_its_own_limit() -> None:
    plane = torch.from_numpy(gaussian_filter(np.random.default_rng(0).random((40, 40)), 2).astype(np.float32))
    both = equalize(plane.expand(1, 2, 40, 40), 2, [1.0, 10.0])
    for number, limit in enumerate((1.0, 10.0)):
        assert torch.equal(both[:, number], equalize(plane[None, None], 2, [limit])[:, 0])
    assert both[0, 1].std() > 1.5 * both[0, 0].std(), "a higher limit makes more contrast"
