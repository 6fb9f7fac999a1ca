"""On the CPU a worker has one thread, and what computes as one has its own way again afterwards."""

import pytest
import torch

from dgbench.runs.deterministic import as_worker


def test_what_computes_as_a_worker_has_one_thread_and_then_its_own_again() -> None:
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(2)
    try:
        with as_worker("cpu"):
            assert torch.get_num_threads() == 1
            assert torch.are_deterministic_algorithms_enabled()
        assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (2, strict)
        with pytest.raises(KeyError), as_worker("cpu"):
            raise KeyError
        assert torch.get_num_threads() == 2, "also where it ended with an error"
    finally:
        torch.set_num_threads(before)
