"""The commands of *Import what others have run* run as they stand there."""

import json
import re
import shlex
from pathlib import Path

import pytest
from comparing.called import within
from sweeps.made import write_sweep

PAGE = (Path(__file__).parents[2] / "docs" / "import.md").read_text(encoding="utf-8")


def test_the_commands_of_the_page_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path / "DIR", draws=1)
    before = {path: path.read_bytes() for path in (tmp_path / "DIR").rglob("*") if path.is_file()}
    block, _ = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    ours, reference, table = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    said = [within(*words) for words in (ours, reference, table)]
    assert [one.returncode for one in said] == [0, 0, 0], [one.stderr for one in said]
    assert "PACS, from a sweep of DomainBed" in said[0].stdout
    assert "PACS, model selection: leave-one-domain-out cross-validation" in said[1].stdout
    lines = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(json.loads(within(*ours, "--json").stdout)["rows"])
    assert {path: path.read_bytes() for path in (tmp_path / "DIR").rglob("*") if path.is_file()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"DIR", "out.csv"}, "nothing is put into a store"
