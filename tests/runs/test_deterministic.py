"""A worker on the CPU has one thread, and float32 is float32; what computes as one has its own way again afterwards."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from nursery import fresh_workers
from scripts_loaded import load_script

from dgbench.api import boards
from dgbench.core.cards import CaseRules
from dgbench.core.processes import Pool
from dgbench.runs.deterministic import as_worker, ready
from small import small_board


def test_what_computes_as_a_worker_has_one_thread_and_then_its_own_again() -> None:
    before, strict = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(2)
    try:
        with as_worker("cpu"):
            assert torch.get_num_threads() == 1
            assert torch.are_deterministic_algorithms_enabled()
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert (torch.get_num_threads(), torch.get_deterministic_debug_mode()) == (2, strict)
        with pytest.raises(KeyError), as_worker("cpu"):
            raise KeyError
        assert torch.get_num_threads() == 2, "also where it ended with an error"
    finally:
        torch.set_num_threads(before)


def _roughly() -> list[object]:
    """How torch may compute float32 products and convolutions: on CUDA, and on the CPU."""
    backends: Any = torch.backends
    of_cuda = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)
    return [place.fp32_precision for place in (*of_cuda, backends.mkldnn.matmul, backends.mkldnn.conv)]


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="torch tells it since 2.9")
def test_float32_is_float32_as_a_worker_and_what_the_user_wants_afterwards() -> None:
    torch.set_float32_matmul_precision("medium")  # TF32 on tensor cores, bfloat16 on a CPU
    try:
        before = _roughly()
        assert {"tf32", "bf16"} <= set(before)
        with as_worker("cpu"):
            assert _roughly() == ["ieee"] * 5
        assert _roughly() == before
        with Pool(1, ready, "cpu") as pool:
            assert pool.submit(_roughly).result() == ["ieee"] * 5
    finally:
        torch.set_float32_matmul_precision("highest")


def _new_memory() -> bool:
    """Whether new memory is filled; reading it would not tell, since fresh pages are zeros."""
    return torch.utils.deterministic.fill_uninitialized_memory


def test_only_worker_processes_leave_new_memory_as_it_is() -> None:
    with Pool(1, ready, "cpu") as pool:
        assert not pool.submit(_new_memory).result()
    with as_worker("cpu"):
        assert _new_memory()


def test_nothing_hangs_on_the_order_of_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker is a copy of a process that iterates them in another order in each session."""
    case = {"digits": CaseRules(targets=("print",), sources=("handwritten", "dot-matrix"))}
    board = small_board("mixup + swad", "coral + t3a").model_copy(update={"cases": case})
    assert boards.run(board, store=tmp_path / "copy", device="cpu", workers=1).failed == {}
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    with fresh_workers():
        assert boards.run(board, store=tmp_path / "fresh", device="cpu", workers=1).failed == {}
    contents = load_script("check_launchers").contents
    one, other = (contents(tmp_path / name) for name in ("copy", "fresh"))
    assert len(one) >= 8
    assert one == other


@pytest.mark.gpu
def test_products_on_an_accelerator_are_no_tf32() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = (torch.randn(512, 512, generator=random) for _ in range(2))
    x, w = torch.randn(8, 64, 32, 32, generator=random), torch.randn(64, 64, 3, 3, generator=random)
    exact = a.double() @ b.double(), F.conv2d(x.double(), w.double())
    with as_worker("cuda"):
        found = a.cuda() @ b.cuda(), F.conv2d(x.cuda(), w.cuda())
    for one, other in zip(found, exact, strict=True):
        error = (one.cpu().double() - other).abs().max() / other.abs().max()
        assert error < 1e-5, "TF32 keeps ten bits: its error is above 1e-4"
