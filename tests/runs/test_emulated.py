"""Whoever computes in bfloat16 where there are no instructions for it is told so, in one line, before the work."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from comparing.called import within

from dgbench.api import boards
from dgbench.core.cards import BoardCard, CaseRules
from dgbench.core.paths import shipped
from dgbench.core.precision import Precision
from dgbench.runs import estimate
from dgbench.runs.emulated import emulated
from dgbench.runs.estimate import Work
from dgbench.runs.store import Kind, Store
from dgbench.train import environment
from small import small_board

LACKS = "flags: fpu avx avx2 avx512f avx512bw\n"
AMX = "flags: fpu avx512f avx512_bf16 amx_bf16 amx_tile\n"
AVX512 = "flags: fpu avx512f avx512_bf16\n"
ARM = "Features\t: fp asimd sve bf16 i8mm\n"
ARM_LACKS = "Features\t: fp asimd svebf16\n"


def board(precision: Precision, dataset: str = "digits") -> BoardCard:
    small = boards.rules(small_board("linear_probe", backbone="timm:test_efficientnet(size=32)"), datasets=[dataset])
    changes = {
        "training": small.training.model_copy(update={"precision": precision}),
        "hyperparameters": {"sampler.augmentation": "none"},
        "cases": {dataset: CaseRules(targets=("wood",))},
    }
    return small.model_copy(update=changes)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file in which the system tells of its processor."""
    told = tmp_path / "cpuinfo"
    monkeypatch.setattr(environment, "CPUINFO", told)
    environment._told.cache_clear()
    yield told
    environment._told.cache_clear()


@pytest.mark.parametrize(
    ("flags", "unit"),
    [(LACKS, ""), (AMX, "amx_bf16"), (AVX512, "avx512_bf16"), (ARM, "bf16"), (ARM_LACKS, ""), ("", "")],
)
def test_what_multiplies_is_read_from_what_the_system_tells(flags: str, unit: str, machine: Path) -> None:
    machine.write_text(f"processor: 0\nmodel name: Some  CPU\n{flags}\nprocessor: 1\n", encoding="utf-8")
    assert environment.bfloat16("cpu") == unit
    assert environment.environment(torch.device("cpu"))["bfloat16"] == (unit or "emulated")
    assert emulated(board("float32"), "cpu") == ""
    said = emulated(board("bfloat16"), "cpu")
    assert (
        said.startswith("'small' computes in bfloat16, and Some CPU has no instructions for it")
        if not unit
        else not said
    )


def test_a_run_says_it_before_the_work_and_precisions_share_no_work(
    tmp_path: Path, pictures: str, machine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine.write_text(f"model name: Some CPU\n{LACKS}", encoding="utf-8")
    kinds: tuple[Kind, ...] = ("training", "run", "features")
    one = {"training": 1, "run": 1, "features": 3 + 2 * 10}  # each domain clean, two sources in ten families
    wanted: list[tuple[Precision, int, int]] = [("float32", 0, 1), ("bfloat16", 1, 2), ("bfloat16", 0, 2)]
    for precision, said, times in wanted:  # the last time nothing is left to do
        caplog.clear()
        boards.run(board(precision, pictures), store=tmp_path / "store", device="cpu", workers=1)
        assert sum("has no instructions" in record.getMessage() for record in caplog.records) == said
        kept = Store(tmp_path / "store")
        assert {kind: len(kept.pieces(kind)) for kind in kinds} == {kind: times * n for kind, n in one.items()}


def test_a_plan_says_it(tmp_path: Path, pictures: str, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write_text(f"model name: Some CPU\n{LACKS}", encoding="utf-8")
    own = (shipped("leaderboards") / "own" / "board.toml").read_text(encoding="utf-8")
    (tmp_path / "own.toml").write_text(own.replace('"float32"', '"bfloat16"'), encoding="utf-8")
    for seconds, says in ((60.0, True), (0.0, False)):  # of what is not finished
        monkeypatch.setattr(estimate, "estimate", lambda *given, left=seconds: Work(left, ()))
        asked = ("plan", tmp_path / "own.toml", "-d", pictures, "--store", tmp_path / "store", "--device", "cpu")
        done = within(*asked)
        assert done.returncode == 0, done.stderr
        assert ("Some CPU has no instructions for it" in " ".join(done.stdout.split())) == says
