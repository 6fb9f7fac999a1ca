"""The list of faults is of today's code, and the program that makes them leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts_loaded import load_script

script = load_script("mutate")
FAULTS = script.mutations()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: f"{one.file}: {one.fault}")
def test_a_fault_is_of_a_place_that_is_there_once_and_of_tests_that_are_there(fault: script.Mutation) -> None:
    text = (script.ROOT / "dgbench" / fault.file).read_text(encoding="utf-8")
    changed = fault.made(text)
    assert changed != text
    compile(changed, fault.file, "exec")
    assert fault.tests
    assert all((script.ROOT / "tests" / test).is_file() for test in fault.tests)


def test_there_are_many_of_them() -> None:
    """As CONTRIBUTING.md says."""
    assert len(FAULTS) > 130
    assert len({fault.file for fault in FAULTS}) >= 90


def test_a_place_that_is_gone_is_named() -> None:
    fault = script.Mutation("some/file.py", "a sign", "+ 1", "- 1", ("x.py",))
    for text, times in (("a", 0), ("a + 1 + 1", 2)):
        with pytest.raises(ValueError, match=f"some/file.py has '\\+ 1' {times} times"):
            fault.made(text)


@pytest.mark.parametrize("passes", [True, False])
def test_a_fault_is_there_while_tests_run_and_gone_afterwards(
    passes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dgbench" / "part.py"
    path.parent.mkdir()
    path.write_text("x = 1 + 1\n", encoding="utf-8")
    seen = []

    def ran(folder: Path, tests: tuple[str, ...]) -> bool:
        seen.append((path.read_text(encoding="utf-8"), tests))
        return passes

    monkeypatch.setattr(script, "passes", ran)
    assert script.found(tmp_path, script.Mutation("part.py", "a sign", "+ 1", "- 1", ("test_part.py",))) is not passes
    assert seen == [("x = 1 - 1\n", ("test_part.py",))]
    assert path.read_text(encoding="utf-8") == "x = 1 + 1\n"
