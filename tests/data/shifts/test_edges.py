import kornia.filters as kf
import numpy as np
import pytest
import scipy.ndimage as nd
import torch

from dgbench.data.shifts.edges import canny


def test_a_step_has_one_edge_on_its_left() -> None:
    plane = torch.zeros(1, 1, 12, 12)
    plane[..., 6:] = 1
    edges = canny(plane, 0.5, 1.0)[0, 0]
    assert edges[:, 5].all()
    assert edges.sum() == 12
    assert torch.equal(canny(plane.mT, 0.5, 1.0)[0, 0], edges.T)


def test_a_weak_edge_counts_where_it_leads_to_a_strong_one() -> None:
    plane = torch.zeros(1, 1, 24, 40)
    plane[..., 10:] = torch.linspace(0.06, 0.4, 24)[:, None]  # a step that grows downwards
    plane[..., 30:] += 0.1  # and one that is weak all along
    edges = canny(plane, 0.15, 0.9)[0, 0]
    assert edges[:, 9:11].any(1).all()
    assert not edges[:, 20:].any()
    assert not canny(plane, 0.15, 9.0).any()


@pytest.mark.parametrize("seed", range(6))
def test_edges_are_kornias(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plane = nd.gaussian_filter(rng.random((60, 47)), 2)
    plane = torch.from_numpy(((plane - plane.min()) / np.ptp(plane)).astype(np.float32))[None, None]
    low = float(rng.uniform(0.1, 0.6))
    ours, theirs = canny(plane, low, 2 * low), kf.canny(plane, low, 2 * low, 1)[1] > 0
    assert 50 < ours.sum() < 1500
    assert torch.equal(ours, theirs)
