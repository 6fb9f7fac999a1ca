"""The script that times the closed form of variances: what it compares is the same."""

import torch
from scripts_loaded import load_script

from dgbench.algorithms.objectives.fishr import variances


def test_all_three_ways_give_the_same_variances() -> None:
    script = load_script("measure_closed_forms")
    forward = script.passed(7, 4)
    for other in (script.one_by_one, script.vectorised):
        torch.testing.assert_close(variances(forward), other(forward), rtol=1e-4, atol=1e-7)
    assert script.seconds(variances, 7, 4) > 0
