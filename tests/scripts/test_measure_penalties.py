from __future__ import annotations

import pytest
import torch
from scripts_loaded import load_script

script = load_script("measure_penalties")


@pytest.mark.parametrize("name", ["IRM", "Fishr, one by one", "Fishr, at once", "HGP"])
def test_both_ways_give_the_same_loss(name: str) -> None:
    forward = script.a_pass(5, 3, 2, 4)
    part, published = script.PUBLISHED[name]
    part.attach(forward.network, [4, 4])
    torch.testing.assert_close(part.loss(forward), published(forward))


def test_probes_come_near_the_diagonal() -> None:
    forward = script.a_pass(3, 2, 2, 4)
    without = script.HessianDiagonal(hessian_weight=0).loss(forward)
    estimate, exact = (way(forward) - without for way in (script.hutchinson, script.HessianDiagonal().loss))
    torch.testing.assert_close(estimate, exact, rtol=0.3, atol=0)
